/** The web vault as the server sends it. The files here are a few of the build's kind; test/web/ looks at the real ones. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { appForMany, newDeviceId, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import type { Answer } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const SCRIPT = '/assets/index-abcd1234.js'
const CODE = `export const words = ${JSON.stringify('a vault for photos '.repeat(200))}\n`
const FILES: Record<string, string | Buffer> = {
  'index.html': '<!doctype html><title>the page</title>',
  'sw.js': 'self.oninstall = () => {}\n',
  'manifest.webmanifest': '{"name":"minikeepsafe"}',
  'icon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'icon-192.png': Buffer.from('89504e47', 'hex'),
  [SCRIPT.slice(1)]: CODE,
  [`${SCRIPT.slice(1)}.br`]: brotliCompressSync(CODE),
  [`${SCRIPT.slice(1)}.gz`]: gzipSync(CODE),
  [`${SCRIPT.slice(1)}.map`]: '{}',
  '.vite/manifest.json': '{}',
  '.hidden': 'a secret',
  'assets/.hidden.js': 'a secret',
}
const SERVED = ['/', '/sw.js', '/manifest.webmanifest', '/icon.svg', '/icon-192.png', SCRIPT]

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'minikeepsafe-web-'))
  for (const [name, bytes] of Object.entries(FILES)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  await symlink('/etc/passwd', join(folder, 'linked.txt'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const sharedApp = appForMany(() => ({ web: folder }))
const webApp = (settings: Record<string, string>) => testApp(settings, undefined, { web: folder })

describe('the web vault', () => {
  it.each([
    ['/', 'text/html; charset=utf-8', 'no-cache'],
    ['/sw.js', 'text/javascript; charset=utf-8', 'no-cache'],
    ['/manifest.webmanifest', 'application/manifest+json; charset=utf-8', 'public, max-age=86400'],
    ['/icon.svg', 'image/svg+xml', 'public, max-age=86400'],
    ['/icon-192.png', 'image/png', 'public, max-age=86400'],
    [SCRIPT, 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ])('has %s, as %s, to be cached as %j', async (path, type, caching) => {
    const app = await sharedApp()
    const { status, headers, bytes } = await app.request(path)
    const stored = FILES[path === '/' ? 'index.html' : path.slice(1)] as string | Buffer
    expect([status, bytes.equals(Buffer.from(stored))]).toEqual([200, true])
    expect(headers).toMatchObject({
      'content-type': type,
      'cache-control': caching,
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
      'content-length': String(bytes.length),
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'x-frame-options': 'DENY',
    })
    expect(headers).not.toHaveProperty('set-cookie')
    expect(headers).not.toHaveProperty('strict-transport-security')
  })

  it('may run and show nothing but what this server sends, and is in no frame', async () => {
    const app = await sharedApp()
    for (const path of SERVED) {
      expect((await app.request(path)).headers['content-security-policy'], path).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; " +
          "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      )
    }
    const { 'permissions-policy': permissions } = (await app.request('/')).headers
    expect(permissions).toContain('camera=(), ')
    expect(permissions).not.toMatch(/self|\*/)
  })

  it('has Strict-Transport-Security over TLS', async () => {
    const { cert, key } = newCertificate(await temporaryFolder())
    const app = await webApp({ TLS_CERT: cert, TLS_KEY: key })
    for (const path of SERVED) {
      expect((await app.request(path)).headers['strict-transport-security'], path).toBe('max-age=31536000')
    }
  })

  it.each([
    ['br', 'br'],
    ['gzip, deflate, br, zstd', 'br'],
    ['gzip, deflate', 'gzip'],
    ['GZIP;q=0.5', 'gzip'],
    ['br;q=0.5, gzip', 'gzip'],
    ['*', 'br'],
    ['*, br;q=0', 'gzip'],
    ['br;q=0, gzip;q=0', undefined],
    ['gzip;q=0.5, identity', undefined],
    ['zstd', undefined],
    ['identity;q=0', undefined],
    ['br;level=1, ;;', undefined],
    ['', undefined],
  ])('answers Accept-Encoding %j with %s', async (accepted, coding) => {
    const app = await sharedApp()
    const { headers, bytes } = await app.request(SCRIPT, { headers: { 'accept-encoding': accepted } })
    expect([headers['content-encoding'], headers.vary]).toEqual([coding, 'accept-encoding'])
    expect(decoded({ headers, bytes })).toBe(CODE)
  })

  it('has a strong tag for each coding, and is a 304 for a client that has these bytes', async () => {
    const app = await sharedApp()
    const tags = new Set<string>()
    for (const accepted of ['br', 'gzip', 'identity']) {
      const encoded = { 'accept-encoding': accepted }
      const { etag } = (await app.request(SCRIPT, { headers: encoded })).headers
      tags.add(etag as string)
      const again = await app.request(SCRIPT, { headers: { ...encoded, 'if-none-match': `"x", W/${etag}` } })
      expect([again.status, again.bytes.length]).toEqual([304, 0])
      expect(again.headers).toMatchObject({
        etag,
        vary: 'accept-encoding',
        'cache-control': 'public, max-age=31536000, immutable',
      })
      for (const name of ['content-type', 'content-length', 'content-encoding'])
        expect(again.headers).not.toHaveProperty(name)
    }
    expect(tags.size).toBe(3)
    const [first] = tags
    const other = { 'accept-encoding': 'gzip', 'if-none-match': first }
    expect((await app.request(SCRIPT, { headers: other })).status).toBe(200)
  })

  it('has the same tags on another server with the same build', async () => {
    const tagOf = async (app: TestApp) => (await app.request('/')).headers.etag
    expect(await tagOf(await webApp({}))).toBe(await tagOf(await sharedApp()))
  })

  it('refuses what If-Match does not name, and ignores dates and ranges', async () => {
    const app = await sharedApp()
    const { etag } = (await app.request('/')).headers
    const status = async (headers: Record<string, string>) => (await app.request('/', { headers })).status
    expect(await app.request('/', { headers: { 'if-match': '"x"' } })).toBeProblem(412, 'precondition-failed')
    expect(await status({ 'if-match': etag as string })).toBe(200)
    expect(await status({ 'if-modified-since': new Date().toUTCString() })).toBe(200)
    for (const method of ['GET', 'HEAD']) {
      const part = await app.request('/', { method, headers: { range: 'bytes=0-3' } })
      expect([part.status, part.headers['content-length']]).toEqual([200, String(FILES['index.html']?.length)])
    }
  })

  it.each(SERVED)('answers HEAD of %s with the headers of GET', async (path) => {
    const app = await sharedApp()
    const headers = { 'accept-encoding': 'br', 'x-request-id': 'mine' }
    const [get, answer] = [await app.request(path, { headers }), await app.request(path, { method: 'HEAD', headers })]
    const { date: _, ...expected } = get.headers
    expect(answer.headers).toMatchObject(expected)
    expect([answer.status, answer.bytes.length]).toEqual([200, 0])
  })

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('refuses %s of a known path', async (method) => {
    const app = await sharedApp()
    for (const path of ['/', SCRIPT]) {
      const answer = await app.request(path, { method })
      expect(answer).toBeProblem(405, 'method-not-allowed')
      expect(answer.headers.allow).toBe('GET, HEAD')
    }
  })

  it.each([
    ['/index.html', '/assets', '/assets/', '/assets/index.js', '/gallery', '/favicon.ico', '/ASSETS/index-abcd1234.js'],
    [`${SCRIPT}.map`, `${SCRIPT}.br`, `${SCRIPT}.gz`, `${SCRIPT}/`, '//'],
    ['/.vite/manifest.json', '/.hidden', '/assets/.hidden.js', '/linked.txt'],
    ['/assets/..%2findex.html', '/assets/..%2f..%2fpackage.json', '/..%2f..%2fetc/passwd', '/assets/%2e%2e/sw.js'],
    ['/assets/..%5cindex.html', '/assets//index-abcd1234.js', '/./sw.js', '/sw.js%00', '/%2e%2e/package.json'],
  ])('has no other path, such as %s and %s', async (...paths) => {
    const app = await sharedApp()
    for (const path of paths) {
      // A client would resolve the dots.
      const line = wire(app.url)
      line.socket.write(head(`GET ${path}`, { connection: 'close' }))
      const answer = await line.ended
      expect(answer, path).toMatch(/^HTTP\/1\.1 40[04] .*\r\ncontent-type: application\/problem\+json\r\n/s)
    }
  })

  it('takes an odd Host for no page', async () => {
    const app = await sharedApp()
    expect(await app.request('/', { headers: { host: 'a b' } })).toBeProblem(400, 'malformed-http')
  })

  it('varies by Origin, too, where pages of other origins may use the API', async () => {
    const app = await webApp({ CORS_ORIGINS: 'https://app.example.org' })
    expect((await app.request(SCRIPT)).headers.vary).toBe('Origin, accept-encoding')
  })

  it('counts for no rate limit, and is one line of the log for each visit, without its parts', async () => {
    const app = await webApp({ RATE_LIMIT: 'on', LOG_LEVEL: 'info' })
    for (let visit = 0; visit < 50; visit += 1) {
      const answers = await Promise.all(SERVED.map((path) => app.request(path)))
      expect(answers.map(({ status }) => status)).toEqual(SERVED.map(() => 200))
      expect(answers[0]?.headers).not.toHaveProperty('ratelimit')
    }
    const lines = app.log.filter((line) => line.includes('"answered"')).map((line) => JSON.parse(line))
    expect(lines.map(({ method, route, status }) => [method, route, status])).toEqual(
      new Array(50).fill(['GET', '/', 200]),
    )
  })

  it('logs refusals of its parts', async () => {
    const app = await webApp({ LOG_LEVEL: 'info' })
    await app.request(SCRIPT, { headers: { 'if-match': '"x"' } })
    const lines = () => app.log.map((line) => JSON.parse(line))
    await expect.poll(lines).toContainEqual(expect.objectContaining({ route: SCRIPT, status: 412 }))
  })

  it('says of a part that is gone from the disk before its first use that it is not there, and lets nobody cache that', async () => {
    const app = await webApp({})
    await rm(join(folder, 'icon.svg'))
    const answer = await app.request('/icon.svg')
    await writeFile(join(folder, 'icon.svg'), FILES['icon.svg'] as string)
    expect(answer).toBeProblem(404, 'not-found')
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' })
    expect(answer.headers).not.toHaveProperty('etag')
    expect((await app.request('/icon.svg')).status).toBe(200)
  })

  it('has the parts that it has sent before, while a new build replaces them', async () => {
    const app = await webApp({})
    const before = await app.request(SCRIPT)
    await rm(join(folder, SCRIPT))
    const during = await app.request(SCRIPT)
    await writeFile(join(folder, SCRIPT), CODE)
    expect([during.status, during.headers.etag]).toEqual([200, before.headers.etag])
  })

  it.each([
    ['in a local network, where browsers do not tell the site', '192.168.1.20:8000', {}],
    ['on the same machine', 'localhost:8000', { 'sec-fetch-site': 'same-origin' }],
  ])('signs in %s', async (_where, host, fields) => {
    const app = await sharedApp()
    const headers = { host, origin: `http://${host}`, ...fields }
    expect((await app.request('/', { headers: { host } })).status).toBe(200)
    const deviceId = newDeviceId()
    const registered = await app.post('/v1/users', { name: 'Ada', email: `${deviceId}@example.org`, deviceId }, headers)
    const { pin } = registered.body as { pin: string }
    const session = await app.post('/v1/sessions', { deviceId, pin, cookie: true }, headers)
    const cookie = session.headers['set-cookie']?.[0]?.split(';', 1)[0]
    expect([session.status, cookie]).toEqual([201, expect.stringMatching(/^minikeepsafe=mks_/)])
    const put = await app.request('/v1/files/a', { method: 'PUT', body: 'sand', headers: { ...headers, cookie } })
    expect(put.status).toBe(201)
  })

  it('leaves the headers of the vault as they are', async () => {
    const app = await sharedApp()
    const { headers } = await app.request('/v1/files')
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    })
    expect(headers).not.toHaveProperty('permissions-policy')
  })

  it('is in no document', async () => {
    const app = await sharedApp()
    const { paths } = (await app.request('/docs/json')).body as { paths: object }
    expect(Object.keys(paths).filter((path) => !/^\/(v1|health)\//.test(path))).toEqual([])
  })
})

