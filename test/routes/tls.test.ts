import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { get } from 'node:https'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { certificateIn } from '../../src/adapters/disk/certificate.ts'
import type { HttpRules } from '../../src/app.ts'
import { httpRulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import { member, temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate, renew } from '../support/certificates.ts'
import { serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

describe('a server with a certificate', () => {
  it('serves HTTP/1.1 over TLS, and tells browsers to stay with it', async () => {
    const { app, files } = await tlsApp()
    const answer = await over(app.url, files.cert)
    expect(answer).toMatchObject({ status: 200, version: '1.1' })
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000')
  })

  it.each([
    ['a refusal', 'GET /v1/files', 401],
    ['an unknown path', 'GET /nothing', 404],
    ['a path that cannot be decoded', 'GET /v1/files/%ff', 400],
    ['an unknown method', 'TRACE /v1/files', 405],
    ['a page of the documentation', 'GET /docs', 200],
  ])('says so on %s', async (_what, line, status) => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert)
    socket.write(head(line, { connection: 'close' }))
    const [start] = (await text(socket)).split('\r\n\r\n')
    expect(start).toMatch(new RegExp(`^HTTP/1.1 ${status} .*\r\nstrict-transport-security: max-age=31536000`, 's'))
  })

  it('says so on the answer to what is no request as well', async () => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert)
    socket.write('no request\r\n\r\n')
    const answer = await text(socket)
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*\r\nstrict-transport-security: max-age=31536000\r\n/s)
  })

  it('refuses a request with more than 100 fields, too', async () => {
    const { app, files } = await tlsApp()
    const owner = await member(app)
    await owner.put('a', 'old')
    const socket = await handshake(app.url, files.cert)
    const fields = { authorization: `Bearer ${owner.token}`, 'content-length': 3 }
    const start = head('PUT /v1/files/a', fields).replace(/\r\n$/, '')
    socket.write(`${start}${'a:\r\n'.repeat(100)}If-None-Match: *\r\n\r\nnew`)
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 431 .*"code":"headers-too-large"/s)
    expect((await owner.get('a')).body).toBe('old')
  })

  it('takes large files and hands them out unchanged', async () => {
    const { app, files } = await tlsApp()
    const owner = await member(app)
    const bytes = Buffer.alloc(3_000_000, 'film')
    expect((await owner.put('film', bytes)).status).toBe(201)
    expect((await owner.get('film')).bytes.equals(bytes)).toBe(true)
    expect((await over(app.url, files.cert)).status).toBe(200)
  })

  it('writes large files in pieces, because a connection keeps the memory of its longest write', async () => {
    const { app } = await tlsApp()
    const owner = await member(app)
    await owner.put('film', Buffer.alloc(3_000_000, 'film'))
    const write = vi.spyOn(Socket.prototype, '_write')
    const writev = vi.spyOn(Socket.prototype, '_writev')
    onTestFinished(() => void vi.restoreAllMocks())
    await owner.get('film')
    const whole = writev.mock.calls.map(([pieces]) => pieces.reduce((sum, { chunk }) => sum + chunk.length, 0))
    const lengths = [...write.mock.calls.map(([chunk]) => chunk.length), ...whole]
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBeGreaterThan(3_000_000)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(64 * 1024)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'responds to an upload over %s whose client has closed its side',
    async (version) => {
      const { app, files } = await tlsApp()
      const owner = await member(app)
      const socket = await handshake(app.url, files.cert, { maxVersion: version, allowHalfOpen: true })
      socket.end(`${head('PUT /v1/files/a', { authorization: `Bearer ${owner.token}`, 'content-length': 3 })}new`)
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 /)
      expect((await owner.get('a')).body).toBe('new')
    },
  )

  it('closes a connection whose client has closed its side after the handshake, or before', async () => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert, { allowHalfOpen: true })
    socket.end()
    expect(await text(socket)).toBe('')
    const line = wire(app.url)
    line.socket.end(Buffer.from([22, 3, 1, 2, 0, 1, 0, 1]))
    expect(await line.ended).toBe('')
  })

  it.each(['TLSv1', 'TLSv1.1'] as const)('does not speak %s', async (version) => {
    const { app, files } = await tlsApp()
    // At its lowest level OpenSSL would offer the old versions, too.
    const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }
    await expect(handshake(app.url, files.cert, old)).rejects.toThrow(/protocol version/)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s', async (version) => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert, { minVersion: version, maxVersion: version })
    expect(socket.getProtocol()).toBe(version)
    socket.destroy()
  })

  it.each([
    ['ec', 'ECDHE-ECDSA-AES128-SHA256'],
    ['ec', 'ECDHE-ECDSA-AES256-SHA'],
    ['rsa', 'AES128-GCM-SHA256'],
    ['rsa', 'DHE-RSA-AES128-GCM-SHA256'],
  ] as const)('with a certificate of %s takes no %s', async (kind, ciphers) => {
    const { app, files } = await tlsApp({}, 60_000, kind)
    const tls12 = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const
    await expect(handshake(app.url, files.cert, { ...tls12, ciphers })).rejects.toThrow(/handshake failure/)
    const socket = await handshake(app.url, files.cert, tls12)
    expect(socket.getCipher().name).toMatch(/^ECDHE-.*(GCM|CHACHA20)/)
    socket.destroy()
  })

  it.each(['ffdhe2048', 'ffdhe8192', 'P-521'])('does not exchange keys in %s', async (ecdhCurve) => {
    const { app, files } = await tlsApp()
    const tls13 = { minVersion: 'TLSv1.3', ecdhCurve } as const
    await expect(handshake(app.url, files.cert, tls13)).rejects.toThrow(/handshake failure/)
  })

  it.each([
    ['TLSv1.2', 'P-256'],
    ['TLSv1.3', 'X25519'],
    ['TLSv1.3', 'P-256'],
    ['TLSv1.3', 'P-384'],
  ] as const)('exchanges keys over %s in %s', async (version, ecdhCurve) => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert, { minVersion: version, maxVersion: version, ecdhCurve })
    expect(socket.getEphemeralKeyInfo()).toMatchObject({ type: 'ECDH' })
    socket.destroy()
  })

  it('gives nothing to plain HTTP, and goes on', async () => {
    const { app, files } = await tlsApp()
    const line = wire(app.url)
    line.socket.write(head('GET /health/live'))
    expect(await line.ended).not.toContain('"ok"')
    expect((await over(app.url, files.cert)).status).toBe(200)
    expect(app.log.join('\n')).not.toContain('"level":50')
  })

  it('closes a connection on which no handshake comes', async () => {
    const { app } = await tlsApp({ headerMs: 200 })
    expect(await wire(app.url).ended).not.toContain('HTTP')
  })

  it('takes one handshake for each connection', async () => {
    const { app, files } = await tlsApp()
    const socket = await handshake(app.url, files.cert, { maxVersion: 'TLSv1.2' })
    const refused = new Promise<Error>((resolve) => {
      socket.once('error', resolve)
      socket.renegotiate({}, (error) => resolve(error ?? new Error('the server took it')))
    })
    expect((await refused).message).toMatch(/no renegotiation/i)
    expect((await over(app.url, files.cert)).status).toBe(200)
  })

  it('closes a connection with a hello that is too long, and not one with a long request', async () => {
    const { app, files } = await tlsApp()
    const owner = await member(app)
    const socket = await handshake(app.url, files.cert)
    const fields = { authorization: `Bearer ${owner.token}`, 'content-length': 100_001, connection: 'close' }
    socket.write(head('PUT /v1/files/film', fields))
    socket.write('x'.repeat(100_000))
    // The start of a ClientHello of 128 KiB, in records of 16 KiB.
    const record = Buffer.alloc(5 + 16_384)
    record.set([22, 3, 1, 0x40, 0, 1, 1, 0xff, 0xf0, 3, 3])
    const rest = Buffer.from(record).fill(0, 5)
    const line = wire(app.url)
    line.socket.write(Buffer.concat([record, rest]))
    expect(await line.ended).toBe('')
    socket.write('y')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 /)
  })

  it('uses a renewed certificate without a new start', async () => {
    const { app, files } = await tlsApp({}, 20)
    const kept = await handshake(app.url, files.cert)
    const next = newCertificate(await temporaryFolder(), 'renewed')
    renew(files, next)
    await expect.poll(() => subjectAt(app.url)).toBe('renewed')
    expect((await over(app.url, next.cert)).status).toBe(200)
    kept.write(head('GET /health/live', { connection: 'close' }))
    expect(await text(kept)).toMatch(/^HTTP\/1\.1 200 /)
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(handshake(app.url, next.cert, old)).rejects.toThrow(/protocol version/)
    await expect(handshake(app.url, next.cert, { ecdhCurve: 'ffdhe2048' })).rejects.toThrow(/handshake failure/)
  })

  it('stays with the former one while the new pair is written in part', async () => {
    const { app, files } = await tlsApp({}, 20)
    const next = newCertificate(await temporaryFolder(), 'renewed')
    cpSync(next.cert, files.cert)
    await expect.poll(() => app.log.join()).toContain('which is not the key of the certificate')
    expect(await subjectAt(app.url)).toBe('vault')
    cpSync(next.key, files.key)
    await expect.poll(() => subjectAt(app.url)).toBe('renewed')
  })
})

