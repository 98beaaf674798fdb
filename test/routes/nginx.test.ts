/** A server behind nginx as it is shipped: what clients see is what the server says, and nobody's names are logged. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, createServer } from 'node:net'
import { Readable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { brotliDecompressSync } from 'node:zlib'
import { expect, it, onTestFinished } from 'vitest'
import type { HttpRules } from '../../src/app.ts'
import { blobsOnDisk, form, member, newDeviceId, testApp } from '../support/app.ts'
import { pathOf, spoil } from '../support/blobs.ts'
import { WEB_FOLDER } from '../support/build.ts'
import { describeNginx, flood, type Nginx, nginxBefore, nginxWith } from '../support/nginx.ts'

const BEHIND = { TRUST_PROXY: '127.0.0.1', UPLOAD_INTERIM_RESPONSES: 'off' }
const MiB = 1024 * 1024
/** Of one network as many as deploy/nginx/nginx.conf takes, and some. */
const MORE_THAN_A_SHARE = 1200

async function behindNginx(settings: Record<string, string> = {}, http: Partial<HttpRules> = {}) {
  const app = await testApp({ ...BEHIND, ...settings }, undefined, http)
  const nginx = await nginxBefore(app.url)
  return { app, nginx, ada: await member(nginx) }
}

/** One request over HTTP/2. */
async function overHttp2(nginx: Nginx, fields: Record<string, string>, body: Buffer | null = null) {
  const session = connectHttp2(nginx.url, { rejectUnauthorized: false })
  onTestFinished(() => session.destroy())
  const request = session.request(fields, { endStream: body === null })
  const head = new Promise<Record<string, unknown>>((resolve) => request.once('response', resolve))
  if (body) Readable.from(pieces(body)).pipe(request)
  // Who is refused may be told to stop sending (RFC 9113, section 8.1).
  request.on('error', () => {})
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return { head: await head, bytes: Buffer.concat(chunks) }
}

/** The client would hold no more than a few MiB at a time. */
function* pieces(body: Buffer) {
  for (let at = 0; at < body.length; at += 64 * 1024) yield body.subarray(at, at + 64 * 1024)
}

