import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'
import { describe, expect, it } from 'vitest'
import { appForMany, member, type TestApp } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

/** What helmet sets by default, but for what only belongs on answers over TLS, and with frames forbidden for all. */
const HELMET = { ...helmetDefaults(), 'x-frame-options': 'DENY' }
const NOTHING = "default-src 'none'; frame-ancestors 'none'"

describe('the headers that keep browsers out of trouble', () => {
  it.each<[what: string, status: number, policy: unknown, ask: (app: TestApp) => Promise<Answer>]>([
    ['a list', 200, NOTHING, async (app) => (await member(app)).request('/v1/files')],
    ['an upload', 201, NOTHING, async (app) => (await member(app)).put('a', 'bytes')],
    ['a download', 200, 'sandbox', stored((name) => [name])],
    ['a HEAD', 200, 'sandbox', stored((name) => [name, { method: 'HEAD' }])],
    ['a large download', 200, 'sandbox', stored((name) => [name], 300_000)],
    ['a range', 206, 'sandbox', stored((name) => [name, { headers: { range: 'bytes=1-2' } }])],
    ['a range there is not', 416, NOTHING, stored((name) => [name, { headers: { range: 'bytes=9-' } }])],
    ['an export', 200, NOTHING, async (app) => (await member(app)).request('/v1/me/export')],
    ['a page of the documentation', 200, expect.stringContaining("script-src 'self'"), (app) => app.request('/docs')],
    ['the document', 200, expect.any(String), (app) => app.request('/docs/json')],
    ['a refusal', 401, NOTHING, (app) => app.request('/v1/files')],
    ['a refusal before the body', 401, NOTHING, (app) => app.request('/v1/files/a', { method: 'PUT', body: 'a' })],
    ['an unknown path', 404, NOTHING, (app) => app.request('/nothing')],
    ['an unknown method', 405, NOTHING, (app) => app.request('/v1/users')],
    ['a path that cannot be decoded', 400, NOTHING, (app) => app.request('/v1/files/%ff')],
    ['a fault', 500, NOTHING, broken],
  ])('stand on %s', async (_what, status, policy, ask) => {
    const answer = await ask(await sharedApp())
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({ ...HELMET, 'content-security-policy': policy })
    expect(answer.headers).not.toHaveProperty('x-powered-by')
    expect(answer.headers).not.toHaveProperty('strict-transport-security')
  })

  it.each(['no request\r\n\r\n', head('GET /health/live', { 'x-long': 'x'.repeat(20_000) })])(
    'stand on the answer to what is no request',
    async (bytes) => {
      const line = wire((await sharedApp()).url)
      line.socket.write(bytes)
      const answer = (await line.ended).toLowerCase()
      const headers = { ...HELMET, 'content-security-policy': NOTHING, 'cache-control': 'no-store' }
      for (const [name, value] of Object.entries(headers))
        expect(answer).toContain(`${name}: ${value.toLowerCase()}\r\n`)
      expect(answer).not.toContain('strict-transport-security')
    },
  )

  it('run no script of the documentation that is not a file of this server', async () => {
    const app = await sharedApp()
    const page = await app.request('/docs')
    const policy = new Map(
      String(page.headers['content-security-policy'])
        .split('; ')
        .map((directive) => directive.split(/ (.*)/) as [string, string]),
    )
    expect(policy.get('default-src')).toBe("'none'")
    expect(policy.get('script-src')).toBe("'self'")
    expect(page.body).not.toMatch(/<script(?![^>]* src=)|\son\w+=/)
  })
})

/** Asks for a file of `bytes` bytes that was put there first. */
function stored(request: (path: string) => Parameters<TestApp['request']>, bytes = 5) {
  return async (app: TestApp) => {
    const owner = await member(app)
    await owner.put('a', Buffer.alloc(bytes))
    return owner.request(...request('/v1/files/a'))
  }
}

async function broken(app: TestApp) {
  app.ports.users.findByEmail = async () => {
    throw new Error('a fault')
  }
  return app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' })
}

function helmetDefaults(): Record<string, string> {
  const request = new IncomingMessage(new Socket())
  const response = new ServerResponse(request)
  helmet({ contentSecurityPolicy: false, strictTransportSecurity: false })(request, response, () => {})
  return response.getHeaders() as Record<string, string>
}
