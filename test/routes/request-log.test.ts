import { describe, expect, it } from 'vitest'
import { member, SESSIONS_CHECKED_OFTEN, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import { head, wire } from '../support/wire.ts'

type Line = Record<string, unknown>

const requestLines = ({ log }: Pick<TestApp, 'log'>): Line[] =>
  log.map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg === 'answered')

/** The lines after those of the builders, once there are some. */
async function linesAfter(app: TestApp, before: number, count = 1): Promise<Line[]> {
  await expect.poll(() => requestLines(app).length).toBeGreaterThanOrEqual(before + count)
  return requestLines(app).slice(before)
}

const INFO = 30

describe('each request has one line', () => {
  it('with route, status, bytes of both ways, time and id', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' })
    const ada = await member(app)
    const before = (await linesAfter(app, 0, 2)).length
    await ada.put('beach.jpg', Buffer.alloc(100_000), { 'x-request-id': 'upload-1' })
    await ada.get('beach.jpg')
    expect(await linesAfter(app, before, 2)).toEqual([
      {
        level: INFO,
        time: expect.any(Number),
        requestId: 'upload-1',
        method: 'PUT',
        route: '/v1/files/:name',
        in: expect.any(Number),
        out: expect.any(Number),
        status: 201,
        ms: expect.any(Number),
        msg: 'answered',
      },
      expect.objectContaining({ method: 'GET', route: '/v1/files/:name', status: 200 }),
    ])
    const [put, get] = requestLines(app).slice(before) as { in: number; out: number }[]
    for (const bytes of [put?.in, get?.out]) {
      expect(bytes).toBeGreaterThan(100_000)
      expect(bytes).toBeLessThan(103_000)
    }
    for (const bytes of [put?.out, get?.in]) expect(bytes).toBeLessThan(3000)
  })

  it('whose bytes are its own, on a connection of several requests, with TLS and without', async () => {
    const { cert, key } = newCertificate(await temporaryFolder())
    for (const settings of [{}, { TLS_CERT: cert, TLS_KEY: key }]) {
      const app = await testApp({ LOG_LEVEL: 'info', ...settings })
      const ada = await member(app)
      const before = (await linesAfter(app, 0, 2)).length
      const { Agent } = await import(Object.keys(settings).length > 0 ? 'node:https' : 'node:http')
      const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
      const headers = { authorization: `Bearer ${ada.token}` }
      await app.request('/v1/files/a', { method: 'PUT', headers, body: Buffer.alloc(50_000), agent })
      await app.request('/v1/files/a', { headers, agent })
      await app.request('/v1/files/b', { headers, agent })
      agent.destroy()
      const lines = (await linesAfter(app, before, 3)) as { in: number; out: number }[]
      expect(lines.map((line) => [line.in > 50_000, line.out > 50_000])).toEqual([
        [true, false],
        [false, true],
        [false, false],
      ])
    }
  })

  it('if its client leaves in the middle of an upload, which the line shows', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' })
    const ada = await member(app)
    const before = (await linesAfter(app, 0, 2)).length
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 10_000_000 }
    line.socket.write(head('PUT /v1/files/cut', headers) + 'x'.repeat(2_000_000))
    await expect.poll(() => app.connections.at(-1)?.bytesRead).toBeGreaterThan(1_000_000)
    line.socket.destroy()
    const [own, ...others] = await linesAfter(app, before)
    expect(own).toMatchObject({ level: INFO, method: 'PUT', route: '/v1/files/:name', aborted: true })
    await app.close()
    expect([others, requestLines(app).slice(before + 1)]).toEqual([[], []])
  })

  it('if its client leaves in the middle of a download', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' })
    const ada = await member(app)
    await ada.put('film', Buffer.alloc(20_000_000))
    const before = (await linesAfter(app, 0, 3)).length
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files/film', { authorization: `Bearer ${ada.token}` }))
    await line.until('\r\n\r\n')
    line.socket.destroy()
    expect(await linesAfter(app, before)).toMatchObject([{ method: 'GET', status: 200, aborted: true }])
  })

  it('if the server ends it with a response that replaces its own', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' }, undefined, SESSIONS_CHECKED_OFTEN)
    const ada = await member(app)
    const before = (await linesAfter(app, 0, 2)).length
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 30, 'content-type': 'application/json' }
    line.socket.write(`${head('POST /v1/pins', { ...headers, 'x-request-id': 'slow-1' })}{"deviceId"`)
    await expect.poll(() => app.connections.at(-1)?.bytesRead).toBeGreaterThan(100)
    await app.vault.sessions.endAll(ada.userId, { address: '', userAgent: '', requestId: '' })
    const text = await line.ended
    const [own] = await linesAfter(app, before)
    expect(text).toMatch(/^HTTP\/1\.1 401 /)
    expect(text).toContain('"requestId":"slow-1"')
    expect(own).toMatchObject({ requestId: 'slow-1', method: 'POST', route: '/v1/pins', status: 401 })
    expect(own).not.toHaveProperty('aborted')
    expect(requestLines(app)).toHaveLength(before + 1)
  })

  it.each([
    ['of an unknown path', head('GET /nothing'), { method: 'GET', route: 'none', status: 404 }],
    ['whose URL cannot be read', head('GET /v1/files/%ff'), { method: 'GET', route: 'none', status: 400 }],
    ['without a Host', 'GET /v1/files HTTP/1.1\r\n\r\n', { method: 'GET', route: '/v1/files', status: 400 }],
    ['of another protocol', 'SSH-2.0-client\r\n\r\n', { route: 'none', status: 400 }],
    ['with too large a head', head('GET /v1/files', { 'x-large': 'x'.repeat(20_000) }), { route: 'none', status: 431 }],
    ['for a tunnel', head('CONNECT example.org:443'), { route: 'none', status: 400 }],
    ['without a session', head('GET /v1/files'), { method: 'GET', route: '/v1/files', status: 401 }],
  ])('%s', async (_what, bytes, line) => {
    const app = await testApp({ LOG_LEVEL: 'info', LOG_CLIENT_ADDRESS: 'on' })
    const { socket, until, ended } = wire(app.url)
    socket.write(bytes)
    const text = await until('"requestId"')
    socket.end()
    await ended
    const [own] = await linesAfter(app, 0)
    await app.close()
    expect(requestLines(app)).toHaveLength(1)
    const id = /x-request-id: (.*)/i.exec(text)?.[1]
    expect(own).toMatchObject({ ...line, requestId: id, level: INFO, in: bytes.length, client: '127.0.0.1' })
  })

  it('of several on one connection, also if the last is none, and their bytes are all bytes', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' })
    const { socket, ended } = wire(app.url)
    const bytes = `${head('GET /nothing')}${head('GET /v1/files')}${head('POST /v1/sessions', { 'content-length': 0 })}no request\r\n\r\n`
    socket.write(bytes)
    const text = await ended
    const lines = await linesAfter(app, 0, 4)
    await app.close()
    expect(lines.map(({ route, status }) => [route, status])).toEqual([
      ['none', 404],
      ['/v1/files', 401],
      ['/v1/sessions', 400],
      ['none', 400],
    ])
    expect(requestLines(app)).toHaveLength(4)
    const sum = (way: 'in' | 'out') => lines.reduce((total, line) => total + (line[way] as number), 0)
    expect([sum('in'), sum('out')]).toEqual([bytes.length, text.length])
  })

  it('whose header never came', async () => {
    const app = await testApp({ LOG_LEVEL: 'info' }, undefined, { headerMs: 200 })
    const { socket, ended } = wire(app.url)
    socket.write('GET /v1/files HTTP/1.1\r\nhost:')
    expect(await ended).toMatch(/^HTTP\/1\.1 408 /)
    expect(await linesAfter(app, 0)).toMatchObject([{ route: 'none', status: 408 }])
  })
})

