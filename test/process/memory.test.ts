import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess } from '../support/process.ts'

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
  const deviceId = 'memory-test-device'
  const ada = { name: 'Ada', email: 'ada@example.org', deviceId }
  const { pin } = (await server.post('/v1/users', ada)).body as { pin: string }
  const { token } = (await server.post('/v1/sessions', { deviceId, pin })).body as { token: string }
  const headers = { authorization: `Bearer ${token}` }
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

function* gibibyte() {
  for (let n = 0; n < SIZE_MIB; n += 1) yield block
}

function* inForm() {
  yield Buffer.from('--b\r\nContent-Disposition: form-data; name="file"; filename="form"\r\n\r\n')
  yield* gibibyte()
  yield Buffer.from('\r\n--b--\r\n')
}

async function digestOf(url: string, headers: Record<string, string>): Promise<string> {
  const hash = createHash('sha256')
  await new Promise<void>((resolve, reject) => {
    httpRequest(url, { headers, agent: false }, (response) => pipeline(response, hash).then(resolve, reject)).end()
  })
  return hash.digest('hex')
}
