import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { blobsIn, temporaryFolder } from '../support/app.ts'
import { atOnce } from '../support/at-once.ts'
import { newCertificate } from '../support/certificates.ts'
import { command, type ServerProcess, serverProcess, signedIn } from '../support/process.ts'
import { appending, asking, beginning, toldOffset } from '../support/resuming.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const NOTHING = Buffer.alloc(0)

describe('a server that is told to stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('closes cleanly on %s', async (signal) => {
    const server = serverProcess(await temporaryFolder())
    await server.url
    expect(await server.stop(signal)).toBe(0)
    expect(server.output()).toContain(`closing on ${signal}`)
  })

  it('finishes an upload that is under way', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder)
    const headers = await signedIn(server)
    const line = await partOf(server, 'PUT /v1/files/ten', headers, 10, Buffer.from('first'))
    await expect.poll(() => readdir(join(folder, 'uploads'))).toHaveLength(1)
    const stopped = server.stop('SIGTERM')
    await expect.poll(server.output).toContain('closing on SIGTERM')
    line.socket.write('later')
    expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
    expect(await stopped).toBe(0)
    expect(server.output()).not.toContain('cutting')
  })

  it('answers clients that wait for changes at once', async () => {
    const server = serverProcess(await temporaryFolder())
    const headers = await signedIn(server)
    const { nextCursor } = (await server.request('/v1/changes', { headers })).body as { nextCursor: string }
    const line = wire(await server.url)
    line.socket.write(head(`GET /v1/changes?cursor=${nextCursor}&wait=60`, headers))
    await once(line.socket, 'ready')
    expect((await server.request('/health/live')).status).toBe(200)
    const stopped = server.stop('SIGTERM')
    const response = await line.ended
    expect(response).toMatch(/^HTTP\/1\.1 200 /)
    expect(response.toLowerCase()).toContain('connection: close\r\n')
    expect(response).toContain('"changes":[]')
    expect(await stopped).toBe(0)
    expect(server.output()).not.toContain('cutting')
  })

  it('cuts what is left after SHUTDOWN_GRACE_SECONDS, and loses nothing that it acknowledged', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder, { SHUTDOWN_GRACE_SECONDS: '1' })
    const headers = await signedIn(server)
    const film = randomBytes(30 * MiB)
    await server.request('/v1/files/film', { method: 'PUT', headers, body: film })
    const begun = beginning('tus', 'resumed', { bytes: NOTHING, isLast: false, size: 9 * MiB })
    const upload = (await server.request(begun.path, authorized(headers, begun.call))).headers.location as string
    const first = appending('tus', upload, 0, { bytes: film.subarray(0, MiB), isLast: false })
    expect(toldOffset(await server.request(first.path, authorized(headers, first.call)))).toBe(MiB)

    const download = wire(await server.url)
    download.socket.write(head('GET /v1/files/film', headers))
    await download.until('\r\n\r\n')
    download.socket.pause()
    const plain = await partOf(server, 'PUT /v1/files/plain', headers, 9 * MiB, film.subarray(0, 3 * MiB))
    const { call } = appending('tus', upload, MiB, { bytes: NOTHING, isLast: false })
    const fields = { ...headers, ...call.headers }
    const append = await partOf(server, `PATCH ${upload}`, fields, 8 * MiB, film.subarray(MiB, 4 * MiB))
    // The film, the first append, and both unfinished bodies: their first bytes have arrived.
    await expect.poll(() => blobsIn(folder)).toHaveLength(4)

    const stopped = server.stop('SIGTERM')
    await Promise.all([plain.ended, append.ended])
    download.socket.resume()
    expect((await download.ended).length).toBeLessThan(film.length)
    expect(await stopped).toBe(0)
    expect(server.output()).toContain('cutting 3 connections')
    expect(server.output()).not.toMatch(/"level":[56]0/)
    expect(await readdir(join(folder, 'data'))).not.toContain('minikeepsafe.db-wal')

    const next = serverProcess(folder)
    expect((await next.request('/v1/files/plain', { headers })).status).toBe(404)
    expect((await next.request('/v1/files/film', { headers })).bytes.equals(film)).toBe(true)
    const there = asking('tus', upload)
    const offset = toldOffset(await next.request(there.path, authorized(headers, there.call))) as number
    expect(offset).toBe(4 * MiB)
    const rest = appending('tus', upload, offset, { bytes: film.subarray(offset, 9 * MiB), isLast: true })
    expect((await next.request(rest.path, authorized(headers, rest.call))).status).toBe(204)
    const resumed = await next.request('/v1/files/resumed', { headers })
    expect(resumed.bytes.equals(film.subarray(0, 9 * MiB))).toBe(true)
    expect(await next.stop('SIGTERM')).toBe(0)
    expect((await command(folder, ['verify'])).report).toMatchObject({ damaged: [], missing: [], orphans: [] })
  })

  it('cuts everything at once with SHUTDOWN_GRACE_SECONDS=0, also behind a proxy', async () => {
    const settings = { SHUTDOWN_GRACE_SECONDS: '0', TRUST_PROXY: '127.0.0.1' }
    const server = serverProcess(await temporaryFolder(), settings)
    const line = await partOf(server, 'PUT /v1/files/ten', await signedIn(server), 10, Buffer.from('first'))
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(await line.ended).toBe('')
  })

  atOnce({
    'behind a proxy accepts connections for another moment, and is not ready': async () => {
      const server = serverProcess(await temporaryFolder(), { TRUST_PROXY: '127.0.0.1' })
      await server.url
      const stopped = server.stop('SIGTERM')
      await expect.poll(server.output).toContain('closing on SIGTERM')
      const ready = await server.request('/health/ready')
      expect([ready.status, ready.headers.connection]).toEqual([503, 'keep-alive'])
      expect((await server.request('/health/live')).status).toBe(200)
      expect(await stopped).toBe(0)
    },

    'does not wait for connections that have sent nothing': async () => {
      const server = serverProcess(await temporaryFolder(), { SHUTDOWN_GRACE_SECONDS: '600' })
      const silent = wire(await server.url)
      await once(silent.socket, 'connect')
      expect((await server.request('/health/live')).status).toBe(200)
      expect(await server.stop('SIGTERM')).toBe(0)
      expect(server.output()).not.toContain('cutting')
    },

    'does not wait for them over TLS, before the handshake and after it': async () => {
      const folder = await temporaryFolder()
      const { cert, key } = newCertificate(folder)
      const settings = { TLS_CERT: cert, TLS_KEY: key, SHUTDOWN_GRACE_SECONDS: '600' }
      const server = serverProcess(folder, settings)
      const { port, hostname: host } = new URL(await server.url)
      const before = connectPlain(Number(port), host)
      const after = connectTls({ port: Number(port), host, rejectUnauthorized: false })
      await Promise.all([once(before, 'connect'), once(after, 'secureConnect')])
      expect((await server.request('/health/live')).status).toBe(200)
      expect(await server.stop('SIGTERM')).toBe(0)
      expect(server.output()).not.toContain('cutting')
    },

    'ends at once on a second signal': async () => {
      const server = serverProcess(await temporaryFolder(), { SHUTDOWN_GRACE_SECONDS: '600' })
      const line = await partOf(server, 'PUT /v1/files/ten', await signedIn(server), 10, Buffer.from('first'))
      const stopped = server.stop('SIGTERM')
      await expect.poll(server.output).toContain('closing on SIGTERM')
      // A second signal of the same Ctrl-C comes sooner.
      await pause(1100)
      process.kill(server.pid, 'SIGTERM')
      expect(await stopped).toBe(1)
      expect(server.output()).toContain('ending at once on a second SIGTERM')
      await line.ended
    },
  })
})

const authorized = (headers: object, call: { headers: Record<string, string> }) => ({
  ...call,
  headers: { ...headers, ...call.headers },
})

/** Sends a head and the first bytes of its body. */
async function partOf(server: ServerProcess, line: string, headers: object, length: number, bytes: Buffer) {
  const sending = wire(await server.url)
  onTestFinished(() => void sending.socket.destroy())
  sending.socket.write(head(line, { ...headers, 'content-length': length }))
  sending.socket.write(bytes)
  await expect.poll(() => sending.socket.bytesWritten - sending.socket.writableLength).toBeGreaterThan(bytes.length)
  return sending
}