it('health checks that succeed are logged at the level debug only', async () => {
  const app = await testApp({ LOG_LEVEL: 'debug' })
  await app.request('/health/live')
  await app.request('/health/ready')
  app.drain()
  await app.request('/health/ready')
  const lines = await linesAfter(app, 0, 3)
  expect(lines.map(({ level, route, status }) => [level, route, status])).toEqual([
    [20, '/health/live', 200],
    [20, '/health/ready', 200],
    [INFO, '/health/ready', 503],
  ])
})

describe('the id that a proxy gives a request', () => {
  it('is in the response, in the problem document and in every line about the request', async () => {
    const app = await testApp({ LOG_LEVEL: 'info', TRUST_PROXY: '127.0.0.1' })
    app.drain()
    const answer = await app.request('/health/ready', { headers: { 'x-request-id': 'from-proxy.1' } })
    expect(answer.headers['x-request-id']).toBe('from-proxy.1')
    expect(answer.body).toMatchObject({ requestId: 'from-proxy.1', code: 'not-ready' })
    await linesAfter(app, 0)
    const lines = app.log.map((line) => JSON.parse(line) as Line).filter(({ requestId }) => requestId)
    expect(lines.map(({ requestId, msg }) => [requestId, msg])).toEqual([
      ['from-proxy.1', expect.any(String)],
      ['from-proxy.1', 'answered'],
    ])
  })

  it.each(['has space', 'x'.repeat(65), ''])('is replaced if it is not safe: %j', async (given) => {
    const app = await testApp({ LOG_LEVEL: 'info' })
    const { headers } = await app.request('/nothing', { headers: { 'x-request-id': given } })
    expect(headers['x-request-id']).toMatch(/^[\w-]{21}$/)
    expect(await linesAfter(app, 0)).toMatchObject([{ requestId: headers['x-request-id'] }])
  })
})