describeNginx('behind nginx', () => {
  it('no response of a server is too long for nginx, which would then take the server for dead', async () => {
    const { nginx, ada } = await behindNginx()
    const tus = { 'tus-resumable': '1.0.0', 'upload-length': '3' }
    const statuses = []
    for (let kib = 11; kib < 16; kib += 1) {
      const metadata = { 'upload-metadata': 'filename YQ==,k '.padEnd(kib * 1024 + 500, 'a') }
      const begun = await ada.request('/v1/uploads', { method: 'POST', headers: { ...tus, ...metadata } })
      const path = String(begun.headers.location)
      const asked = begun.status === 201 ? await ada.request(path, { method: 'HEAD', headers: tus }) : begun
      statuses.push(asked.status)
    }
    expect(statuses).toEqual([200, 431, 431, 431, 431])
    expect(nginx.passages().filter(({ status }) => status >= 500)).toEqual([])
  })

  it('a photo goes in and comes out, whole and in parts, over HTTP/1.1 and HTTP/2', async () => {
    const { nginx, ada } = await behindNginx()
    const photo = randomBytes(3 * MiB + 5)
    expect((await ada.put('beach.jpg', photo, { 'content-type': 'image/jpeg' })).status).toBe(201)
    const upload = { method: 'POST', ...form([{ name: 'file', filename: 'dunes.jpg', content: photo }]) }
    expect((await ada.request('/v1/files', upload)).status).toBe(201)
    const part = await ada.get('beach.jpg', { range: 'bytes=1000000-2999999' })
    expect([part.status, part.bytes.equals(photo.subarray(1_000_000, 3_000_000))]).toEqual([206, true])
    const { etag } = (await ada.get('beach.jpg')).headers
    expect((await ada.get('beach.jpg', { 'if-none-match': etag as string })).status).toBe(304)

    const authorization = `Bearer ${ada.token}`
    const path = '/v1/files/over%20two'
    const { head } = await overHttp2(nginx, { ':method': 'PUT', ':path': path, authorization }, photo)
    expect(head[':status']).toBe(201)
    const { bytes } = await overHttp2(nginx, { ':path': path, authorization })
    expect(bytes.equals(photo)).toBe(true)
  })

  it('an upload that can be resumed is, over HTTP/1.1 and HTTP/2', async () => {
    const { nginx, ada } = await behindNginx()
    const film = randomBytes(3 * MiB + 5)
    const draft = { 'upload-draft-interop-version': '6' }
    const whole = await ada.put('whole', film, { ...draft, 'upload-complete': '?1' })
    expect([whole.status, whole.headers['upload-complete']]).toEqual([201, '?1'])

    const authorization = `Bearer ${ada.token}`
    const over2 = { ':method': 'PUT', ':path': '/v1/files/film', authorization, ...draft, 'upload-complete': '?0' }
    const { head } = await overHttp2(nginx, over2, film.subarray(0, MiB))
    const path = head.location as string
    expect((await ada.request(path, { method: 'HEAD', headers: draft })).headers['upload-offset']).toBe(`${MiB}`)
    const headers = { ...draft, 'content-type': 'application/partial-upload', 'upload-offset': `${MiB}` }
    const last = await ada.request(path, { method: 'PATCH', headers, body: film.subarray(MiB) })
    expect([last.status, (await ada.get('film')).bytes.equals(film)]).toEqual([201, true])
    await expect
      .poll(() => nginx.passages().map(({ method, route }) => `${method} ${route}`))
      .toContain('PATCH /v1/uploads/{id}')
    expect(nginx.log()).not.toContain(path)
  })

  it('a page signs in with a cookie of the name that clients see, over HTTP/1.1 and HTTP/2', async () => {
    const { app, nginx } = await behindNginx()
    const { origin } = new URL(nginx.url)
    const deviceId = newDeviceId()
    const { body } = await nginx.post('/v1/users', { name: 'Ada', email: 'page@example.org', deviceId })
    const entered = { deviceId, pin: (body as { pin: string }).pin, cookie: true }
    const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }
    const lying = await nginx.post('/v1/sessions', entered, { ...forged, origin: 'http://evil.example' })
    expect(lying).toBeProblem(403, 'cross-site-request')
    const session = await nginx.post('/v1/sessions', entered, { ...forged, origin })
    const cookie = session.headers['set-cookie']?.[0]?.split(';', 1)[0] as string
    expect([session.status, cookie]).toEqual([201, expect.stringMatching(/^__Host-minikeepsafe=mks_/)])
    const put = (from: string) =>
      nginx.request('/v1/files/a', { method: 'PUT', headers: { cookie, origin: from }, body: 'sand' })
    expect([(await put(origin)).status, (await put(app.url)).status]).toEqual([201, 403])
    const fields = { ':path': '/v1/files/a', cookie: `theme=dark; ${cookie}`, 'sec-fetch-site': 'same-origin' }
    const { head, bytes } = await overHttp2(nginx, fields)
    expect([head[':status'], bytes.toString()]).toEqual([200, 'sand'])
    await expect.poll(() => nginx.passages().length).toBeGreaterThan(5)
    expect(nginx.log()).not.toContain('mks_')
  })

  it('the web vault opens in two windows, with the policy and the caching that the server says', async () => {
    const { app, nginx } = await behindNginx({ RATE_LIMIT: 'on', LOG_LEVEL: 'info' }, { web: WEB_FOLDER })
    const open = async () => {
      const page = await overHttp2(nginx, { ':path': '/' })
      const parts = [...page.bytes.toString().matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, path]) => path as string)
      const load = (path: string) => overHttp2(nginx, { ':path': path, 'accept-encoding': 'gzip, deflate, br' })
      return { page, parts: await Promise.all(parts.filter((path) => path.startsWith('/assets/')).map(load)) }
    }
    const [{ page, parts }] = await Promise.all([open(), open()])
    expect(page.head).toMatchObject({
      ':status': 200,
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': expect.stringContaining("default-src 'none'; script-src 'self'; "),
      'cache-control': 'no-cache',
      'strict-transport-security': 'max-age=31536000',
    })
    expect(parts.length).toBeGreaterThan(1)
    for (const { head, bytes } of parts) {
      expect(head).toMatchObject({
        ':status': 200,
        'content-encoding': 'br',
        vary: 'accept-encoding',
        'cache-control': 'public, max-age=31536000, immutable',
      })
      expect(brotliDecompressSync(bytes).length).toBeGreaterThan(bytes.length)
    }
    const { etag } = page.head as { etag: string }
    const again = await nginx.request('/', { headers: { 'if-none-match': etag } })
    expect([again.status, again.headers.etag]).toEqual([304, etag])
    expect(await nginx.request('/assets/nothing.js')).toBeProblem(404, 'not-found')
    await expect
      .poll(() => new Set(nginx.passages().map(({ method, route, status }) => `${method} ${route} ${status}`)))
      .toEqual(
        new Set([
          'POST /v1/users 201',
          'POST /v1/sessions 201',
          'GET / 200',
          'GET /assets/{file} 200',
          'GET / 304',
          'GET /assets/{file} 404',
        ]),
      )
    expect(app.log.filter((line) => line.includes('"answered"') && line.includes('assets'))).toEqual([])
  })

  it.each(['a/b', '%00', 'a b', 'ünï', '..', '%', 'x'.repeat(256)])(
    'a name such as %j is the server’s to judge',
    async (name) => {
      const { app, ada } = await behindNginx()
      const path = `/v1/files/${encodeURIComponent(name)}`
      const direct = await app.request(path, { headers: { authorization: `Bearer ${ada.token}` } })
      const through = await ada.request(path)
      const { requestId: _, ...expected } = direct.body as Record<string, unknown>
      expect(through.body).toMatchObject(expected)
      expect(through.status).toBe(direct.status)
    },
  )

  it.each([
    ['has a NUL in its path', '/v1/files/%00', {}, 400, 'malformed-http'],
    ['has a head too large for anybody', '/v1/files', { 'x-long': 'x'.repeat(20_000) }, 431, 'headers-too-large'],
    ['has a path too long for anybody', `/${'x'.repeat(20_000)}`, {}, 431, 'headers-too-large'],
    ['asks for what nginx has for itself', '/nginx-problem', {}, 404, 'not-found'],
    ['is a TRACE', '/v1/files', { method: 'TRACE' }, 405, 'method-not-allowed'],
  ])(
    'a request that %s is refused by nginx as the server would',
    async (_what, path, { method = 'GET', ...headers }: Record<string, string>, status, code) => {
      const { nginx } = await behindNginx()
      const answer = await nginx.request(path, { method, headers: { ...headers, 'x-request-id': 'mine' } })
      expect(answer).toBeProblem(status, code)
    },
  )

  it('plain HTTP at the port of HTTPS is told so in the same way', async () => {
    const { nginx } = await behindNginx()
    const answer = await fetch(nginx.url.replace('https', 'http'))
    expect([answer.status, answer.headers.get('content-type')]).toEqual([400, 'application/problem+json'])
    expect(await answer.json()).toMatchObject({ code: 'malformed-http' })
  })

  it('exchanges keys in no finite field', async () => {
    const { nginx } = await behindNginx()
    const exchangedIn = (ecdhCurve: string) =>
      new Promise<string>((resolve) => {
        const to = { host: '127.0.0.1', port: Number(new URL(nginx.url).port), rejectUnauthorized: false, ecdhCurve }
        const socket = connectTls(to, () => resolve('a secret'))
        socket.on('error', ({ message }) => resolve(message))
        onTestFinished(() => void socket.destroy())
      })
    expect(await exchangedIn('ffdhe8192')).toMatch(/handshake failure/)
    expect(await exchangedIn('P-256')).toBe('a secret')
  })

  it('while no server is there, clients are told when to try again', async () => {
    const { app, ada } = await behindNginx()
    await app.close()
    const answer = await ada.put('file', 'bytes')
    expect(answer).toBeProblem(503, 'not-ready')
    expect(answer.headers['retry-after']).toBe('5')
  })

  it.each([
    ['POST', '/v1/files/lookup', 'outcome-unknown'],
    ['PATCH', '/v1/files/photo', 'outcome-unknown'],
    ['DELETE', '/v1/files/photo', 'outcome-unknown'],
    ['GET', '/v1/files/photo', 'not-ready'],
  ])('a server that breaks off a %s may have carried it out', async (method, path, code) => {
    const breaking = createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1')
    onTestFinished(() => void breaking.close())
    await once(breaking, 'listening')
    const nginx = await nginxBefore(`http://127.0.0.1:${(breaking.address() as AddressInfo).port}`)
    const answer = await nginx.request(path, { method, headers: { 'content-type': 'application/json' }, body: '{}' })
    expect(answer).toBeProblem(503, code)
    expect(answer.headers['retry-after']).toBe('5')
  })

  it.each(['PUT', 'POST'])(
    'a refusal of a large %s reaches its client, and costs the server no trust',
    async (method) => {
      const { app, nginx } = await behindNginx()
      const path = method === 'PUT' ? '/v1/files/film' : '/v1/files'
      for (let n = 0; n < 5; n += 1) {
        const { head, bytes } = await overHttp2(nginx, { ':method': method, ':path': path }, Buffer.alloc(64 * MiB))
        expect([head[':status'], JSON.parse(bytes.toString()).code]).toEqual([401, 'unauthorized'])
      }
      expect(nginx.passages().filter(({ servers }) => servers.join() !== new URL(app.url).host)).toEqual([])
    },
  )

  it('bytes pass as they come', async () => {
    const { app, ada } = await behindNginx()
    let finish = () => {}
    const rest = new Promise<void>((resolve) => {
      finish = resolve
    })
    async function* slowly() {
      yield randomBytes(3 * MiB)
      await rest
      yield randomBytes(3 * MiB)
    }
    const answer = ada.request('/v1/files/film', { method: 'PUT', body: Readable.from(slowly()) })
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    finish()
    expect((await answer).body).toMatchObject({ size: 6 * MiB })
  })

  it('the server knows clients by their addresses, whatever they say of themselves', async () => {
    const { nginx } = await behindNginx({ RATE_LIMIT: 'on', RATE_LIMITS: 'sign-in=3/1m' })
    const body = JSON.stringify({ deviceId: 'nobodys-device', pin: '0000' })
    const signIn = (from: string, n: number) =>
      nginx.request('/v1/sessions', {
        method: 'POST',
        body,
        from,
        headers: {
          'content-type': 'application/json',
          'x-forwarded-for': `192.0.2.${n}`,
          forwarded: `for=192.0.2.${n}`,
        },
      })
    const statuses = []
    for (let n = 0; n < 5; n += 1) statuses.push((await signIn('127.0.0.2', n)).status)
    expect(statuses).toEqual([401, 401, 401, 429, 429])
    expect((await signIn('127.0.0.3', 9)).status).toBe(401)
  })

  it('requests have one id in both logs, and no names, queries or tokens', async () => {
    const { app, nginx, ada } = await behindNginx({ LOG_LEVEL: 'info' })
    await ada.put('a secret name', 'bytes')
    await ada.request('/v1/files/a%20secret%20name/thumbnail?v=secret')
    await ada.request('/v1/files?prefix=a%20secret')
    await ada.request('/v1/file/a%20secret')
    await ada.request(`/v1/sessions/${ada.sessionId}`, { method: 'DELETE', headers: { 'x-request-id': 'the-last' } })
    await expect
      .poll(() =>
        nginx
          .passages()
          .slice(-5)
          .map(({ method, route }) => `${method} ${route}`),
      )
      .toEqual([
        'PUT /v1/files/{name}',
        'GET /v1/files/{name}/thumbnail',
        'GET /v1/files',
        'GET another',
        'DELETE /v1/sessions/{sessionId}',
      ])
    expect(nginx.log()).not.toMatch(/secret/)
    expect(nginx.log()).not.toContain(ada.token)
    expect(nginx.log()).not.toContain(ada.sessionId)
    expect(nginx.log()).toContain('"requestId":"the-last"')
    expect(app.log.join('\n')).toContain('the-last')
  })

  it('an id of nginx finds a request in the log of the server, and a client begins no trace', async () => {
    const { app, nginx } = await behindNginx({ LOG_LEVEL: 'info' })
    const received: (string | undefined)[] = []
    app.server.on('request', ({ headers }: IncomingMessage) => received.push(headers.traceparent as string | undefined))
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { headers, body } = await nginx.request('/v1/files', { headers: { traceparent, tracestate: 'a=b' } })
    const id = headers['x-request-id']
    expect(body).toMatchObject({ requestId: id })
    expect(received).toEqual([undefined])
    await expect.poll(nginx.log).toContain(`"requestId":"${id}"`)
    const lines = app.log.map((line) => JSON.parse(line) as { requestId?: string; msg: string })
    expect(lines.filter(({ requestId }) => requestId === id)).toMatchObject([{ msg: 'answered' }])
  })

  it('a transfer that the server cuts is cut', async () => {
    const { app, ada } = await behindNginx()
    await ada.put('film', randomBytes(40 * MiB))
    await spoil(await pathOf(app, ada, 'film'), (bytes) => bytes.fill((bytes.at(-1) as number) ^ 1, bytes.length - 1))
    await expect(ada.get('film')).rejects.toThrow('aborted')
  })

  it('has some of the requests of one network under way at a time, and takes those of others', async () => {
    const { nginx } = await behindNginx()
    const { end } = await flood(nginx.url, MORE_THAN_A_SHARE)
    const alive = async () => (await nginx.request('/health/live')).status
    await expect.poll(alive).toBe(429)
    const answer = await nginx.request('/health/live')
    expect(answer).toBeProblem(429, 'too-many-requests')
    expect(answer.headers['retry-after']).toBe('5')
    expect((await nginx.request('/health/live', { from: '127.0.0.2' })).status).toBe(200)
    end()
    await expect.poll(alive).toBe(200)
  })

  it('counts IPv6 by /64, and IPv4 inside IPv6 as IPv4', async () => {
    const app = await testApp(BEHIND)
    const nginx = await nginxWith(['set_real_ip_from 127.0.0.1;', 'real_ip_header X-Client;'], [app.url])
    const alive = async (client: string) =>
      (await nginx.request('/health/live', { headers: { 'x-client': client } })).status
    await flood(nginx.url, MORE_THAN_A_SHARE, { fields: { 'x-client': '2001:db8:0:a::1' } })
    await expect.poll(() => alive('2001:db8:0:a:b:c:d:e')).toBe(429)
    const others = ['2001:db8:0:a00::1', '2001:db8::1', '::ffff:192.0.2.1', '192.0.2.1']
    expect(await Promise.all(others.map(alive))).toEqual([200, 200, 200, 200])
    await flood(nginx.url, MORE_THAN_A_SHARE, { fields: { 'x-client': '::ffff:192.0.2.1' } })
    await expect.poll(() => alive('192.0.2.1')).toBe(429)
    expect(await alive('::ffff:192.0.2.2')).toBe(200)
  })

  it('keeps few of its own refusals for a client that does not read them', async () => {
    const { nginx } = await behindNginx()
    const { tally } = await flood(nginx.url, 1000, { fields: { ':method': 'TRACE' } })
    await expect.poll(() => tally.reset ?? 0).toBeGreaterThan(0)
    expect(tally['405']).toBeGreaterThan(50)
  })

  it('does not stand in the way of ten devices at one address, with a page of pictures and eight uploads each', async () => {
    const { nginx, ada } = await behindNginx()
    await ada.put('picture', 'pixels')
    const authorization = `Bearer ${ada.token}`
    const device = async (n: number) => {
      const session = connectHttp2(nginx.url, { rejectUnauthorized: false })
      onTestFinished(() => session.destroy())
      const pictures = Array.from({ length: 100 }, async () => {
        const request = session.request({ ':path': '/v1/files/picture', authorization })
        const [head] = await once(request.resume(), 'response')
        return head[':status']
      })
      const uploads = Array.from(
        { length: 8 },
        async (_, k) => (await ada.put(`${n}-${k}`, randomBytes(99_000))).status,
      )
      return Promise.all([...pictures, ...uploads])
    }
    const statuses = (await Promise.all(Array.from({ length: 10 }, (_, n) => device(n)))).flat()
    expect(new Set(statuses)).toEqual(new Set([200, 201]))
  })
})
