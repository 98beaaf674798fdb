import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createInflateRaw } from 'node:zlib'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { MiB, ONE_GIB } from '../support/film.ts'
import { type ServerProcess, serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const { sizeBytes, sha256, blocks, compare, slice } = ONE_GIB
const block = slice(0, MiB - 1)

it('takes and hands out 1 GiB by each route with memory that grows by less than 100 MiB', async () => {
  const server = serverProcess(await temporaryFolder(), { LOG_LEVEL: 'info' })
  const headers = await signedIn(server)
  await server.request('/v1/files/warm-up', { method: 'PUT', headers, body: block })
  await server.request('/v1/files/warm-up', { headers })
  const before = server.memory().now

  const raw = await server.request('/v1/files/raw', { method: 'PUT', headers, body: Readable.from(blocks()) })
  expect([raw.status, (raw.body as { sha256: string }).sha256]).toEqual([201, sha256])

  const type = { 'content-type': 'multipart/form-data; boundary=b' }
  const form = await server.request('/v1/files', {
    method: 'POST',
    headers: { ...headers, ...type },
    body: Readable.from(inForm()),
  })
  expect([form.status, (form.body as { sha256: string }).sha256]).toEqual([201, sha256])

  await expectWhole(`${await server.url}/v1/files/raw`, headers)
  expect((server.memory().peak - before) / MiB).toBeLessThan(100)
}, 180_000)

it('hands out an export of 1 GiB with memory that grows by less than 100 MiB', async () => {
  const server = serverProcess(await temporaryFolder(), { LOG_LEVEL: 'info' })
  const headers = await signedIn(server)
  await server.request('/v1/files/film', { method: 'PUT', headers, body: block })
  await server.request('/v1/me/export', { headers })
  const before = server.memory().now
  await server.request('/v1/files/film', { method: 'PUT', headers, body: Readable.from(blocks()) })
  // What stands in front of the bytes: the local header with the path and one extra field.
  const skipped = 30 + 'files/film'.length + 9
  const url = `${await server.url}/v1/me/export`
  // Deflate blocks that are not compressed have 5 bytes in front of at most 65,535.
  const packed = sizeBytes + 5 * Math.ceil(sizeBytes / 65_535)
  const inflated = (bytes: Bytes) => Readable.from(part(bytes, skipped, packed)).pipe(createInflateRaw())
  await expectWhole(url, headers, inflated)
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

function* inForm() {
  yield Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="form"\r\n\r\n')
  yield* blocks()
  yield Buffer.from('\r\n--b--\r\n')
}

type Bytes = AsyncIterable<Buffer>

function expectWhole(
  url: string,
  headers: Record<string, string>,
  choose: (bytes: Bytes) => Bytes = (bytes) => bytes,
): Promise<void> {
  return new Promise((resolve, reject) => {
    httpRequest(url, { headers, agent: false }, (response) => {
      pipeline(response, choose, compare).then(resolve, reject)
    }).end()
  })
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
