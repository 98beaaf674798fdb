import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import fastify from 'fastify'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { dependencyLogs, logOf } from '../../src/http/request-logs.ts'
import { form, newDeviceId, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import type { Call } from '../support/http.ts'
import { serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const json = { 'content-type': 'application/json' }
const name = 'secret-name é.jpg'
const path = (of: string) => `/v1/files/${encodeURIComponent(of)}`

it.each(['info', 'debug', 'trace'])('a whole story at the level %s leaves no secret in the log', async (LOG_LEVEL) => {
  const app = await testApp({ LOG_LEVEL })
  const secrets = await story(app)
  await app.settled()
  await app.close()
  const log = app.log.join('\n')
  expect(log).toContain('"status":500')
  expectNone(secrets, log)
})

it('nor do the lines of a start and a stop, or of a start that fails', async () => {
  const folder = await temporaryFolder()
  const masterKey = createHash('sha256').update('a key').digest('base64')
  const { cert, key } = newCertificate(folder)
  const settings = { MASTER_KEY: masterKey, TLS_CERT: cert, TLS_KEY: key, LOG_LEVEL: 'trace' }
  const server = serverProcess(folder, settings)
  const secrets = await story({ ...server, url: (await server.url).replace('https', 'http'), config: folders(folder) })
  expect(await server.stop('SIGTERM')).toBe(0)
  const failing = serverProcess(folder, {
    ...settings,
    MASTER_KEY: createHash('sha256').update('other').digest('base64'),
  })
  expect(await failing.exit).toBe(1)
  const told = server.output() + failing.output()
  expect(told).toContain('closing on SIGTERM')
  const keys = { masterKey, privateKey: readFileSync(key, 'utf8').split('\n')[1] as string }
  expectNone({ ...secrets, ...keys }, told)
})

describe('every kind of request', () => {
  // Each level has some of the lines of the one below it. Dependencies write less from `info` on, and PINs come at every level.
  it.each([
    ['trace', 'response'],
    ['trace', 'console'],
    ['info', 'console'],
    ['silent', 'console'],
  ])(
    'at the level %s, with PINs by %s, leaves neither token, PIN, address, device id nor file name in the log',
    async (LOG_LEVEL, PIN_DELIVERY) => {
      const folder = await temporaryFolder()
      const first = await testApp({ LOG_LEVEL }, folder)
      const deviceId = `secret-${newDeviceId()}`
      const email = 'secret.address@example.org'
      const { pin } = (await first.post('/v1/users', { name: 'Secret Person', email, deviceId })).body as {
        pin: string
      }
      const { token } = (await first.post('/v1/sessions', { deviceId, pin })).body as { token: string }
      await first.close()
      const app = await testApp({ LOG_LEVEL, PIN_DELIVERY }, folder)
      // Trace has the lines of all levels.
      await everyRequest(app, { token, email, deviceId }, LOG_LEVEL === 'trace')
      await app.settled()
      await app.close()
      // What this mode is for.
      const log = [...first.log, ...app.log].filter((line) => !/"msg":"(PIN|code) /.test(line)).join('\n')
      expectNone({ token: token.slice(4), ofAll: 'secret', sekret: 'c2VjcmV0', person: 'Secret', pin }, log)
      if (LOG_LEVEL === 'silent') expect(log).toBe('')
    },
  )
})

/** The route table, each route with good and bad tokens, bodies of every kind, and bytes that are no request. */
async function everyRequest(
  app: TestApp,
  { token, email, deviceId }: Record<'token' | 'email' | 'deviceId', string>,
  inFull: boolean,
) {
  const { paths } = (await app.request('/docs/json')).body as { paths: Record<string, Record<string, object>> }
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{\w+\}/g, 'secret-name'),
    })),
  )
  const good = { authorization: `Bearer ${token}` }
  const bad = { authorization: 'Bearer mks_secret-token-secret-token-secret-token-secret-token' }
  const known = JSON.stringify({ name: 'secret-new-name', email, deviceId, deviceName: 'secret phone', pin: '0000' })
  const upload = form([{ name: 'file', content: 'secret content', filename: 'secret-file.jpg', type: 'image/secret' }])
  const bodies: Pick<Call, 'headers' | 'body'>[] = [
    {},
    { headers: json, body: known },
    { headers: json, body: '{"name":"secret-json' },
    { headers: json, body: `"${'secret'.repeat(4000)}"` },
    upload,
    { ...upload, body: (upload.body as Buffer).subarray(0, 60) },
    { headers: { 'content-type': 'multipart/form-data; boundary=secret' }, body: 'secret' },
    { headers: { 'content-type': 'secret/secret', 'if-match': '"secret"', range: 'secret' }, body: 'secret' },
  ]
  for (const { method, path } of routes) {
    const page = { cookie: `minikeepsafe=${bad.authorization.slice(7)}`, 'sec-fetch-site': 'same-origin' }
    for (const authorization of inFull ? [good, bad, page, {}] : [good]) {
      for (const { headers, body } of bodies) {
        if (method === 'GET' && body !== undefined) continue
        // The story would be over for all that comes after.
        if (method === 'DELETE' && authorization === good && /sessions|me$/.test(path)) continue
        const url = `${path}?prefix=secret&cursor=secret`
        await app
          .request(url, { method, headers: { ...headers, ...authorization }, ...(body && { body }) })
          .catch(() => {})
      }
    }
  }
  for (const path of [
    '/secret',
    '/v1/files/%ff-secret',
    '/v1/files/secret/secret',
    '/docs/secret',
    '/v1/files/a%00secret',
  ]) {
    for (const method of ['GET', 'TRACE', 'OPTIONS', 'PUT'])
      await app.request(path, { method, headers: good, ...(method === 'PUT' && { body: 'secret' }) })
  }
  for (const bytes of [
    head('GET /v1/secret-noise', good).replace('HTTP/1.1', 'HTTP/secret'),
    head('GET /v1/files', { ...good, 'x-secret': 'secret'.repeat(5000) }),
    head('GET /v1/files', { ...good, 'bad secret': 'secret' }),
    `${head('PUT /v1/files/secret-cut', { ...good, 'content-length': 100 })}secret`,
    `${head('PUT /v1/files/secret-chunks', { ...good, 'transfer-encoding': 'chunked' })}secret\r\n`,
    'secret\r\n\r\n',
  ]) {
    await broken(app, bytes)
  }
}

