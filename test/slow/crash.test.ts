import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { blobsIn, temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

describe('after kill -9', () => {
  it('what was acknowledged is there, and what was not is swept', async () => {
    const folder = await temporaryFolder()
    const first = serverProcess(folder)
    const headers = await signedIn(first)
    const acknowledged = new Map<string, Buffer>()
    /** What was sent last under each name: after the kill either it or what was acknowledged stands there. */
    const sent = new Map<string, Buffer>()
    let underWay = true
    const uploads = Array.from({ length: 8 }, async (_, lane) => {
      for (let n = 0; underWay; n += 1) {
        const [name, bytes] = [`file-${lane}-${n % 5}`, randomBytes(1 + ((lane * 37_000 + n * 91_000) % 300_000))]
        sent.set(name, bytes)
        const answer = await first
          .request(`/v1/files/${name}?replaced=discard`, { method: 'PUT', headers, body: bytes })
          .catch(() => null)
        if (!answer) return
        acknowledged.set(name, bytes)
      }
    })
    const half = wire(await first.url)
    half.socket.write(head('PUT /v1/files/half', { ...headers, 'content-length': 50_000_000 }))
    half.socket.write(randomBytes(5_000_000))
    await expect.poll(() => acknowledged.size, { timeout: 20_000 }).toBe(40)
    await first.stop('SIGKILL')
    underWay = false
    await Promise.all(uploads)

    const second = serverProcess(folder)
    const { body } = await second.request('/v1/files?limit=1000', { headers })
    const names = (body as { files: { name: string }[] }).files.map(({ name }) => name)
    expect(names.sort()).toEqual([...acknowledged.keys()].sort())
    for (const [name, bytes] of acknowledged) {
      const download = await second.request(`/v1/files/${name}`, { headers })
      expect([bytes, sent.get(name)].some((whole) => whole && download.bytes.equals(whole))).toBe(true)
    }
    await expect.poll(() => blobsIn(folder)).toHaveLength(names.length)
  })

  it('a session goes on, and a pending PIN is forgotten', async () => {
    const folder = await temporaryFolder()
    const first = serverProcess(folder)
    const headers = await signedIn(first)
    const pending = { name: 'Eve', email: 'eve@example.org', deviceId: 'another-device' }
    const { pin } = (await first.post('/v1/users', pending)).body as { pin: string }
    await first.stop('SIGKILL')

    const second = serverProcess(folder)
    expect((await second.request('/v1/files', { headers })).status).toBe(200)
    const answer = await second.post('/v1/sessions', { deviceId: pending.deviceId, pin })
    expect(answer).toBeProblem(401, 'invalid-pin')
    expect((await second.post('/v1/users', pending)).status).toBe(201)
  })

  it('the runs before are forgotten, and their empty folders removed', async () => {
    const folder = await temporaryFolder()
    for (let round = 0; round < 3; round += 1) {
      const server = serverProcess(folder)
      const headers = await signedIn(server)
      const half = wire(await server.url)
      half.socket.write(head('PUT /v1/files/half', { ...headers, 'content-length': 50_000_000 }))
      half.socket.write(randomBytes(2_000_000))
      await expect.poll(() => blobsIn(folder).then((blobs) => blobs.length)).toBeGreaterThan(0)
      await server.stop('SIGKILL')
    }
    const last = serverProcess(folder)
    await last.url
    await expect.poll(() => readdir(join(folder, 'uploads'))).toEqual([])
  })
})
