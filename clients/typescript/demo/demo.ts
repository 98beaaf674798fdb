/**
 * Fills a vault of a running server with pictures, and prints how to sign in:
 *
 *   npm run demo                       a new user at http://127.0.0.1:8000
 *   npm run demo -- URL                a new user at that server (PIN_DELIVERY=response)
 *   npm run demo -- 'URL/#pair=…'      the vault of a pairing text
 *
 * `DEMO_PHOTOS` (300) is the number of pictures.
 */
import { randomBytes } from 'node:crypto'
import { createClient, isVaultError, memoryToken, parsePairing, VaultError } from '../src/node.ts'
import { fill } from './filling.ts'

const [given = 'http://127.0.0.1:8000'] = process.argv.slice(2)
const count = Number(process.env.DEMO_PHOTOS ?? 300)
const isPairing = given.includes('#pair=')
const baseUrl = isPairing ? parsePairing(given).server : given
const token = memoryToken()
const client = createClient({ baseUrl, token, retry: { attempts: 2 } })

try {
  const owner = isPairing ? await paired() : await registered()
  await fill(client, count, new Date(), (stored) => {
    process.stderr.write(`\r${stored} of ${count} pictures`)
  })
  process.stderr.write('\n')
  const { text, deviceId, pin } = await client.pair()
  print(`The vault of ${owner} at ${baseUrl} has ${count} pictures more.\n`)
  print('Sign in within five minutes, with one of these:')
  print(`  a page or an app   ${text}`)
  print(`  POST /v1/sessions  {"deviceId":"${deviceId}","pin":"${pin}"}`)
  print(`At ${baseUrl}/docs, Authorize takes the token of this session:`)
  print(`  ${await token.get()}`)
} catch (error) {
  if (!(error instanceof VaultError)) throw error
  const help = isVaultError(error, 'network-error')
    ? ` Is the server running at ${baseUrl}? Start it with npm start.`
    : ''
  process.stderr.write(`${error.detail}${help}\n`)
  process.exitCode = 1
}

async function paired(): Promise<string> {
  await client.signInWithPairing(given, { deviceName: 'Demo' })
  return (await client.account.get()).email
}

async function registered(): Promise<string> {
  const email = `demo-${randomBytes(4).toString('hex')}@example.org`
  const answer = await client.register({ name: 'Demo', email })
  if (!('pin' in answer))
    throw new VaultError('invalid-pairing', 'This server mails PINs. Give the demo a pairing text.')
  await client.signIn({ deviceId: answer.deviceId, pin: answer.pin, deviceName: 'Demo' })
  return email
}

function print(line: string) {
  process.stdout.write(`${line}\n`)
}