it('a line of the framework or a plugin says what went wrong and where, and quotes nothing', async () => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const app = fastify(dependencyLogs(log))
  app.get('/', async (request) => {
    const { headers } = request
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const) {
      request.log[level](
        { headers, err: Object.assign(new TypeError(`quoted\n    at ${headers.authorization}`), { headers }) },
        'quoted',
      )
      request.log.child({ headers })[level](`quoted ${request.url}`)
    }
    logOf(request).error({ err: Object.assign(new Error('ours'), { code: 'EOURS', headers }) }, 'told')
    return {}
  })
  app.log.debug('quoted')
  await app.inject({ url: '/?quoted', headers: { authorization: 'quoted' } })
  expect(lines.join('')).not.toContain('quoted')
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    {
      level: 40,
      dependency: { name: 'TypeError', frames: expect.arrayContaining([expect.stringContaining('log.test')]) },
    },
    { level: 40, dependency: null },
    { level: 50 },
    { level: 50 },
    { level: 60 },
    { level: 60 },
    { level: 50, reqId: 'req-1', err: { type: 'Error', message: 'ours', code: 'EOURS' }, msg: 'told' },
  ])
})

/** As words: a PIN may well stand within a time. Stacks have line numbers, and repeat the message before them. */
function expectNone(secrets: Record<string, string>, log: string) {
  const text = log.replace(/"stack":"(?:[^"\\]|\\.)*"/g, '')
  for (const [what, secret] of Object.entries(secrets)) {
    const word = /^\d+$/.test(secret) ? new RegExp(`(?<![\\w-])${secret}(?![\\w-])`) : secret
    expect(text, `${what} in the log`).not.toMatch(word)
  }
}

/** Without TLS and with it, the cookie has different names. */
const cookiesWith = (token: string) => `minikeepsafe=${token}; __Host-minikeepsafe=${token}`

