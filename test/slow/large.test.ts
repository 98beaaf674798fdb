import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { FIVE_GIB, MiB } from '../support/film.ts'
import { serverProcess, signedIn } from '../support/process.ts'

const { sizeBytes, sha256, blocks, slice, compare } = FIVE_GIB

it('takes and hands out 5 GiB, whole and in ranges on both sides of 2^32', async () => {
  const server = serverProcess(await temporaryFolder())
  const headers = await signedIn(server)

  const body = Readable.from(blocks())
  const stored = await server.request('/v1/files/film', { method: 'PUT', headers, body })
  expect([stored.status, stored.body]).toMatchObject([201, { size: sizeBytes, sha256 }])
  await expectWhole(`${await server.url}/v1/files/film`, headers)

  for (const start of [2 ** 32 - 70_000, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 65_535, sizeBytes - (sizeBytes % MiB)]) {
    const end = Math.min(start + 140_000, sizeBytes - 1)
    const part = await server.request('/v1/files/film', { headers: { ...headers, range: `bytes=${start}-${end}` } })
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes ${start}-${end}/${sizeBytes}`])
    expect(part.bytes.equals(slice(start, end))).toBe(true)
  }
}, 600_000)

function expectWhole(url: string, headers: Record<string, string>): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers }, (response) => {
      pipeline(response, compare).then(resolve, reject)
    })
    request.on('error', reject)
    request.end()
  })
}