describe('the process with a certificate', () => {
  it('says that it serves HTTPS, and does not warn of plain HTTP', async () => {
    const folder = await temporaryFolder()
    const files = newCertificate(folder)
    const server = serverProcess(folder, {
      HOST: '0.0.0.0',
      RATE_LIMIT: 'off',
      TLS_CERT: files.cert,
      TLS_KEY: files.key,
    })
    const url = await server.url
    await expect.poll(server.output).toContain('no rate limit')
    expect(url).toMatch(/^https:/)
    expect((await over(url, files.cert)).status).toBe(200)
    expect(server.output()).not.toContain('plain HTTP')
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  it.each<[what: string, message: string, named: { cert?: string; key?: string }]>([
    ['is missing', 'TLS_CERT is .*no.crt, which cannot be used: ENOENT', { cert: 'no.crt' }],
    ['has no key', 'TLS_KEY is .*no.key, which cannot be used: ENOENT', { key: 'no.key' }],
    ['is none', 'TLS_CERT is .*vault.key, which cannot be used', { cert: 'vault.key' }],
    ['has another file for its key', 'TLS_KEY is .*vault.crt, which cannot be used', { key: 'vault.crt' }],
    ['is empty', 'TLS_CERT is .*empty, which cannot be used', { cert: 'empty' }],
    ['has the key of another', 'TLS_KEY is .*other.key, which is not the key of the certificate', { key: 'other.key' }],
  ])('does not start where it %s', async (_what, message, { cert = 'vault.crt', key = 'vault.key' }) => {
    const folder = await temporaryFolder()
    newCertificate(folder)
    newCertificate(folder, 'other')
    writeFileSync(`${folder}/empty`, '')
    const config = readConfig({ TLS_CERT: `${folder}/${cert}`, TLS_KEY: `${folder}/${key}` })
    expect(() => httpRulesOf(config)).toThrow(new RegExp(message))
  })

  it('ends with 1 before it opens anything where that cannot be used', async () => {
    const folder = await temporaryFolder()
    const { cert } = newCertificate(folder)
    const server = serverProcess(folder, { TLS_CERT: cert, TLS_KEY: newCertificate(folder, 'other').key })
    expect(await server.exit).toBe(1)
    expect(server.output()).toMatch(/^The server cannot start: TLS_KEY is .* is not the key of the certificate .*$/m)
    expect(existsSync(join(folder, 'data'))).toBe(false)
  })
})

/** An app with a certificate of its own, which it reads again every `rereadMs`. */
async function tlsApp(http: Partial<HttpRules> = {}, rereadMs = 60_000, kind: 'ec' | 'rsa' = 'ec') {
  const files = newCertificate(await temporaryFolder(), 'vault', kind)
  const tls = { read: certificateIn(files.cert, files.key), rereadMs }
  const app = await testApp({ TLS_CERT: files.cert, TLS_KEY: files.key }, undefined, { ...http, tls })
  return { app, files }
}

/** Asks whether the server lives, with trust in this certificate alone. */
function over(url: string, cert: string) {
  return new Promise<{ status: number | undefined; version: string; headers: IncomingHttpHeaders }>(
    (resolve, reject) => {
      const options = { ca: readFileSync(cert), agent: false as const }
      get(`${url.replace('0.0.0.0', '127.0.0.1')}/health/live`, options, (response) => {
        response.resume()
        resolve({ status: response.statusCode, version: response.httpVersion, headers: response.headers })
      }).on('error', reject)
    },
  )
}

function handshake(
  url: string,
  cert: string,
  options: ConnectionOptions & { allowHalfOpen?: boolean } = {},
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const to = { host: '127.0.0.1', port: Number(new URL(url).port), ca: readFileSync(cert), ...options }
    const socket = connect(to, () => resolve(socket))
    socket.on('error', reject)
  })
}

/** Whose certificate the server shows. */
function subjectAt(url: string): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

async function text(socket: TLSSocket): Promise<string> {
  let received = ''
  for await (const chunk of socket) received += chunk
  return received
}
