import type { IncomingMessage } from 'node:http'
/** What one client does is felt by that client alone. */
import { describe, expect, it } from 'vitest'
import type { HttpRules } from '../../src/app.ts'
import { PIPELINE_DEPTH } from '../../src/plugins/connections/pipelining.ts'
import { form, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { head, type Wire, wire } from '../support/wire.ts'

const SOMEBODY_ELSE = '127.0.0.2'

/** The responses on the connections that end first. The server need not take requests in the order of their connections. */
async function firstEnded(lines: Wire[], count: number): Promise<string[]> {
  const answers: string[] = []
  for (const { ended } of lines) void ended.then((answer) => answers.push(answer))
  await expect.poll(() => answers.length).toBe(count)
  return answers.slice(0, count)
}

describe('requests of one connection', () => {
  it('are worked on one at a time, whatever they ask for', async () => {
    const app = await testApp()
    const ada = await member(app)
    const lists = gate(app, 'list')
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files?limit=1000', tokenOf(ada)).repeat(PIPELINE_DEPTH - 1))
    await expect.poll(lists.begun).toBe(1)
    // Requests on other connections come and go meanwhile.
    expect((await app.request('/health/live')).status).toBe(200)
    expect(lists.begun()).toBe(1)
    lists.open()
    await expect.poll(() => line.received().split('HTTP/1.1 200').length - 1).toBe(PIPELINE_DEPTH - 1)
    line.socket.destroy()
  })

  it('end the connection where they are too many at a time, and those before are answered', async () => {
    const app = await testApp()
    const line = wire(app.url)
    line.socket.write(head('GET /health/live').repeat(3000))
    const answers = await line.ended
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(PIPELINE_DEPTH)
    expect(answers.match(/connection: close/gi)).toHaveLength(1)
    expect(answers.trim()).toMatch(/\{"status":"ok"[^{]*\}$/)
  })

  it('end the connection after one with very many fields', async () => {
    const app = await testApp()
    const line = wire(app.url)
    const fields = Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`field-${n}`, '']))
    line.socket.write(head('GET /health/live', fields) + head('GET /health/live'))
    const answers = await line.ended
    expect(answers.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(answers).toMatch(/^HTTP\/1\.1 431 .*connection: close/is)
  })

  it('are all answered where one that waits has a long body', async () => {
    const app = await testApp()
    const ada = await member(app)
    const line = wire(app.url)
    const body = 'x'.repeat(200_000)
    line.socket.write(head('GET /v1/me/export', tokenOf(ada)))
    line.socket.write(head('PUT /v1/files/a', { ...tokenOf(ada), 'content-length': body.length, connection: 'close' }))
    line.socket.write(body)
    expect((await line.ended).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 201'])
    expect((await ada.get('a')).bytes).toHaveLength(body.length)
  })

  it('keep nothing of the body of a GET, which means nothing', async () => {
    const app = await testApp()
    const ada = await member(app)
    const lists = gate(app, 'list')
    const asked = new Promise<IncomingMessage>((resolve) => app.server.once('request', resolve))
    const line = wire(app.url)
    const body = 'x'.repeat(100_000)
    line.socket.write(head('GET /v1/files', { ...tokenOf(ada), 'content-length': body.length }) + body)
    const request = await asked
    await expect.poll(() => request.complete).toBe(true)
    expect(request.readableLength).toBe(0)
    lists.open()
    await expect.poll(line.received).toMatch(/^HTTP\/1\.1 200 /)
    line.socket.write(head('GET /health/live', { connection: 'close' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 200 .*HTTP\/1\.1 200 /s)
  })

  it.each([
    ['long fields', 1, 'x'.repeat(3000), 2],
    ['many fields', 30, '', 2],
    ['few fields', 5, '', PIPELINE_DEPTH],
  ])('end the connection where the heads of those that wait are too large: %s', async (_, count, value, most) => {
    const app = await testApp()
    const ada = await member(app)
    const lists = gate(app, 'list')
    const line = wire(app.url)
    const fields = Object.fromEntries(Array.from({ length: count }, (_, n) => [`field-${n}`, value]))
    line.socket.write(head('GET /v1/files', { ...tokenOf(ada), ...fields }).repeat(PIPELINE_DEPTH))
    await expect.poll(lists.begun).toBe(1)
    lists.open()
    const answers = await line.ended
    expect(answers.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(most)
    expect(answers.match(/connection: close/gi)).toHaveLength(1)
  })

  it('that come with a transfer coding in HTTP/1.0 are refused, and end it', async () => {
    const app = await testApp()
    const line = wire(app.url)
    const smuggled = 'GET /health/live HTTP/1.0\r\n\r\n'
    const body = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
    const fields = 'Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n'
    line.socket.write(`POST /v1/users HTTP/1.0\r\n${fields}Content-Type: application/json\r\n\r\n${body}`)
    const answers = await line.ended
    expect(answers).toMatch(/^HTTP\/1\.1 400 .*"malformed-http"/s)
    expect(answers.match(/HTTP\/1\.1/g)).toHaveLength(1)
  })
})

describe('requests of many connections at the same moment', () => {
  it.each([
    ['of one address', {}, '127.0.0.1', SOMEBODY_ELSE],
    ['of one address behind a trusted proxy', { TRUST_PROXY: '127.0.0.0/8' }, '192.0.2.1', '192.0.2.2'],
    ['of one address behind two proxies', { TRUST_PROXY: '2' }, '192.0.2.1, 127.0.0.9', '192.0.2.2, 127.0.0.9'],
  ])('%s do not delay a new connection of another: it waits for a few of them', async (_of, settings, from, to) => {
    const app = await testApp(settings)
    const crowd = Array.from({ length: 64 }, () => wire(app.url))
    await expect.poll(() => app.connections.length).toBe(64)
    const requests = head('GET /health/live', { 'x-forwarded-for': from }).repeat(PIPELINE_DEPTH - 1)
    for (const { socket } of crowd) socket.write(requests)
    const answer = answerTo(wire(app.url, SOMEBODY_ELSE), 'GET /v1/me', { 'x-forwarded-for': to })
    expect(await answer).toMatch(/^HTTP\/1\.1 401 /)
    const routes = () => app.log.filter((line) => line.includes('"answered"')).map((line) => JSON.parse(line).route)
    await expect.poll(() => routes().length).toBe(64 * (PIPELINE_DEPTH - 1) + 1)
    expect(routes().indexOf('/v1/me')).toBeLessThan(crowd.length / 2)
    for (const { socket } of crowd) socket.destroy()
  })
})

describe('connections of one network', () => {
  it('leave room for those of others', async () => {
    const app = await testApp({}, undefined, { mostConnections: 128 })
    const crowd = Array.from({ length: 40 }, () => wire(app.url))
    const answers = await firstEnded(crowd, 8)
    for (const answer of answers) expect(answer).toMatch(/^$|^HTTP\/1\.1 503 .*"not-ready"/s)
    expect(await answerTo(wire(app.url, SOMEBODY_ELSE), 'GET /health/live')).toMatch(/^HTTP\/1\.1 200 /)
    for (const { socket } of crowd) socket.destroy()
  })

  it('are not counted where they are a trusted proxy’s; its requests are, by who sent them', async () => {
    const app = await testApp({ TRUST_PROXY: '127.0.0.1' }, undefined, { mostConnections: 128, networkShare: 1 / 4 })
    const slow = head('POST /v1/users', {
      'x-forwarded-for': '192.0.2.1',
      'content-type': 'application/json',
      'content-length': 10,
    })
    const lines = Array.from({ length: 40 }, () => wire(app.url))
    for (const { socket } of lines) socket.write(slow)
    const refused = await firstEnded(lines, 8)
    for (const answer of refused)
      expect(answer).toMatch(/^HTTP\/1\.1 429 .*\r\nretry-after: 5\r\n.*"too-many-requests"/s)
    expect(await answerTo(wire(app.url), 'GET /v1/me', { 'x-forwarded-for': '192.0.2.2' })).toMatch(/^HTTP\/1\.1 401 /)
    expect(await answerTo(wire(app.url), 'GET /health/live', { 'x-forwarded-for': '192.0.2.1' })).toMatch(
      /^HTTP\/1\.1 200 /,
    )
    for (const { socket } of lines) socket.destroy()
  })
})

it('requests of one user leave room for those of others, from however many networks they come', async () => {
  const app = await testApp({}, undefined, { mostConnections: 128, userShare: 1 / 4 })
  const [ada, ben] = [await member(app), await member(app)]
  const lines = Array.from({ length: 40 }, (_, n) => wire(app.url, `127.0.1.${n + 1}`))
  for (const { socket } of lines) socket.write(startOf(ada))
  const refused = await firstEnded(lines, 8)
  for (const answer of refused) expect(answer).toMatch(/^HTTP\/1\.1 429 .*"too-many-requests"/s)
  expect((await ben.put('b', 'sand')).status).toBe(201)
  for (const { socket } of lines) socket.destroy()
  await expect.poll(async () => (await ada.put('a', 'sand')).status).toBe(201)
})

describe('transfers', () => {
  it('of one user wait for each other, and not those of another', async () => {
    const app = await testApp({}, undefined, { memory: budget({ userBytes: 2 * MiB }) })
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('film', 'sand')
    const stalled = [1, 2].map(() => wire(app.url))
    for (const { socket } of stalled) socket.write(startOf(ada))
    // After both: requests of one network begin in their order.
    expect((await ben.put('b', 'sand')).status).toBe(201)
    const download = ada.get('film')
    const next = await Promise.race([download, ben.get('b').then(() => null)])
    expect(next).toBe(null)
    stalled[0]?.socket.destroy()
    stalled[1]?.socket.destroy()
    expect((await download).body).toBe('sand')
  })

  it.each([
    ['an upload', (ada: Member) => ada.put('a', Buffer.alloc(MiB))],
    ['a download', (ada: Member) => ada.get('film')],
    ['a page', (ada: Member) => ada.request('/v1/files?limit=1000')],
    ['a page of the trash', (ada: Member) => ada.request('/v1/trash?limit=1000')],
    ['what happened', (ada: Member) => ada.request('/v1/activity?limit=1000')],
    ['a list of sessions', (ada: Member) => ada.request('/v1/sessions')],
    ['an export', (ada: Member) => ada.request('/v1/me/export')],
  ])('beyond the share: %s is refused with Retry-After, also without rate limits', async (_what, ask) => {
    const app = await testApp({ RATE_LIMIT: 'off' }, undefined, { memory: budget({ userBytes: MiB, waitMs: 50 }) })
    const ada = await member(app)
    await ada.put('film', 'sand')
    const stalled = wire(app.url)
    stalled.socket.write(startOf(ada))
    await expect.poll(async () => (await ask(ada)).status).toBe(429)
    const answer = await ask(ada)
    expect(answer).toBeProblem(429, 'too-many-requests')
    expect(answer.headers['retry-after']).toBe('5')
    stalled.socket.destroy()
    await expect.poll(async () => (await ask(ada)).status).toBeLessThan(300)
  })

  it.each([
    ['a HEAD', { method: 'HEAD', headers: { 'tus-resumable': '1.0.0' } }],
    ['an append without bytes', { method: 'PATCH', headers: { 'upload-complete': '?1', 'content-length': '0' } }],
  ])('that store a form once more count as uploads, also if %s causes it', async (_what, { method, headers }) => {
    const app = await testApp({}, undefined, { memory: budget({ userBytes: MiB, waitMs: 50 }) })
    const ada = await member(app)
    await ada.put('film', 'sand')
    const whole = form([{ name: 'file', filename: 'film', content: 'other' }])
    const draft = { 'upload-draft-interop-version': '6', 'upload-complete': '?1' }
    const refused = await ada.request('/v1/files', {
      ...whole,
      method: 'POST',
      headers: { ...whole.headers, ...draft },
    })
    expect(refused.status).toBe(409)
    const stalled = wire(app.url)
    stalled.socket.write(startOf(ada))
    await expect.poll(async () => (await ada.get('film')).status).toBe(429)
    const append = {
      ...draft,
      'upload-offset': String((whole.body as Buffer).length),
      'content-type': 'application/partial-upload',
    }
    const again = { method, headers: { ...(method === 'PATCH' && append), ...headers } }
    const path = new URL(refused.headers.location as string, app.url).pathname
    expect((await ada.request(path, again)).status).toBe(429)
    stalled.socket.destroy()
    await expect.poll(async () => (await ada.request(path, again)).status).toBe(409)
  })

  it('of pages of the documentation are counted by network', async () => {
    const app = await testApp({}, undefined, { memory: budget({ networkBytes: MiB, waitMs: 50 }) })
    const ada = await member(app)
    const stalled = wire(app.url)
    stalled.socket.write(startOf(ada))
    await expect.poll(async () => (await app.request('/docs/json')).status).toBe(429)
    expect(await answerTo(wire(app.url, SOMEBODY_ELSE), 'GET /docs/json')).toMatch(/^HTTP\/1\.1 200 /)
    stalled.socket.destroy()
  })
})

const MiB = 1024 * 1024

function budget(rules: Partial<HttpRules['memory']>): HttpRules['memory'] {
  return {
    totalBytes: 64 * MiB,
    networkBytes: 64 * MiB,
    userBytes: 64 * MiB,
    uploadBytes: MiB,
    waitMs: 10_000,
    ...rules,
  }
}

const tokenOf = ({ token }: Member) => ({ authorization: `Bearer ${token}` })

/** An upload of which only the beginning comes. */
function startOf(owner: Member): string {
  return `${head('PUT /v1/files/slow', { ...tokenOf(owner), 'content-length': 10 * MiB })}sand`
}

function answerTo(line: Wire, request: string, headers: Record<string, string> = {}): Promise<string> {
  line.socket.write(head(request, { ...headers, connection: 'close' }))
  return line.ended
}

/** Keeps every question of one kind to the files waiting. */
function gate(app: TestApp, method: 'list') {
  const { files } = app.ports
  const ask = files[method]
  let begun = 0
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  files[method] = async (...question) => {
    begun += 1
    await opened
    return ask(...question)
  }
  return { begun: () => begun, open }
}
