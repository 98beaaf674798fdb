import { describe, expect, it } from 'vitest'
import { appForMany, member, type TestApp, testApp } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const APP = 'https://app.example.org'
const settings = { CORS_ORIGINS: `http://localhost:5173, ${APP}` }
const from = (origin: string) => ({ origin })
const preflight = (method: string, headers = 'authorization') => ({
  method: 'OPTIONS',
  headers: { ...from(APP), 'access-control-request-method': method, 'access-control-request-headers': headers },
})

const TUS =
  'authorization,content-type,tus-resumable,upload-length,upload-metadata,upload-defer-length,upload-concat,x-request-id'
const IETF = 'authorization,content-type,content-digest,upload-complete,upload-incomplete,upload-draft-interop-version'

const corsHeadersOf = ({ headers }: Answer) => Object.keys(headers).filter((name) => name.startsWith('access-control-'))

describe('a page of an origin that the operator named', () => {
  it.each([
    ['POST', '/v1/users', 'content-type,x-request-id'],
    ['POST', '/v1/files', 'authorization,content-type'],
    ['GET', '/v1/files/beach.jpg', 'authorization,range,if-range,if-none-match,if-modified-since'],
    ['PUT', '/v1/files/beach.jpg', 'authorization,if-match,if-none-match,repr-digest,content-digest'],
    ['PATCH', '/v1/files/beach.jpg', 'authorization,if-unmodified-since'],
    ['DELETE', '/v1/files/beach.jpg', 'authorization,if-match'],
    ['HEAD', '/v1/files/beach.jpg', 'authorization,x-vault-user'],
    ['POST', '/v1/uploads', TUS],
    ['POST', '/v1/uploads', `content-disposition,upload-length,${IETF}`],
    ['HEAD', '/v1/uploads/x', 'authorization,tus-resumable,upload-draft-interop-version'],
    ['PATCH', '/v1/uploads/x', `upload-offset,upload-checksum,${TUS}`],
    ['PATCH', '/v1/uploads/x', `upload-offset,upload-length,${IETF}`],
    ['DELETE', '/v1/uploads/x', 'authorization,tus-resumable'],
    ['POST', '/v1/files', `authorization,${IETF}`],
    ['PUT', '/v1/files/beach.jpg', `upload-length,if-match,repr-digest,${IETF}`],
  ])('may send %s to %s with %s', async (method, path, headers) => {
    const app = await testApp(settings)
    const answer = await app.request(path, preflight(method, headers))
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': APP, vary: 'Origin' })
    expect(list(answer, 'access-control-allow-methods')).toContain(method.toLowerCase())
    expect(list(answer, 'access-control-allow-headers')).toEqual(expect.arrayContaining(headers.split(',')))
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials')
  })

  it.each<[what: string, status: number, ask: (app: TestApp) => Promise<Answer>]>([
    ['a list', 200, async (app) => (await member(app)).request('/v1/files', { headers: from(APP) })],
    ['a small download', 200, download(5)],
    ['a large download', 200, download(3_000_000)],
    ['an export', 200, async (app) => (await member(app)).request('/v1/me/export', { headers: from(APP) })],
    ['an unknown path', 404, (app) => app.request('/nothing', { headers: from(APP) })],
    ['an unknown method', 405, (app) => app.request('/v1/users', { headers: from(APP) })],
    ['a path that cannot be decoded', 400, (app) => app.request('/v1/files/%ff', { headers: from(APP) })],
    ['no session', 401, (app) => app.request('/v1/files', { headers: from(APP) })],
    ['too large a body', 413, (app) => app.post('/v1/users', { name: 'x'.repeat(20_000) }, from(APP))],
    ['a fault', 500, broken],
  ])('may read the answer that is %s', async (_what, status, ask) => {
    const answer = await ask(await testApp(settings))
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({ 'access-control-allow-origin': APP, vary: 'Origin' })
    expect(list(answer, 'access-control-expose-headers')).toEqual(
      expect.arrayContaining([
        ...[
          'accept-ranges',
          'content-disposition',
          'content-range',
          'etag',
          'location',
          'ratelimit',
          'ratelimit-policy',
        ],
        ...['repr-digest', 'retry-after', 'www-authenticate', 'x-request-id'],
      ]),
    )
  })

  it('may read what the protocols of resumable uploads say in headers', async () => {
    const app = await testApp(settings)
    const ada = await member(app)
    const seen = new Set<string>()
    const noted = (answer: Answer) => {
      for (const name of Object.keys(answer.headers)) seen.add(name)
      expect(list(answer, 'access-control-expose-headers')).toEqual(
        expect.arrayContaining(
          Object.keys(answer.headers).filter((name) =>
            /^(upload|tus)-|^(accept-patch|(content-)?location)$/.test(name),
          ),
        ),
      )
      return answer
    }
    const ask = async (method: string, path: string, headers: Record<string, string>, body = '') =>
      noted(await ada.request(path, { method, body, headers: { ...from(APP), ...headers } }))
    const tus = { 'tus-resumable': '1.0.0', 'upload-metadata': 'filename YQ==' }
    const begun = await ask('POST', '/v1/uploads', { ...tus, 'upload-defer-length': '1' })
    await ask('HEAD', String(begun.headers.location), tus)
    await ask('POST', '/v1/uploads', { ...tus, 'upload-length': '1', 'upload-concat': 'partial' })
    await ask('OPTIONS', '/v1/uploads', {})
    for (const version of ['3', '6', '10']) {
      const headers = { 'upload-draft-interop-version': version, 'upload-complete': '?0', 'upload-length': '9' }
      const first = await ask('PUT', `/v1/files/${version}`, headers, 'one')
      await ask('HEAD', String(first.headers.location), headers)
    }
    await ask('PUT', '/v1/files/whole', { 'upload-complete': '?1' }, 'one')
    expect([...seen]).toEqual(
      expect.arrayContaining([
        ...['location', 'content-location', 'accept-patch', 'upload-offset', 'upload-length', 'upload-limit'],
        ...['upload-complete', 'upload-incomplete', 'upload-draft-interop-version'],
        ...['upload-metadata', 'upload-expires', 'upload-defer-length', 'tus-resumable', 'tus-version'],
        ...['tus-extension', 'tus-max-size', 'tus-checksum-algorithm'],
      ]),
    )
  })

  it.each(['/v1/uploads', '/v1/uploads/x', '/v1/files', '/v1/files/beach.jpg'])(
    'learns from a plain OPTIONS of %s what uploads may be, and so does everybody, without a session',
    async (path) => {
      const app = await testApp({ ...settings, MAX_FILE_BYTES: '5000000' })
      const said = { 'upload-limit': 'min-size=0, max-size=5000000', 'accept-patch': 'application/partial-upload' }
      const answer = await app.request(path, { method: 'OPTIONS', headers: from(APP) })
      expect([answer.status, answer.headers]).toMatchObject([204, { ...said, 'access-control-allow-origin': APP }])
      expect((await app.request(path, { method: 'OPTIONS' })).headers).toMatchObject(said)
    },
  )

  it.each([
    ['too large a header', 431, head('GET /health/live', { ...from(APP), 'x-large': 'x'.repeat(20_000) })],
    ['a method that the parser does not know', 405, head('FOO /v1/files', from(APP))],
    ['no HTTP', 400, head('GET /health/live', { ...from(APP), 'bad name': 'x' })],
  ])('may read the answer to %s', async (_what, status, request) => {
    const line = wire((await testApp(settings)).url)
    line.socket.write(request)
    const answer = await line.ended
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain(`\r\naccess-control-allow-origin: ${APP}\r\n`)
    expect(answer).toContain('\r\nvary: Origin\r\n')
  })

  it('hears of what is no preflight what anybody hears', async () => {
    const app = await testApp(settings)
    const answer = await app.request('/v1/sessions', { method: 'OPTIONS', headers: from(APP) })
    expect(answer).toBeProblem(405, 'method-not-allowed')
    expect(answer.headers['access-control-allow-origin']).toBe(APP)
  })
})

