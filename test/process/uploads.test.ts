/** Resumable uploads on several processes behind nginx: to their clients they are one server. */
import { randomBytes } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { type Member, member } from '../support/app.ts'
import { cluster, describeCluster } from '../support/cluster.ts'
import type { Answer } from '../support/http.ts'
import type { ServerProcess } from '../support/process.ts'
import {
  appending,
  asking,
  beginning,
  type Dialect,
  isComplete,
  type Sending,
  toldOffset,
} from '../support/resuming.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const NOTHING = Buffer.alloc(0)

describeCluster('a cluster', { timeout: 120_000 }, () => {
  it('continues an upload on any process, and finishes it where no byte of it arrived', async () => {
    const { one, other, nginx, ada, expectSound } = await pair()
    const bytes = randomBytes(3 * MiB)
    for (const dialect of ['tus', 6, 10] as const) {
      const name = `film-${dialect}`
      const path = await begun(one, ada, dialect, name, bytes.length)
      for (const [n, server] of [one, other, one].entries()) {
        const piece = { bytes: bytes.subarray(n * MiB, (n + 1) * MiB - 1000), isLast: false }
        const rest = {
          bytes: bytes.subarray((n + 1) * MiB - 1000, (n + 1) * MiB),
          isLast: dialect !== 'tus' && n === 2,
        }
        expect((await send(server, ada, appending(dialect, path, n * MiB, piece))).status).toBeLessThan(300)
        const there = await send(server === one ? other : one, ada, asking(dialect, path))
        expect(toldOffset(there)).toBe((n + 1) * MiB - 1000)
        if (n === 2) continue
        expect((await send(server, ada, appending(dialect, path, (n + 1) * MiB - 1000, rest))).status).toBeLessThan(300)
      }
      const end = { bytes: bytes.subarray(bytes.length - 1000), isLast: dialect !== 'tus' }
      expect(isComplete(await send(other, ada, appending(dialect, path, bytes.length - 1000, end)))).toBe(true)
      for (const server of [one, other]) expect((await get(server, ada, name)).equals(bytes)).toBe(true)
    }

    const path = await begun(one, ada, 10, 'read-back', bytes.length)
    await send(one, ada, appending(10, path, 0, { bytes, isLast: false }))
    const finished = await send(other, ada, appending(10, path, bytes.length, { bytes: NOTHING, isLast: true }))
    expect([finished.status, isComplete(finished)]).toEqual([201, true])
    expect((await get(one, ada, 'read-back')).equals(bytes)).toBe(true)

    const through = await begun(nginx, ada, 'tus', 'through-nginx', bytes.length)
    for (let at = 0; at < bytes.length; at += MiB / 2) {
      const piece = { bytes: bytes.subarray(at, at + MiB / 2), isLast: false }
      expect((await send(nginx, ada, appending('tus', through, at, piece))).status).toBe(204)
    }
    expect((await get(nginx, ada, 'through-nginx')).equals(bytes)).toBe(true)
    await expectSound()
  })

  it('continues an upload while another process still waits for bytes of a connection that hangs', async () => {
    const { one, other, ada, expectSound } = await pair()
    const bytes = randomBytes(3 * MiB)
    const path = await begun(one, ada, 'tus', 'film', bytes.length)
    const line = wire(await one.url)
    onTestFinished(() => void line.socket.destroy())
    const fields = appending('tus', path, 0, { bytes: NOTHING, isLast: false }).call.headers
    const authorization = `Bearer ${ada.token}`
    line.socket.write(head(`PATCH ${path}`, { ...fields, authorization, 'content-length': bytes.length }))
    line.socket.write(bytes.subarray(0, 2 * MiB))
    await expect.poll(() => line.socket.bytesWritten - line.socket.writableLength).toBeGreaterThan(2 * MiB)

    expect(toldOffset(await send(other, ada, asking('tus', path)))).toBe(0)
    const first = appending('tus', path, 0, { bytes: bytes.subarray(0, MiB), isLast: false })
    expect((await send(other, ada, first)).status).toBe(204)
    const rest = appending('tus', path, MiB, { bytes: bytes.subarray(MiB), isLast: false })
    expect(isComplete(await send(other, ada, rest))).toBe(true)

    // The first process refuses the bytes that arrive there later, and they change nothing.
    line.socket.write(bytes.subarray(2 * MiB))
    expect(await line.until('"requestId"')).toMatch(/^HTTP\/1\.1 4(09|23) /)
    for (const server of [one, other]) expect((await get(server, ada, 'film')).equals(bytes)).toBe(true)
    line.socket.destroy()
    await expectSound()
  })
})

async function pair() {
  const { servers, nginx, expectSound } = await cluster(2, { UPLOAD_INTERIM_RESPONSES: 'off' })
  const [one, other] = servers as [ServerProcess, ServerProcess]
  const ada = await member(one)
  return {
    ...{ one, other, nginx, ada },
    async expectSound() {
      expect(await Promise.all(servers.map((server) => server.stop('SIGTERM')))).toEqual([0, 0])
      await expectSound()
    },
  }
}

type Server = Pick<ServerProcess, 'request'>

function send(server: Server, { token }: Member, { path, call }: Sending): Promise<Answer> {
  return server.request(path, { ...call, headers: { authorization: `Bearer ${token}`, ...call.headers } })
}

async function begun(server: Server, ada: Member, dialect: Dialect, name: string, size: number): Promise<string> {
  const answer = await send(server, ada, beginning(dialect, name, { bytes: NOTHING, isLast: false, size }))
  expect(answer.status).toBe(201)
  return answer.headers.location as string
}

async function get(server: Server, ada: Member, name: string): Promise<Buffer> {
  const { bytes } = await send(server, ada, { path: `/v1/files/${name}`, call: { headers: {} } })
  return bytes
}
