import { readdirSync, readFileSync } from 'node:fs'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { form, member, newDeviceId, temporaryFolder } from '../support/app.ts'
import { atOnce } from '../support/at-once.ts'
import { cluster, describeCluster } from '../support/cluster.ts'
import { type CollectedSpan, type Collector, collector } from '../support/collector.ts'
import { freePort } from '../support/engines.ts'
import { type ServerProcess, serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

/** Batches are sent soon. */
const SOON = { OTEL_BSP_SCHEDULE_DELAY: '50' }
const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'

async function traced(settings: Record<string, string> = {}, answer?: Parameters<typeof collector>[0]) {
  const sink = await collector(answer)
  const folder = await temporaryFolder()
  const server = serverProcess(folder, { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, ...SOON, ...settings })
  await server.url
  return { sink, server, folder }
}

/** The span of the request with this id, once it has arrived. */
async function spanOf(sink: Collector, id: string): Promise<CollectedSpan> {
  const find = () => sink.spans().find(({ attributes }) => attributes['request.id'] === id)
  await expect.poll(find, { timeout: 10_000 }).toBeDefined()
  return find() as CollectedSpan
}

const linesOf = (server: ServerProcess) =>
  server
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('with a collector', () => {
  it('each request is one trace, with its route, its status, its id and the work of the engines below it', async () => {
    const { sink, server } = await traced()
    const ada = await member(server)
    await ada.put('beach.jpg', 'sand', { 'x-request-id': 'put-1' })
    const span = await spanOf(sink, 'put-1')
    expect(span).toMatchObject({
      name: 'PUT /v1/files/:name',
      kind: 2,
      status: {},
      attributes: {
        'http.request.method': 'PUT',
        'http.route': '/v1/files/:name',
        'http.response.status_code': 201,
        'request.id': 'put-1',
        'request.bytes': expect.any(Number),
        'response.bytes': expect.any(Number),
      },
    })
    expect(span).not.toHaveProperty('parentSpanId')
    const below = sink.spans().filter(({ traceId, spanId }) => traceId === span.traceId && spanId !== span.spanId)
    expect(below.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['sessions.findByTokenHash', 'blobs.put', 'files.commit']),
    )
    const ids = new Set([span, ...below].map(({ spanId }) => spanId))
    expect(below.every(({ parentSpanId }) => ids.has(parentSpanId as string))).toBe(true)
    expect(sink.resource()).toMatchObject({ 'service.name': 'minikeepsafe', 'service.version': expect.any(String) })
    const line = linesOf(server).find(({ requestId, msg }) => requestId === 'put-1' && msg === 'answered')
    expect(line).toMatchObject({ traceId: span.traceId })
    // Probes would fill the collector.
    await server.request('/health/live', { headers: { 'x-request-id': 'probe' } })
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(sink.text()).not.toContain('probe')
  })

  it('a trace ends with the last byte of a download, and says if the client left before', async () => {
    const { sink, server } = await traced()
    const ada = await member(server)
    await ada.put('film', Buffer.alloc(20_000_000))
    const line = wire(await server.url)
    const authorization = `Bearer ${ada.token}`
    line.socket.write(head('GET /v1/files/film', { authorization, 'x-request-id': 'cut' }))
    await line.until('\r\n\r\n')
    line.socket.destroy()
    const { attributes } = await spanOf(sink, 'cut')
    expect(attributes).toMatchObject({ 'http.response.status_code': 200, 'request.aborted': true })
    await ada.get('film', { 'x-request-id': 'whole' })
    const whole = await spanOf(sink, 'whole')
    expect(whole.attributes).not.toHaveProperty('request.aborted')
    expect(whole.attributes['response.bytes']).toBeGreaterThan(20_000_000)
    const handler = sink.spans().find(({ parentSpanId }) => parentSpanId === whole.spanId) as CollectedSpan
    expect(whole.endMs).toBeGreaterThan(handler.endMs)
  })

  it('a trace that a trusted proxy began goes on, and that of anybody else does not', async () => {
    const traceparent = `00-${TRACE}-${PARENT}-01`
    const { sink, server } = await traced({ TRUST_PROXY: '127.0.0.1' })
    await server.request('/v1/files', { headers: { traceparent, 'x-request-id': 'proxied' } })
    expect(await spanOf(sink, 'proxied')).toMatchObject({ traceId: TRACE, parentSpanId: PARENT })
    const open = await traced()
    await open.server.request('/v1/files', { headers: { traceparent, tracestate: 'a=b', 'x-request-id': 'stranger' } })
    const span = await spanOf(open.sink, 'stranger')
    expect(span.traceId).not.toBe(TRACE)
    expect(open.sink.text()).not.toContain(PARENT)
  })

  it('a refusal is no error, and a damaged file is one', async () => {
    const { sink, server, folder } = await traced({ PIN_DELIVERY: 'response' })
    const ada = await member(server)
    await ada.put('file', 'bytes')
    const blobs = readdirSync(join(folder, 'uploads'), { recursive: true, withFileTypes: true })
    for (const blob of blobs) if (blob.isFile()) await truncate(join(blob.parentPath, blob.name), 10)
    expect((await ada.get('file', { 'x-request-id': 'damaged' })).status).toBe(500)
    expect((await ada.get('nothing', { 'x-request-id': 'absent' })).status).toBe(404)
    expect(await spanOf(sink, 'damaged')).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': '500' } })
    const absent = await spanOf(sink, 'absent')
    const handler = sink
      .spans()
      .find(({ parentSpanId, name }) => parentSpanId === absent.spanId && /^handler/.test(name))
    expect([absent.status.code ?? 0, handler?.status.code ?? 0]).toEqual([0, 0])
  })

  it('no name, address, token, PIN, query or error message leaves the server', async () => {
    const { sink, server } = await traced()
    const deviceId = newDeviceId()
    const person = { name: 'Secret Person', email: 'secret.address@example.org', deviceId }
    const { pin } = (await server.post('/v1/users', person)).body as { pin: string }
    await server.post('/v1/sessions', { deviceId, pin: pin === '0000' ? '0001' : '0000' })
    const { token } = (await server.post('/v1/sessions', { deviceId, pin })).body as { token: string }
    const headers = { authorization: `Bearer ${token}`, 'user-agent': 'secret-agent', cookie: 'secret=1' }
    const path = '/v1/files/secret-name%20%C3%A9'
    await server.request(`${path}?prefix=secret-query`, { method: 'PUT', headers, body: 'secret content' })
    await server.request('/v1/files?prefix=secret-query&cursor=secret-cursor', { headers })
    await server.request(path, { headers })
    await server.request('/secret-path', { headers })
    await server.request('/v1/files/%ff-secret', { headers })
    const upload = form([{ name: 'file', content: 'secret', filename: 'secret-file' }])
    await server.request('/v1/files', { method: 'POST', ...upload, headers: { ...upload.headers, ...headers } })
    await server.request('/v1/me', { method: 'DELETE', headers: { ...headers, 'x-request-id': 'last' } })
    await spanOf(sink, 'last')
    expect(await server.stop('SIGTERM')).toBe(0)
    const names = new Set(sink.spans().map(({ name }) => name))
    expect([...names]).toEqual(expect.arrayContaining(['POST /v1/users', 'GET /v1/files', 'GET', 'DELETE /v1/me']))
    for (const secret of ['secret', 'Secret', token.slice(4), deviceId, '127.0.0.1', 'stack']) {
      expect(sink.text()).not.toContain(secret)
    }
    expect(sink.spans().some(({ attributes }) => Object.values(attributes).includes(pin))).toBe(false)
  })

  it('the address of a client is in a trace only where it may be in the log', async () => {
    const { sink, server } = await traced({ LOG_CLIENT_ADDRESS: 'on' })
    await server.request('/v1/files', { headers: { 'x-request-id': 'addressed' } })
    expect((await spanOf(sink, 'addressed')).attributes).toMatchObject({ 'client.address': '127.0.0.1' })
  })

  it('the settings of OpenTelemetry may be in .env, and a wrong sampler is named', async () => {
    const sink = await collector()
    const folder = await temporaryFolder()
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=secret-key',
      OTEL_SERVICE_NAME: 'my-vault',
      OTEL_TRACES_SAMPLER: 'wrong',
      ...SOON,
    }
    await writeFile(
      join(folder, '.env'),
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    )
    const server = serverProcess(folder)
    await server.request('/v1/files', { headers: { 'x-request-id': 'configured' } })
    await spanOf(sink, 'configured')
    expect(sink.headers()).toMatchObject({ 'x-key': 'secret-key' })
    expect(sink.resource()).toMatchObject({ 'service.name': 'my-vault' })
    expect(server.output()).toContain('OTEL_TRACES_SAMPLER')
    expect(server.output()).not.toMatch(/does not know|secret-key/)
  })

  it('what is sampled can be chosen', async () => {
    const { sink, server } = await traced({ OTEL_TRACES_SAMPLER: 'always_off' })
    await server.request('/v1/files')
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(sink.text()).toBe('')
  })

  it('a stop sends what waits', async () => {
    const { sink, server } = await traced({ OTEL_BSP_SCHEDULE_DELAY: '600000' })
    await server.request('/v1/files', { headers: { 'x-request-id': 'waiting' } })
    expect(sink.text()).toBe('')
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(sink.text()).toContain('waiting')
  })
})

