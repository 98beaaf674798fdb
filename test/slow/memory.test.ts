import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { type ServerProcess, serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const SIZE_MIB = 1024
const block = randomBytes(MiB)
const expected = (() => {
  const hash = createHash('sha256')
  for (let n = 0; n < SIZE_MIB; n += 1) hash.update(block)
  return hash.digest('hex')
})()

it('takes and hands out 1 GiB by each route with memory that grows by less than 100 MiB', async () => {
  const server = serverProcess(await temporaryFolder(), { LOG_LEVEL: 'info' })
  const headers = await signedIn(server)
  await server.request('/v1/files/warm-up', { method: 'PUT', headers, body: block })
  await server.request('/v1/files/warm-up', { headers })
  const before = server.memory().now

  const raw = await server.request('/v1/files/raw', { method: 'PUT', headers, body: Readable.from(gibibyte()) })
  expect([raw.status, (raw.body as { sha256: string }).sha256]).toEqual([201, expected])

  const type = { 'content-type': 'multipart/form-data; boundary=b' }
  const form = await server.request('/v1/files', {
    method: 'POST',
    headers: { ...headers, ...type },
    body: Readable.from(inForm()),
  })
  expect([form.status, (form.body as { sha256: string }).sha256]).toEqual([201, expected])

  expect(await digestOf(`${await server.url}/v1/files/raw`, headers)).toBe(expected)
  expect((server.memory().peak - before) / MiB).toBeLessThan(100)
}, 180_000)

it('hands out an export of 1 GiB with memory that grows by less than 100 MiB', async () => {
  const server = serverProcess(await temporaryFolder(), { LOG_LEVEL: 'info' })
  const headers = await signedIn(server)
  await server.request('/v1/files/film', { method: 'PUT', headers, body: block })
  await server.request('/v1/me/export', { headers })
  const before = server.memory().now
  await server.request('/v1/files/film', { method: 'PUT', headers, body: Readable.from(gibibyte()) })
  // What stands in front of the bytes: the local header with the path and one extra field.
  const skipped = 30 + 'files/film'.length + 9
  const url = `${await server.url}/v1/me/export`
  // Deflate blocks that are not compressed have 5 bytes in front of at most 65,535.
  const packed = SIZE_MIB * MiB + 5 * Math.ceil((SIZE_MIB * MiB) / 65_535)
  const inflated = (bytes: Bytes) => Readable.from(part(bytes, skipped, packed)).pipe(createInflateRaw())
  expect(await digestOf(url, headers, inflated)).toBe(expected)
  expect((server.memory().peak - before) / MiB).toBeLessThan(100)
}, 180_000)

it('takes bytes that come one at a time with memory that grows by less than 100 MiB', async () => {
  const server = serverProcess(await temporaryFolder())
  const headers = { ...(await signedIn(server)), 'transfer-encoding': 'chunked', connection: 'close' }
  const before = server.memory().now
  const line = wire(await server.url)
  line.socket.write(head('PUT /v1/files/drops', headers))
  const drops = '1\r\nx\r\n'.repeat(10_000)
  for (let n = 0; n < 100; n += 1) {
    if (!line.socket.write(drops)) await once(line.socket, 'drain')
  }
  line.socket.write('0\r\n\r\n')
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 .*"size":1000000,/s)
  expect((server.memory().peak - before) / MiB).toBeLessThan(100)
}, 120_000)

function* gibibyte() {
  for (let n = 0; n < SIZE_MIB; n += 1) yield block
}

function* inForm() {
  yield Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="form"\r\n\r\n')
  yield* gibibyte()
  yield Buffer.from('\r\n--b--\r\n')
}

type Bytes = AsyncIterable<Buffer>

async function digestOf(
  url: string,
  headers: Record<string, string>,
  choose: (bytes: Bytes) => Bytes = (bytes) => bytes,
): Promise<string> {
  const hash = createHash('sha256')
  await new Promise<void>((resolve, reject) => {
    httpRequest(url, { headers, agent: false }, (response) => {
      pipeline(response, choose, hash).then(resolve, reject)
    }).end()
  })
  return hash.digest('hex')
}

/** So many of the bytes, after some; all of them are read. */
async function* part(bytes: Bytes, skipped: number, count: number): Bytes {
  let at = 0
  for await (const chunk of bytes) {
    yield chunk.subarray(Math.max(0, skipped - at), Math.max(0, skipped + count - at))
    at += chunk.length
  }
}

async function signedIn(server: ServerProcess): Promise<{ authorization: string }> {
  const deviceId = 'memory-test-device'
  const ada = { name: 'Ada', email: 'ada@example.org', deviceId }
  const { pin } = (await server.post('/v1/users', ada)).body as { pin: string }
  const { token } = (await server.post('/v1/sessions', { deviceId, pin })).body as { token: string }
  return { authorization: `Bearer ${token}` }
}
