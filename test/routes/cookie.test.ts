/** Sessions of pages of the server's own origin: the cookie, and the requests in which it counts. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  appForMany,
  DAY,
  form,
  type Member,
  member,
  newDeviceId,
  paired,
  pinFrom,
  type TestApp,
  temporaryFolder,
  testApp,
} from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import type { Answer, Call } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

/** A host name of percent-encoded characters that differ. */
const ideographs = (count: number) =>
  encodeURIComponent(Array.from({ length: count }, (_, n) => String.fromCodePoint(0x4e00 + n)).join(''))

const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' }
const json = { 'content-type': 'application/json' }
type Fields = Record<string, string>

/** The `Set-Cookie` of the response; `null` without one. */
const told = ({ headers }: Answer): string | null => headers['set-cookie']?.join('\n') ?? null
const CLEARED = 'minikeepsafe=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0'

/** A PIN for a new user. */
async function registered(app: TestApp) {
  const deviceId = newDeviceId()
  const email = `${randomBytes(8).toString('hex')}@example.org`
  const { body } = await app.post('/v1/users', { name: 'Ada', email, deviceId })
  return { deviceId, pin: (body as { pin: string }).pin }
}

interface Page {
  /** `minikeepsafe=mks_…` */
  cookie: string
  sessionId: string
  deviceId: string
  /** A request of the page itself. */
  request(path: string, call?: Call): Promise<Answer>
}

/** A page that is signed in with a cookie. */
async function page(app: TestApp, entered?: { deviceId: string; pin: string }, headers: Fields = {}): Promise<Page> {
  const pin = entered ?? (await registered(app))
  const answer = await app.post('/v1/sessions', { ...pin, cookie: true }, { ...SAME_ORIGIN, ...headers })
  expect(answer.status).toBe(201)
  const cookie = told(answer)?.split(';', 1)[0] as string
  const { sessionId } = answer.body as { sessionId: string }
  const request = (path: string, { headers: more = {}, ...call }: Call = {}) =>
    app.request(path, { ...call, headers: { ...SAME_ORIGIN, cookie, ...headers, ...more } })
  return { cookie, sessionId, deviceId: pin.deviceId, request }
}

/** Such a page of a user who has a token on another device. */
async function pageOf(app: TestApp, owner: Member): Promise<Page> {
  const deviceId = newDeviceId()
  return page(app, { deviceId, pin: await pinFrom(owner, deviceId) })
}

