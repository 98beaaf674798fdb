/** The session of the command: from a file that only its owner can read, or from a PIN. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { type Client, createClient, folderStore, newDeviceId, type Pairing, parsePairing } from '../node.ts'
import { type Arguments, UsageError } from './arguments.ts'

interface Kept {
  server: string
  deviceId: string
  token: string
}

const NAME_CHARACTERS = 60

export async function signedInClient(given: Arguments): Promise<Client> {
  const kept = given.pair === undefined && given.server === undefined ? await keptIn(given) : await signedIn(given)
  return clientOf(given, kept.server, kept.token)
}

async function keptIn({ tokenFile }: Arguments): Promise<Kept> {
  const text = await readFile(tokenFile, 'utf8').catch(() => 'null')
  const kept = parsed(text)
  if (typeof kept?.server === 'string' && typeof kept.token === 'string') return kept
  throw new UsageError(`There is no session in ${tokenFile}. Sign in with --pair, or with --server and a PIN.`)
}

function parsed(text: string): Kept | null {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function signedIn(given: Arguments): Promise<Kept> {
  const { server, deviceId, pin } = given.pair === undefined ? await withPin(given) : parsePairing(given.pair)
  const client = clientOf(given, server)
  const deviceName = (given.deviceName ?? hostname()).slice(0, NAME_CHARACTERS)
  const place = await placeFor(given.tokenFile)
  try {
    const { token = '' } = await client.signIn({ deviceId, pin, ...(deviceName && { deviceName }) })
    const kept = { server, deviceId, token }
    await place.keep(kept)
    return kept
  } finally {
    await place.release()
  }
}

/**
 * Made before the PIN is used, because a PIN works once. The session is written aside and renamed, so a crash leaves no half of
 * it.
 */
async function placeFor(path: string) {
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  const write = async (act: () => Promise<unknown>) => {
    await act().catch((error: Error) => {
      throw new UsageError(`The session cannot be kept in ${path}: ${error.message}`)
    })
  }
  await write(async () => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(aside, '', { mode: 0o600 })
  })
  return {
    keep: (kept: Kept) =>
      write(async () => {
        await writeFile(aside, `${JSON.stringify(kept)}\n`)
        await rename(aside, path)
      }),
    release: () => rm(aside, { force: true }),
  }
}

async function withPin({ server = '', deviceId = newDeviceId(), pin }: Arguments): Promise<Pairing> {
  if (pin !== undefined) return { server, deviceId, pin }
  if (!process.stdin.isTTY) throw new UsageError('Give the PIN with --pin or MINIKEEPSAFE_PIN.')
  const line = createInterface({ input: process.stdin, output: process.stderr })
  process.stderr.write(`The device id is ${deviceId}\n`)
  const typed = await line.question('PIN for it: ')
  line.close()
  return { server, deviceId, pin: typed.trim() }
}

function clientOf({ tokenFile }: Arguments, baseUrl: string, token?: string): Client {
  if (!/^https?:\/\//.test(baseUrl)) throw new UsageError('--server is an address such as https://vault.example.org')
  const unfinished = folderStore(join(dirname(tokenFile), 'uploads'))
  return createClient({ baseUrl, unfinished, ...(token !== undefined && { token }) })
}