describe('a page of any other origin', () => {
  it.each([
    'https://evil.example',
    `${APP}.evil.example`,
    'http://app.example.org',
    'https://app.example.org:8443',
    'null',
    '',
  ])('such as %j gets nothing', async (origin) => {
    const app = await testApp(settings)
    const asked = preflight('PUT')
    const preflighted = await app.request('/v1/users', { ...asked, headers: { ...asked.headers, origin } })
    expect(preflighted).toBeProblem(405, 'method-not-allowed')
    const answers = [preflighted, await app.request('/health/live', { headers: { origin } })]
    for (const answer of answers) {
      expect(corsHeadersOf(answer)).toEqual([])
      expect(answer.headers.vary).toBe('Origin')
    }
  })

  it('gets nothing with the answer to bytes that are no HTTP', async () => {
    const line = wire((await testApp(settings)).url)
    line.socket.write(head('FOO /v1/files', from('https://evil.example')))
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 405 .*\r\nvary: Origin\r\n/s)
    expect(answer).not.toContain('access-control')
  })

  it('gets nothing where no origin is named', async () => {
    const app = await sharedApp()
    const answers = [
      await app.request('/v1/users', preflight('POST')),
      await app.request('/health/live', { headers: from(APP) }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([405, 200])
    for (const answer of answers) expect([...corsHeadersOf(answer), answer.headers.vary]).toEqual([undefined])
  })
})

function list({ headers }: Answer, name: string): string[] {
  return String(headers[name]).toLowerCase().split(', ')
}

function download(bytes: number) {
  return async (app: TestApp) => {
    const owner = await member(app)
    await owner.put('a', Buffer.alloc(bytes))
    return owner.get('a', from(APP))
  }
}

async function broken(app: TestApp) {
  app.ports.users.findByEmail = async () => {
    throw new Error('a fault')
  }
  const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }
  return app.post('/v1/users', ada, from(APP))
}