describe('a sign-in with a cookie', () => {
  it('has the token in a cookie that no script can read, and not in its body', async () => {
    const app = await sharedApp()
    const pin = await registered(app)
    const answer = await app.post('/v1/sessions', { ...pin, cookie: true }, SAME_ORIGIN)
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({
      sessionId: expect.stringMatching(/^[\w-]{21}$/),
      userId: expect.stringMatching(/^[\w-]{21}$/),
      deviceId: pin.deviceId,
      expiresAt: new Date(app.clock() + 30 * DAY).toISOString(),
    })
    const attributes = 'Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000'
    expect(told(answer)).toMatch(new RegExp(`^minikeepsafe=mks_[\\w-]{43}; ${attributes}$`))
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('lasts in the browser as long as the session can last with use', async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '1', SESSION_MAX_DAYS: '2.5' })
    const answer = await app.post('/v1/sessions', { ...(await registered(app)), cookie: true }, SAME_ORIGIN)
    expect(told(answer)).toContain('; Max-Age=216000')
  })

  it('lasts until the browser is closed if it asks for that, also over TLS', async () => {
    const { cert, key } = newCertificate(await temporaryFolder())
    for (const app of [await sharedApp(), await testApp({ TLS_CERT: cert, TLS_KEY: key })]) {
      const entered = { ...(await registered(app)), cookie: true, persistent: false }
      const answer = await app.post('/v1/sessions', entered, SAME_ORIGIN)
      expect(answer.status).toBe(201)
      expect(told(answer)).toMatch(
        /^(__Host-)?minikeepsafe=mks_[\w-]{43}; Path=\/;( Secure;)? HttpOnly; SameSite=Strict$/,
      )
      const cookie = told(answer)?.split(';', 1)[0] as string
      expect((await app.request('/v1/me', { headers: { cookie } })).status).toBe(200)
    }
  })

  it('needs a boolean for that, and without a cookie there is a token as ever', async () => {
    const app = await sharedApp()
    const pin = await registered(app)
    const wrong = await app.post('/v1/sessions', { ...pin, cookie: true, persistent: 'no' }, SAME_ORIGIN)
    expect(wrong).toBeProblem(400, 'invalid-request')
    const answer = await app.post('/v1/sessions', { ...pin, persistent: false }, SAME_ORIGIN)
    expect([told(answer), answer.body]).toEqual([null, expect.objectContaining({ token: expect.any(String) })])
  })

  it('over TLS has a cookie that is Secure and of this host alone', async () => {
    const { cert, key } = newCertificate(await temporaryFolder())
    const app = await testApp({ TLS_CERT: cert, TLS_KEY: key })
    const answer = await app.post('/v1/sessions', { ...(await registered(app)), cookie: true }, SAME_ORIGIN)
    const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=31536000'
    expect(told(answer)).toMatch(new RegExp(`^__Host-minikeepsafe=mks_[\\w-]{43}; ${attributes}$`))
  })

  it.each([
    ['127.0.0.1', 'https', '__Host-minikeepsafe'],
    ['127.0.0.1', 'http', 'minikeepsafe'],
    ['10.0.0.0/8', 'https', 'minikeepsafe'],
    ['off', 'https', 'minikeepsafe'],
  ])('behind %s as a trusted proxy, over %s, has the cookie %s', async (TRUST_PROXY, proto, name) => {
    const app = await testApp({ TRUST_PROXY })
    const { cookie, request } = await page(app, undefined, { 'x-forwarded-proto': proto })
    expect(cookie.split('=', 1)).toEqual([name])
    expect((await request('/v1/me')).status).toBe(200)
  })

  it.each<[Fields]>([
    [{}],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ 'sec-fetch-site': 'none' }],
    [{ 'sec-fetch-site': '' }],
    [{ 'sec-fetch-site': 'Same-Origin' }],
    [{ 'sec-fetch-site': 'same-origin, cross-site' }],
    [{ 'sec-fetch-site': 'cross-site', origin: 'OWN' }],
    [{ origin: 'null' }],
    [{ origin: '' }],
    [{ origin: 'https://evil.example' }],
    [{ origin: 'OWN.evil.example' }],
    [{ authorization: 'Bearer none' }],
  ])('of another site is refused, and the PIN stays good: %j', async (fields) => {
    const app = await sharedApp()
    const pin = await registered(app)
    const headers = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, value.replace('OWN', app.url)]),
    )
    const answer = await app.post('/v1/sessions', { ...pin, cookie: true }, headers)
    expect(answer).toBeProblem(403, 'cross-site-request')
    expect(told(answer)).toBeNull()
    expect((await app.post('/v1/sessions', pin)).status).toBe(201)
  })

  it('of a browser that does not tell the site is known by its Origin', async () => {
    const app = await sharedApp()
    const answer = await app.post('/v1/sessions', { ...(await registered(app)), cookie: true }, { origin: app.url })
    expect(answer.status).toBe(201)
    expect(told(answer)).toContain('minikeepsafe=mks_')
  })

  it('needs a boolean, and without it there is a token and no cookie, from whatever site', async () => {
    const app = await sharedApp()
    const pin = await registered(app)
    expect(await app.post('/v1/sessions', { ...pin, cookie: 'true' }, SAME_ORIGIN)).toBeProblem(400, 'invalid-request')
    const answer = await app.post('/v1/sessions', { ...pin, cookie: false }, { 'sec-fetch-site': 'cross-site' })
    expect(answer.body).toHaveProperty('token')
    expect(told(answer)).toBeNull()
  })

  it('takes the place of the session that the page had, and its cookie that of the old cookie', async () => {
    const app = await sharedApp()
    const before = await page(app)
    const pin = await before.request('/v1/pins', {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ deviceId: before.deviceId }),
    })
    const after = await page(app, { deviceId: before.deviceId, pin: (pin.body as { pin: string }).pin })
    expect(after.cookie).not.toBe(before.cookie)
    expect((await after.request('/v1/me')).status).toBe(200)
    expect(await before.request('/v1/me')).toBeProblem(401, 'unauthorized')
  })
})

