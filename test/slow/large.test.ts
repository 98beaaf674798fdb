import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'

const MiB = 1024 * 1024
const BLOCKS = 5 * 1024
const TAIL = Buffer.from('the end of it')
const SIZE = BLOCKS * MiB + TAIL.length

const random = randomBytes(MiB)

/** No two blocks are the same. */
function block(n: number): Buffer {
  const bytes = Buffer.from(random)
  bytes.writeUInt32BE(n, 0)
  return bytes
}

function* content() {
  for (let n = 0; n < BLOCKS; n += 1) yield block(n)
  yield TAIL
}

it('takes and hands out 5 GiB, whole and in ranges on both sides of 2^32', async () => {
  const server = serverProcess(await temporaryFolder())
  const headers = await signedIn(server)
  const hash = createHash('sha256')
  for (const bytes of content()) hash.update(bytes)
  const sha256 = hash.digest('hex')

  const body = Readable.from(content())
  const stored = await server.request('/v1/files/film', { method: 'PUT', headers, body })
  expect([stored.status, stored.body]).toMatchObject([201, { size: SIZE, sha256 }])
  expect(await digestOf(`${await server.url}/v1/files/film`, headers)).toBe(sha256)

  for (const start of [2 ** 32 - 70_000, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 65_535, SIZE - TAIL.length]) {
    const end = Math.min(start + 140_000, SIZE - 1)
    const part = await server.request('/v1/files/film', { headers: { ...headers, range: `bytes=${start}-${end}` } })
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes ${start}-${end}/${SIZE}`])
    expect(part.bytes.equals(expectedBytes(start, end))).toBe(true)
  }
}, 600_000)

function expectedBytes(start: number, end: number): Buffer {
  const first = Math.floor(start / MiB)
  const blocks = [block(first), block(first + 1)].slice(0, Math.max(0, BLOCKS - first))
  return Buffer.concat([...blocks, TAIL]).subarray(start - first * MiB, end + 1 - first * MiB)
}

function digestOf(url: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers }, (response) => {
      const hash = createHash('sha256')
      pipeline(response, hash).then(() => resolve(hash.digest('hex')), reject)
    })
    request.on('error', reject)
    request.end()
  })
}
