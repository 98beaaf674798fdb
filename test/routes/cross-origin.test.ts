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

const corsHeadersOf = ({ headers }: Answer) => Object.keys(headers).filter((name) => name.startsWith('access-control-'))

describe('a page of an origin that the operator named', () => {
  it.each([
    ['POST', '/v1/users', 'content-type,x-request-id'],
    ['POST', '/v1/files', 'authorization,content-type'],
    ['GET', '/v1/files/beach.jpg', 'authorization,range,if-range,if-none-match,if-modified-since'],
    ['PUT', '/v1/files/beach.jpg', 'authorization,if-match,if-none-match,repr-digest,content-digest'],
    ['PATCH', '/v1/files/beach.jpg', 'authorization,if-unmodified-since'],
    ['DELETE', '/v1/files/beach.jpg', 'authorization,if-match'],
    ['HEAD', '/v1/files/beach.jpg', 'authorization'],
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