const usedAs = (destination: string): Fields => ({ ...SAME_ORIGIN, 'sec-fetch-dest': destination })

/** `OWN` is the server's origin. */
const SITES: [fields: Fields, reads: number, changes: number][] = [
  [{ 'sec-fetch-site': 'same-origin' }, 200, 201],
  [{ 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' }, 200, 201],
  [{ 'sec-fetch-site': 'none' }, 200, 403],
  [{ 'sec-fetch-site': 'none', origin: 'OWN' }, 200, 403],
  [{ 'sec-fetch-site': 'same-site' }, 401, 403],
  [{ 'sec-fetch-site': 'same-site', origin: 'OWN' }, 401, 403],
  [{ 'sec-fetch-site': 'cross-site' }, 401, 403],
  [{ 'sec-fetch-site': 'cross-site', origin: 'OWN' }, 401, 403],
  [{ 'sec-fetch-site': '' }, 401, 403],
  [{ 'sec-fetch-site': 'SAME-ORIGIN' }, 401, 403],
  [{ 'sec-fetch-site': 'same-origin;a=b' }, 401, 403],
  [{ 'sec-fetch-site': 'same-origin, same-origin' }, 401, 403],
  [{}, 200, 403],
  [{ origin: 'OWN' }, 200, 201],
  [{ origin: 'OWN/' }, 200, 403],
  [{ origin: 'null' }, 200, 403],
  [{ origin: '' }, 200, 403],
  [{ origin: 'https://evil.example' }, 200, 403],
  [{ origin: 'http://127.0.0.1' }, 200, 403],
  [{ origin: 'http://127.0.0.1:1' }, 200, 403],
  [{ referer: 'OWN/docs' }, 200, 403],
  ...['empty', 'document', 'image', 'audio', 'video', 'track'].map((to): (typeof SITES)[0] => [usedAs(to), 200, 201]),
  ...[
    'script',
    'style',
    'worker',
    'sharedworker',
    'serviceworker',
    'audioworklet',
    'object',
    'iframe',
    'Image',
    '',
  ].map((to): (typeof SITES)[0] => [usedAs(to), 401, 201]),
]

describe('the cookie', () => {
  it.each(SITES)('with %j reads with %i, and changes something with %i', async (fields, reads, changes) => {
    const app = await sharedApp()
    const { cookie } = await page(app)
    const site = Object.entries(fields).map(([name, value]) => [name, value.replace('OWN', app.url)])
    const headers = { cookie, ...Object.fromEntries(site) }
    const read = await app.request('/v1/files', { headers })
    const headed = await app.request('/v1/files/beach.jpg', { method: 'HEAD', headers })
    const changed = await app.request('/v1/files/beach.jpg', { method: 'PUT', headers, body: 'sand' })
    expect([read.status, headed.status, changed.status]).toEqual([reads, reads === 200 ? 404 : reads, changes])
    if (reads === 401) expect(read).toBeProblem(401, 'unauthorized')
    if (changes === 403) expect(changed).toBeProblem(403, 'cross-site-request')
    // Only its own pages can make the browser drop it.
    expect([read, headed, changed].map(told)).toEqual([null, null, null])
  })

  it.each([
    'text/javascript',
    'application/javascript',
    'TEXT/JScript',
    'application/x-ecmascript',
    'text/css;charset=utf-8',
  ])('gets no file as %s, but a token does', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    const { request } = await pageOf(app, ada)
    await ada.put('a', 'self', { 'content-type': type })
    const typeOf = ({ headers }: Answer) => headers['content-type']
    for (const method of ['GET', 'HEAD']) {
      expect(typeOf(await ada.request('/v1/files/a', { method }))).toBe(type)
      expect(typeOf(await request('/v1/files/a', { method }))).toBe('application/octet-stream')
    }
    await ada.put('a', 'self', { 'content-type': 'text/plain' })
    expect(typeOf(await request('/v1/files/a'))).toBe('text/plain')
  })

  it.each<[method: string, path: string, call: Call]>([
    ['POST', '/v1/files', { method: 'POST', ...form([{ name: 'file', filename: 'a', content: 'sand' }]) }],
    ['PUT', '/v1/files/b', { method: 'PUT', body: 'sand' }],
    ['PATCH', '/v1/files/beach.jpg', { method: 'PATCH', headers: json, body: '{"name":"dunes.jpg"}' }],
    ['DELETE', '/v1/files/beach.jpg', { method: 'DELETE' }],
    ['DELETE', '/v1/trash', { method: 'DELETE' }],
    ['POST', '/v1/uploads', { method: 'POST', headers: { 'tus-resumable': '1.0.0', 'upload-length': '1' } }],
    ['POST', '/v1/pins', { method: 'POST', headers: json, body: '{"deviceId":"ios-6f1c2b9a4d8e4f7a"}' }],
    ['DELETE', '/v1/sessions', { method: 'DELETE' }],
    ['DELETE', '/v1/sessions/current', { method: 'DELETE' }],
    ['DELETE', '/v1/me', { method: 'DELETE' }],
  ])('lets no page of another site %s %s', async (_method, path, call) => {
    const app = await sharedApp()
    const { cookie, request } = await page(app)
    await request('/v1/files/beach.jpg', { method: 'PUT', body: 'sand' })
    for (const site of ['cross-site', 'same-site', 'none']) {
      const headers = { ...call.headers, cookie, 'sec-fetch-site': site }
      expect(await app.request(path, { ...call, headers })).toBeProblem(403, 'cross-site-request')
    }
    const { body } = await request('/v1/files')
    expect((body as { files: { name: string }[] }).files.map(({ name }) => name)).toEqual(['beach.jpg'])
  })

  it('does not count beside an Authorization, good or bad', async () => {
    const app = await sharedApp()
    const [ada, { cookie, request }] = [await member(app), await page(app)]
    const mine = await request('/v1/me', { headers: { authorization: `Bearer ${ada.token}` } })
    expect(mine.body).toMatchObject({ userId: ada.userId })
    // The token is no cookie, so no site matters.
    const headers = { cookie, 'sec-fetch-site': 'cross-site' }
    expect((await ada.request('/v1/files/a', { method: 'PUT', headers, body: 'sand' })).status).toBe(201)
    for (const authorization of ['Bearer none', 'Basic YWRhOnBhc3N3b3Jk', '']) {
      const refused = await request('/v1/me', { headers: { authorization } })
      expect(refused).toBeProblem(401, 'unauthorized')
      expect(told(refused)).toBeNull()
    }
    expect((await request('/v1/me')).status).toBe(200)
  })

  it.each([
    ['among others', 'theme=dark; COOKIE; a=b', 200],
    ['without a space before it', 'theme=dark;COOKIE', 200],
    ['after one without a value, and one without a name', 'a; =b; COOKIE; ', 200],
    ['before one whose name is longer', 'COOKIE; minikeepsafe2=x', 200],
    ['twice', 'COOKIE; COOKIE', 401],
    ['after another of its name', 'minikeepsafe=other; COOKIE', 401],
    ['before another of its name', 'COOKIE; minikeepsafe=', 401],
    ['in quotes', 'minikeepsafe="TOKEN"', 401],
    ['with a longer token', 'COOKIEx', 401],
    ['encoded', 'minikeepsafe=mks%5FREST', 401],
    ['as a scheme', 'minikeepsafe=Bearer TOKEN', 401],
    ['with no value', 'minikeepsafe=', 401],
    ['of a session that never was', `minikeepsafe=mks_${'A'.repeat(43)}`, 401],
    ['under a name in capitals', 'MINIKEEPSAFE=TOKEN', 401],
    ['under a name with a space', ' \u00a0minikeepsafe=TOKEN', 401],
    ['under the name that it has over TLS', '__Host-minikeepsafe=TOKEN', 401],
    ['in the value of another', 'a="; minikeepsafe=TOKEN"', 401],
    ['behind a long list', `${'a=b; '.repeat(2000)}COOKIE`, 200],
    ['behind very much space', `a${' '.repeat(12_000)}; COOKIE`, 200],
  ])('%s', async (_where, text, status) => {
    const app = await sharedApp()
    const { cookie } = await page(app)
    const token = cookie.replace('minikeepsafe=', '')
    const sent = text.replaceAll('COOKIE', cookie).replaceAll('TOKEN', token).replace('REST', token.slice(4))
    const answer = await app.request('/v1/me', { headers: { ...SAME_ORIGIN, cookie: sent } })
    expect(answer.status).toBe(status)
  })

  it('counts in several fields, as HTTP/2 may split them', async () => {
    const app = await sharedApp()
    const { cookie } = await page(app)
    const line = wire(app.url)
    const request = head('GET /v1/me', { ...SAME_ORIGIN, connection: 'close' })
    line.socket.write(request.replace('connection:', `cookie: a=b\r\ncookie: ${cookie}\r\nconnection:`))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 200 /)
  })

  it('over TLS counts only under the name that browsers guard', async () => {
    const { cert, key } = newCertificate(await temporaryFolder())
    const app = await testApp({ TLS_CERT: cert, TLS_KEY: key })
    const { cookie, request } = await page(app)
    expect((await request('/v1/me')).status).toBe(200)
    const unguarded = cookie.replace('__Host-', '')
    expect(await request('/v1/me', { headers: { cookie: unguarded } })).toBeProblem(401, 'unauthorized')
    const both = `minikeepsafe=mks_${'A'.repeat(43)}; ${cookie}`
    expect((await request('/v1/me', { headers: { cookie: both } })).status).toBe(200)
    const put = (origin: string) => app.request('/v1/files/a', { method: 'PUT', headers: { cookie, origin } })
    expect((await put(app.url)).status).toBe(201)
    expect(await put(app.url.replace('https', 'http'))).toBeProblem(403, 'cross-site-request')
  })

  it('knows the server’s own origin as the client and a trusted proxy say it', async () => {
    const app = await testApp({ TRUST_PROXY: '127.0.0.1' })
    const tls = { 'x-forwarded-proto': 'https' }
    const [plain, secure] = [await page(app), await page(app, undefined, tls)]
    const cases: [host: string, forwarded: Fields, origin: string, status: number][] = [
      ['vault.example', {}, 'http://vault.example', 201],
      ['vault.example:80', {}, 'http://vault.example', 200],
      ['Vault.Example', {}, 'http://vault.example', 200],
      ['vault.example:8000', {}, 'http://vault.example:8000', 200],
      ['[::1]:8000', {}, 'http://[::1]:8000', 200],
      ['vault.example:8000', {}, 'http://vault.example', 403],
      ['vault.example', {}, 'https://vault.example', 403],
      ['vault.example', tls, 'https://vault.example', 201],
      ['vault.example', tls, 'http://vault.example', 403],
      ['inside', { 'x-forwarded-host': 'vault.example' }, 'http://vault.example', 200],
      ['inside', { 'x-forwarded-host': 'vault.example' }, 'http://inside', 403],
      ['', {}, 'null', 403],
      // The conversion of a long name in another script takes time that grows with the square of its length.
      [ideographs(20), {}, new URL(`http://${ideographs(20)}`).origin, 200],
      [ideographs(30), {}, new URL(`http://${ideographs(30)}`).origin, 403],
      ['inside', { 'x-forwarded-host': ideographs(30) }, new URL(`http://${ideographs(30)}`).origin, 403],
      ['vault.example', { 'x-forwarded-host': 'a b' }, 'null', 403],
      ['vault.example', { 'x-forwarded-proto': 'x' }, 'null', 403],
    ]
    const seen: typeof cases = []
    for (const [host, forwarded, origin] of cases) {
      const { cookie } = forwarded === tls ? secure : plain
      const headers = { host, cookie, origin, ...forwarded }
      const { status } = await app.request('/v1/files/a', { method: 'PUT', headers, body: 'sand' })
      seen.push([host, forwarded, origin, status])
    }
    expect(seen).toEqual(cases)
  })

  it('is not what an untrusted proxy says of the origin', async () => {
    const app = await testApp()
    const { cookie } = await page(app)
    const forged = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }
    const headers = { cookie, origin: 'http://evil.example', ...forged }
    expect(await app.request('/v1/files/a', { method: 'PUT', headers })).toBeProblem(403, 'cross-site-request')
  })

  it('is refused before the body is read', async () => {
    const app = await sharedApp()
    const { cookie } = await page(app)
    const line = wire(app.url)
    const fields = { cookie, origin: 'https://evil.example', 'content-length': 900_000, expect: '100-continue' }
    line.socket.write(head('PUT /v1/files/film', fields))
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 403 .*\r\nconnection: close\r\n.*"code":"cross-site-request"/is)
  })

  it('of another user than the request is for is refused before the body is read, and stays', async () => {
    const app = await sharedApp()
    const [ada, eve] = [await page(app), await page(app)]
    const { userId } = (await ada.request('/v1/me')).body as { userId: string }
    const own = { 'x-vault-user': userId }
    expect((await ada.request('/v1/files/a', { method: 'PUT', headers: own, body: 'sand' })).status).toBe(201)
    const calls: [path: string, method: string][] = [
      ['/v1/me', 'GET'],
      ['/v1/files/a', 'PUT'],
      ['/v1/pins', 'POST'],
      ['/v1/sessions/current', 'DELETE'],
    ]
    for (const [path, method] of calls) {
      for (const user of [userId, '', `${userId}x`]) {
        const refused = await eve.request(path, { method, headers: { 'x-vault-user': user } })
        expect(refused).toBeProblem(401, 'unauthorized')
        expect(told(refused)).toBeNull()
      }
    }
    const line = wire(app.url)
    const fields = { ...SAME_ORIGIN, ...own, cookie: eve.cookie, 'content-length': 900_000, expect: '100-continue' }
    line.socket.write(head('PUT /v1/files/film', fields))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 401 .*\r\nconnection: close\r\n.*"code":"unauthorized"/is)
    expect((await eve.request('/v1/files')).body).toMatchObject({ files: [] })
  })

  it('and a token are for the user whom the request names', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const status = async (user: string) => (await ada.request('/v1/me', { headers: { 'x-vault-user': user } })).status
    const { userId } = (await ada.request('/v1/me')).body as { userId: string }
    expect([await status(userId), await status('other')]).toEqual([200, 401])
  })

  it('extends its session with use, and ends with it', async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '10', SESSION_MAX_DAYS: '15' })
    const { request } = await page(app)
    for (const status of [200, 401]) {
      app.clock.turn(9 * DAY)
      expect((await request('/v1/me')).status).toBe(status)
      await app.settled()
    }
  })

  it('uploads and downloads, in one request and in several', async () => {
    const app = await sharedApp()
    const { request } = await page(app)
    const photo = { method: 'POST', ...form([{ name: 'file', filename: 'beach.jpg', content: 'sand' }]) }
    expect((await request('/v1/files', photo)).status).toBe(201)
    const tus = { 'tus-resumable': '1.0.0' }
    const begin = { ...tus, 'upload-length': '6', 'upload-metadata': 'filename ZmlsbQ==' }
    const { headers, status } = await request('/v1/uploads', { method: 'POST', headers: begin })
    expect(status).toBe(201)
    const at = (offset: string) => ({
      ...tus,
      'upload-offset': offset,
      'content-type': 'application/offset+octet-stream',
    })
    const upload = headers.location as string
    expect((await request(upload, { method: 'PATCH', headers: at('0'), body: 'one' })).status).toBe(204)
    expect((await request(upload, { method: 'HEAD', headers: tus })).headers['upload-offset']).toBe('3')
    expect((await request(upload, { method: 'PATCH', headers: at('3'), body: 'two' })).status).toBe(204)
    expect((await request('/v1/files/film')).body).toBe('onetwo')
    const other = { ...begin, 'upload-metadata': 'filename b3RoZXI=' }
    const cancelled = await request('/v1/uploads', { method: 'POST', headers: other })
    const gone = await request(cancelled.headers.location as string, { method: 'DELETE', headers: tus })
    expect([cancelled.status, gone.status]).toEqual([201, 204])
  })

  it('is a session where one is optional, and a bad one is no stranger', async () => {
    const app = await testApp({ PIN_DELIVERY: 'console' })
    const deviceId = newDeviceId()
    await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })
    await app.settled()
    const pin = /PIN ([0-9]{4})/.exec(app.log.join('\n'))?.[1] as string
    const { cookie, request } = await page(app, { deviceId, pin })
    const ask = (headers: Fields = {}) =>
      request('/v1/pins', {
        method: 'POST',
        headers: { ...json, ...headers },
        body: JSON.stringify({ email: 'ada@example.org', deviceId }),
      })
    const shown = await ask()
    expect([shown.status, shown.body]).toMatchObject([201, { pin: expect.stringMatching(/^\d{4}$/) }])
    expect(await ask({ 'sec-fetch-site': 'cross-site' })).toBeProblem(403, 'cross-site-request')
    await request('/v1/sessions/current', { method: 'DELETE' })
    const refused = await ask()
    expect(refused).toBeProblem(401, 'unauthorized')
    expect(told(refused)).toBe(CLEARED)
    expect((await ask({ cookie: cookie.replace('minikeepsafe', 'other') })).status).toBe(202)
  })

  it('is counted by limits as the token is', async () => {
    const app = await testApp({ RATE_LIMIT: 'on', RATE_LIMITS: 'requests=3/1m,pairing=1/1h,pins=1/1h,bad-tokens=1/1m' })
    const ada = await member(app)
    const { request, cookie } = await pageOf(app, ada)
    const body = JSON.stringify({ deviceId: newDeviceId() })
    const pair = () => request('/v1/pins', { method: 'POST', headers: json, body })
    const first = await pair()
    expect([first.status, first.headers.ratelimit]).toEqual([201, '"pairing";r=0;t=3600'])
    expect(await pair()).toBeProblem(429, 'too-many-requests')
    // The token and the cookie are of one user.
    for (const ask of [() => request('/v1/me'), () => ada.request('/v1/me'), () => request('/v1/files')]) {
      expect((await ask()).status).toBe(200)
    }
    expect(await request('/v1/me')).toBeProblem(429, 'too-many-requests')
    const bad = () => app.request('/v1/me', { headers: { cookie: `${cookie}x` } })
    expect([(await bad()).status, (await bad()).status]).toEqual([401, 429])
  })
})

