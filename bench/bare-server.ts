/**
 * The bare server, as a reference: it uses only `node:http`, and stores and serves the same bytes and rows as durably as our
 * server, sealed as in `docs/blob-format.md`. It has no framework, no rules, and no handling of unexpected requests. `PORT` is
 * its port, `FOLDER` its data folder. With `COPYING=yes` contents are neither hashed nor sealed, to measure the cost of the
 * bytes alone.
 */
import { createHash, createHmac, randomBytes, randomInt, randomUUID, timingSafeEqual } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { bareDatabase, type Pin } from './bare-database.ts'
import { copying, receive, sendFile, sharedFolderSync, uncopied, unlink } from './bare-files.ts'
import { opening, openSecrets, sealing, sealSecrets, vaultKeys } from './bare-sealing.ts'

const { PORT, FOLDER, COPYING } = process.env as { PORT: string; FOLDER: string; COPYING?: string }
const PIN_TTL_MS = 300_000
const FILES = '/v1/files/'
const EMAIL = /^[^\s@]{1,64}@[^\s@]{3,189}$/
const DEVICE_ID = /^[A-Za-z0-9._:-]{8,128}$/

const uploads = join(FOLDER, 'uploads')
mkdirSync(uploads, { recursive: true })
const database = bareDatabase(join(FOLDER, 'bare.db'))
const syncFolder = sharedFolderSync(join(uploads, 'any'))
const keys = vaultKeys(randomBytes(32))
const pins = new Map<string, Pin>()
const pinKey = randomBytes(32)

const server = createServer((request, response) => {
  route(request, response).catch((error: unknown) => {
    process.stderr.write(`${error}\n`)
    if (response.headersSent) response.destroy()
    else answer(response, 500, {})
  })
})
server.listen(Number(PORT), '127.0.0.1')
process.on('SIGTERM', () => process.exit(0))

async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url = '' } = request
  if (method === 'POST' && url === '/v1/users') return register(await json(request), response)
  if (method === 'POST' && url === '/v1/sessions') return signIn(await json(request), response)
  if (!url.startsWith(FILES)) return answer(response, 404, {})

  const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
  const owner = database.ownerOf(sha256(token))
  if (owner === null) return answer(response, 401, {})
  const vault = { owner, key: keys.open(owner, database.slot(owner)) }
  const name = decodeURIComponent(url.slice(FILES.length))
  if (method === 'PUT') return upload(request, response, vault, name)
  if (method === 'GET') return download(response, vault, name)
  answer(response, 405, {})
}

interface Vault {
  owner: string
  key: Buffer
}

async function upload(request: IncomingMessage, response: ServerResponse, { owner, key }: Vault, name: string) {
  const id = database.file(owner, name)?.id ?? randomUUID()
  const blob = randomUUID()
  const sealed = sealing()
  try {
    const size = await receive(request, join(uploads, blob), COPYING ? copying : sealed, syncFolder)
    const secrets = { ...sealed.secrets(), size }
    const contentType = request.headers['content-type'] ?? 'application/octet-stream'
    const file = { id, size, contentType, seal: sealSecrets(key, owner, id, secrets), blob }
    const replaced = await database.putFile(owner, name, file)
    answer(response, replaced ? 200 : 201, { id, name, size, contentType, sha256: secrets.sha256.toString('hex') })
    if (replaced) await unlink(join(uploads, replaced))
  } catch (error) {
    // A client that disconnected is no error of the server.
    if (!request.destroyed || request.complete) throw error
  }
}

async function download(response: ServerResponse, { owner, key }: Vault, name: string) {
  const file = database.file(owner, name)
  if (!file) return answer(response, 404, {})
  const secrets = openSecrets(key, owner, file.id, file.seal)
  const etag = `"${secrets.sha256.toString('hex')}"`
  const headers = ['content-type', file.contentType, 'content-length', String(file.size), 'etag', etag]
  const outlet = COPYING ? uncopied(file.size) : opening(secrets)
  await sendFile(response, join(uploads, file.blob), outlet, headers).catch((error: unknown) => {
    if (!response.destroyed) throw error
  })
}

function register({ name, email, deviceId }: Record<string, unknown>, response: ServerResponse) {
  if (typeof name !== 'string' || name === '' || !matches(EMAIL, email) || !matches(DEVICE_ID, deviceId)) {
    return answer(response, 400, {})
  }
  const address = email.toLowerCase()
  if (database.isTaken(address)) return answer(response, 409, {})
  const pin = String(randomInt(10_000)).padStart(4, '0')
  const user = { id: randomUUID(), name, email: address }
  const expiresAt = Date.now() + PIN_TTL_MS
  pins.set(deviceId, { id: randomUUID(), digest: pinDigest(deviceId, pin), expiresAt, user })
  answer(response, 201, { userId: user.id, deviceId, pin, pinExpiresAt: new Date(expiresAt).toISOString() })
}

async function signIn({ deviceId, pin }: Record<string, unknown>, response: ServerResponse) {
  if (!matches(DEVICE_ID, deviceId) || !matches(/^[0-9]{4}$/, pin)) return answer(response, 400, {})
  const pending = pins.get(deviceId)
  if (!pending || pending.expiresAt < Date.now() || !timingSafeEqual(pending.digest, pinDigest(deviceId, pin))) {
    return answer(response, 401, {})
  }
  pins.delete(deviceId)
  const sessionId = randomUUID()
  const token = `mks_${randomBytes(32).toString('base64url')}`
  const slot = { keyId: keys.keyId, sealed: keys.newSlot(pending.user.id) }
  if (!(await database.signIn(pending, slot, sessionId, deviceId, sha256(token)))) return answer(response, 401, {})
  answer(response, 201, { sessionId, token, userId: pending.user.id, deviceId })
}

function matches(pattern: RegExp, value: unknown): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function sha256(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

function pinDigest(deviceId: string, pin: string): Buffer {
  return createHmac('sha256', pinKey).update(`${deviceId}\0${pin}`).digest()
}

function json(request: IncomingMessage): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      try {
        resolve(JSON.parse(chunks.length === 1 ? String(chunks[0]) : Buffer.concat(chunks).toString()))
      } catch (error) {
        reject(error)
      }
    })
    request.on('error', reject)
  })
}

function answer(response: ServerResponse, status: number, document: object): void {
  const body = JSON.stringify(document)
  response.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body))])
  response.end(body)
}
