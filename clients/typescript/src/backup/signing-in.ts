/** The session of the command: from a file that only its owner can read, or from a PIN. */
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
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
  try {
    return JSON.parse(await readFile(tokenFile, 'utf8')) as Kept
  } catch {
    throw new UsageError(`There is no session in ${tokenFile}. Sign in with --pair, or with --server and a PIN.`)
  }
}

async function signedIn(given: Arguments): Promise<Kept> {
  const { server, deviceId, pin } = given.pair === undefined ? await withPin(given) : parsePairing(given.pair)
  const client = clientOf(given, server)
  const deviceName = (given.deviceName ?? hostname()).slice(0, NAME_CHARACTERS)
  const { token = '' } = await client.signIn({ deviceId, pin, ...(deviceName && { deviceName }) })
  const kept = { server, deviceId, token }
  await keep(given.tokenFile, kept)
  return kept
}

/** Written aside and renamed, so a crash leaves no half of it. */
async function keep(path: string, kept: Kept): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const aside = `${path}.${randomBytes(4).toString('hex')}`
  await writeFile(aside, `${JSON.stringify(kept)}\n`, { mode: 0o600 })
  await rename(aside, path)
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