describe('without a web vault', () => {
  it('/ says what this server is, and where the documentation is', async () => {
    const app = await testApp()
    const { status, headers, body } = await app.request('/')
    expect([status, headers['content-type'], headers['cache-control']]).toEqual([
      200,
      'text/html; charset=utf-8',
      'no-cache',
    ])
    expect(headers['content-security-policy']).toContain("default-src 'none'; ")
    expect(body).toMatch(/private vault.*<a href="\/docs">/s)
    expect(body).not.toMatch(/<script|<style|style=|npm/)
    for (const path of ['/sw.js', SCRIPT]) expect(await app.request(path)).toBeProblem(404, 'not-found')
  })

  it.each(['no folder', 'a folder without the page'])(
    'that should be there, / says how to build it: %s',
    async (kind) => {
      const home = await temporaryFolder()
      if (kind !== 'no folder') await writeFile(join(home, 'sw.js'), '')
      const app = await testApp({}, undefined, { web: kind === 'no folder' ? join(home, 'web') : home })
      const { status, body } = await app.request('/')
      expect([status, body]).toEqual([200, expect.stringMatching(/npm run build.*<a href="\/docs">/s)])
      expect(await app.request('/sw.js')).toBeProblem(404, 'not-found')
    },
  )
})

function decoded({ headers, bytes }: Pick<Answer, 'headers' | 'bytes'>): string {
  const coding = headers['content-encoding']
  if (coding === undefined) return bytes.toString()
  return (coding === 'br' ? brotliDecompressSync(bytes) : gunzipSync(bytes)).toString()
}