describeCluster('on PostgreSQL, Redis and S3 behind nginx', () => {
  it('a request has the id of nginx, and the calls of all three', async () => {
    const sink = await collector()
    const { nginx, servers } = await cluster(1, { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, ...SOON })
    const ada = await member(nginx)
    const traceparent = `00-${TRACE}-${PARENT}-01`
    const { headers } = await ada.put('beach.jpg', Buffer.alloc(200_000), { traceparent })
    const span = await spanOf(sink, headers['x-request-id'] as string)
    expect(span.name).toBe('PUT /v1/files/:name')
    expect(span.traceId).not.toBe(TRACE)
    const below = sink.spans().filter(({ traceId }) => traceId === span.traceId)
    expect(below.map(({ name }) => name)).toEqual(expect.arrayContaining(['blobs.put', 'files.commit']))
    expect(sink.spans().map(({ name }) => name)).toEqual(expect.arrayContaining(['pendingPins.put', 'sessions.redeem']))
    expect(await servers[0]?.stop('SIGTERM')).toBe(0)
    expect(sink.text()).not.toMatch(/postgres:|redis:|beach|example\.org/)
  })
})

describe('without a collector that works', () => {
  const unbothered = async (answer: Parameters<typeof collector>[0]) => {
    const { server } = await traced({ OTEL_EXPORTER_OTLP_TIMEOUT: '300' }, answer)
    const warnings = () => linesOf(server).filter(({ msg }) => /sending traces failed/.test(String(msg)))
    const ada = await member(server)
    expect((await ada.put('a', 'bytes')).status).toBe(201)
    await expect.poll(warnings, { timeout: 10_000 }).toHaveLength(1)
    expect((await ada.get('a')).status).toBe(200)
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(warnings()).toHaveLength(1)
  }

  atOnce({
    'a stop does not wait for a collector that hangs': async () => {
      const forever = { OTEL_EXPORTER_OTLP_TIMEOUT: '3600000', OTEL_BSP_EXPORT_TIMEOUT: '3600000' }
      const { sink, server } = await traced(forever, { status: null })
      await server.request('/v1/files', { headers: { 'x-request-id': 'hanging' } })
      await spanOf(sink, 'hanging')
      await server.request('/v1/files')
      expect(await server.stop('SIGTERM')).toBe(0)
    },

    'the log says once that it cannot be reached, and that it takes traces again': async () => {
      const free = await freePort()
      const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${free}`, OTEL_EXPORTER_OTLP_TIMEOUT: '300' }
      const server = serverProcess(await temporaryFolder(), { ...settings, ...SOON })
      const said = (text: string) => linesOf(server).filter(({ msg }) => String(msg).includes(text))
      await server.request('/v1/files')
      await expect.poll(() => said('sending traces failed'), { timeout: 10_000 }).toHaveLength(1)
      await server.request('/v1/files')
      const sink = await collector({ port: free })
      await server.request('/v1/files', { headers: { 'x-request-id': 'again' } })
      await spanOf(sink, 'again')
      await expect.poll(() => said('takes traces again')).toHaveLength(1)
      expect(said('sending traces failed')).toHaveLength(1)
    },

    'requests do not wait for a collector that refuses, and the log says it once': () => unbothered({ status: 500 }),
    'requests do not wait for a collector that hangs, and the log says it once': () => unbothered({ status: null }),
  })

  it('no module of OpenTelemetry is loaded if none is set', async () => {
    const loaded = async (settings: Record<string, string>) => {
      const folder = await temporaryFolder()
      const server = serverProcess(folder, { NODE_V8_COVERAGE: join(folder, 'scripts'), ...settings })
      await server.request('/v1/files')
      expect(await server.stop('SIGTERM')).toBe(0)
      // Node lists every script that it has loaded.
      return readdirSync(join(folder, 'scripts'))
        .map((file) => readFileSync(join(folder, 'scripts', file), 'utf8'))
        .join('')
    }
    const sink = await collector()
    expect(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url })).toContain('/node_modules/@opentelemetry/')
    const scripts = await loaded({})
    expect(scripts).toContain('/dist/server.js')
    expect(scripts).not.toMatch(/opentelemetry|fastify\/otel/)
  })

  it.each([
    { OTEL_SDK_DISABLED: 'TRUE' },
    { OTEL_TRACES_EXPORTER: 'none' },
    { OTEL_TRACES_EXPORTER: 'console,zipkin' },
  ])('it gets nothing with %j', async (settings) => {
    const { sink, server } = await traced(settings as Record<string, string>)
    await server.request('/v1/files')
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(sink.spans()).toEqual([])
  })

  it('it gets traces where it is one of several exporters, and where the switch is off', async () => {
    const { sink, server } = await traced({ OTEL_SDK_DISABLED: 'false', OTEL_TRACES_EXPORTER: 'console, otlp' })
    await server.request('/v1/files', { headers: { 'x-request-id': 'sent' } })
    await spanOf(sink, 'sent')
  })
})