const folders = (folder: string) => ({ UPLOADS_DIR: join(folder, 'uploads') })

/** Everything that a user does, and what goes wrong; answers what nobody may read in the log. */
async function story(app: Pick<TestApp, 'request' | 'post' | 'url'> & { config: { UPLOADS_DIR: string } }) {
  const deviceId = newDeviceId()
  const email = 'secret.address@example.org'
  const { pin } = (await app.post('/v1/users', { name: 'Secret Person', email, deviceId })).body as { pin: string }
  const wrongPin = pin === '0000' ? '0001' : '0000'
  await app.post('/v1/sessions', { deviceId, pin: wrongPin })
  const entered = { deviceId, pin, deviceName: 'secret phone' }
  const { token } = (await app.post('/v1/sessions', entered)).body as { token: string }
  const headers = { authorization: `Bearer ${token}` }
  const statuses = [
    await app.request(path(name), { method: 'PUT', headers, body: 'secret content' }),
    await app.request('/v1/files?prefix=secret-&cursor=secret-cursor', { headers }),
    await app.request('/v1/files', { headers }),
    await app.request(path(name), { headers }),
    await app.request(path('secret-other'), { headers }),
    await app.request(path(name), { method: 'PATCH', headers: { ...headers, ...json }, body: '{"name":"secret-new"}' }),
    await app.request(path('secret-new'), { headers: { authorization: 'Bearer mks_secret-token' } }),
    await app.request('/v1/users', { method: 'POST', headers: json, body: '{"name":"Secret Person", secret-json' }),
    await app.request('/v1/secret-path/%ff', { headers }),
    await app.request('/v1/files', { headers: { cookie: cookiesWith(token) } }),
    await app.request('/v1/files', { headers: { cookie: cookiesWith('mks_secret-token') } }),
    await app.request(path(name), { method: 'PUT', headers: { cookie: cookiesWith(token) } }),
  ].map(({ status }) => status)
  expect(statuses).toEqual([201, 400, 200, 200, 404, 200, 401, 400, 400, 200, 401, 403])
  await broken(app, head('GET /v1/secret-noise', headers).replace('HTTP/1.1', 'HTTP/secret'))
  await broken(app, `${head(`PUT ${path('secret-cut')}`, { ...headers, 'content-length': 100 })}secret`)

  const blobs = await readdir(app.config.UPLOADS_DIR, { recursive: true, withFileTypes: true })
  for (const blob of blobs.filter((entry) => entry.isFile())) await truncate(join(blob.parentPath, blob.name), 10)
  expect((await app.request(path('secret-new'), { headers })).status).toBe(500)
  const paired = await app.post('/v1/pins', { deviceId: 'secret-device' }, headers)
  expect(paired.status).toBe(201)
  const { pin: second } = paired.body as { pin: string }
  return {
    pin,
    second,
    wrongPin,
    token: token.slice(4),
    deviceId,
    ofAll: 'secret',
    person: 'Secret Person',
    encoded: encodeURIComponent(name),
    sha256: createHash('sha256').update('secret content').digest('hex'),
  }
}

/** Sends bytes that are no request, or none that is complete, and leaves. */
async function broken({ url }: Pick<TestApp, 'url'>, bytes: string) {
  const line = wire(url)
  line.socket.end(bytes)
  await line.ended
}

describe('the address of a client', () => {
  const clientOf = async (settings: Record<string, string>) => {
    const app = await testApp({ LOG_LEVEL: 'info', ...settings })
    await app.request('/v1/files', { headers: { 'x-forwarded-for': '203.0.113.7' } })
    const line = app.log.map((text) => JSON.parse(text)).find(({ route }) => route === '/v1/files')
    return [line.status, line.client]
  }

  it('is in the log only where it is asked for, and as the proxy says it', async () => {
    expect(await clientOf({})).toEqual([401, undefined])
    expect(await clientOf({ LOG_CLIENT_ADDRESS: 'on' })).toEqual([401, '127.0.0.1'])
    expect(await clientOf({ LOG_CLIENT_ADDRESS: 'on', TRUST_PROXY: '127.0.0.1' })).toEqual([401, '203.0.113.7'])
  })
})
