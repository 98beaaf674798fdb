import { randomBytes } from 'node:crypto'
import { createClient, memoryToken, VaultError } from '../src/node.ts'

export const MiB = 1024 * 1024

export const someEmail = () => `${randomBytes(6).toString('hex')}@example.org`

/** Waits of tests are short. */
export const SOON = { baseMs: 1, maxMs: 2000 }

type Options = Partial<Parameters<typeof createClient>[0]>

/** A registered and signed-in client of a server in `response` mode. */
export async function signedIn({ url }: { url: string }, options: Options = {}) {
  const token = memoryToken()
  const client = createClient({ baseUrl: url, token, retry: SOON, ...options })
  const registered = await client.register({ name: 'Ada', email: someEmail() })
  if (!('pin' in registered)) throw new Error('the server shows no PINs')
  await client.signIn(registered)
  return { client, token, deviceId: registered.deviceId }
}

/** The code of the error with which it fails. */
export async function codeOf(failing: Promise<unknown>): Promise<string> {
  const error = await failing.then(
    () => null,
    (error: unknown) => error,
  )
  if (error === null) return 'none'
  if (error instanceof VaultError) return error.code
  throw error
}

export async function all<Entry>(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const found: Entry[] = []
  for await (const entry of entries) found.push(entry)
  return found
}