describe('the cookie is cleared', () => {
  it.each(['current', 'its own id'])('by signing out %s', async (which) => {
    const app = await sharedApp()
    const { request, sessionId } = await page(app)
    const answer = await request(`/v1/sessions/${which === 'current' ? which : sessionId}`, { method: 'DELETE' })
    expect([answer.status, told(answer)]).toEqual([204, CLEARED])
    expect(await request('/v1/me')).toBeProblem(401, 'unauthorized')
  })

  it('by deleting the account', async () => {
    const { request } = await page(await sharedApp())
    const answer = await request('/v1/me', { method: 'DELETE' })
    expect([answer.status, told(answer)]).toEqual([204, CLEARED])
  })

  it('over TLS with the attributes that it was set with', async () => {
    const app = await testApp({ TRUST_PROXY: '127.0.0.1' })
    const { request } = await page(app, undefined, { 'x-forwarded-proto': 'https' })
    const answer = await request('/v1/sessions/current', { method: 'DELETE' })
    expect(told(answer)).toBe('__Host-minikeepsafe=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0')
  })

  it('by a 401 for it, since no script can remove it', async () => {
    const app = await sharedApp()
    const { request, cookie } = await page(app)
    const twice = await request('/v1/me', { headers: { cookie: `${cookie}; ${cookie}` } })
    expect([twice.status, told(twice)]).toEqual([401, CLEARED])
    await request('/v1/sessions/current', { method: 'DELETE' })
    for (const path of ['/v1/me', '/v1/files/a']) {
      const answer = await request(path, { method: path === '/v1/me' ? 'GET' : 'PUT' })
      expect(answer).toBeProblem(401, 'unauthorized')
      expect(told(answer)).toBe(CLEARED)
    }
  })

  it('not by the end of another session, by a token, or by an error of the server', async () => {
    const app = await testApp()
    const ada = await member(app)
    const own = await pageOf(app, ada)
    const others = [await paired(app, ada), await paired(app, ada)]
    const [one] = others
    const answers = [
      await own.request(`/v1/sessions/${one?.sessionId}`, { method: 'DELETE' }),
      await own.request('/v1/sessions/none', { method: 'DELETE' }),
      await ada.request('/v1/sessions/current', { method: 'DELETE', headers: { cookie: own.cookie, ...SAME_ORIGIN } }),
      await own.request('/v1/sessions', { method: 'DELETE' }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([204, 404, 204, 204])
    app.ports.sessions.findByTokenHash = async () => {
      throw Object.assign(new Error('no connection'), { code: 'EUNREACHABLE' })
    }
    answers.push(await own.request('/v1/me'))
    expect(answers.at(-1)).toBeProblem(503, 'not-ready')
    expect(answers.map(told)).toEqual([null, null, null, null, null])
  })
})

describe('other origins', () => {
  it('are never allowed to send the cookie, also those that CORS_ORIGINS names', async () => {
    const origin = 'https://app.example.org'
    const app = await testApp({ CORS_ORIGINS: origin })
    const { request, cookie } = await page(app)
    const site = { origin, 'sec-fetch-site': 'cross-site' }
    const preflight = { 'access-control-request-method': 'PUT', 'access-control-request-headers': 'content-type' }
    const answers = [
      await request('/v1/files', { method: 'OPTIONS', headers: { ...site, ...preflight } }),
      await request('/v1/me', { headers: site }),
      await request('/v1/files/a', { method: 'PUT', headers: site }),
      await request('/v1/me', { headers: { origin } }),
      await app.post('/v1/sessions', { ...(await registered(app)), cookie: true }, { cookie, ...site }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([204, 401, 403, 200, 403])
    for (const { headers } of answers) expect(headers).not.toHaveProperty('access-control-allow-credentials')
    expect(answers.map(told)).toEqual([null, null, null, null, null])
  })

  it('cannot embed a file', async () => {
    const { request } = await page(await sharedApp())
    await request('/v1/files/small.png', { method: 'PUT', body: 'x', headers: { 'content-type': 'image/png' } })
    await request('/v1/files/large.mp4', { method: 'PUT', body: randomBytes(1_000_000) })
    const inline = '/v1/files/small.png?disposition=inline'
    const { etag } = (await request(inline)).headers
    const answers = [
      await request(inline),
      await request('/v1/files/small.png', { method: 'HEAD' }),
      await request('/v1/files/small.png', { headers: { 'if-none-match': etag as string } }),
      await request('/v1/files/large.mp4'),
      await request('/v1/files/large.mp4', { headers: { range: 'bytes=1-9' } }),
      await request('/v1/files/large.mp4', { headers: { range: 'bytes=9999999-' } }),
      await request('/v1/files/none'),
      await request('/v1/me/export'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 304, 200, 206, 416, 404, 200])
    for (const { headers } of answers) expect(headers['cross-origin-resource-policy']).toBe('same-origin')
  })
})
