import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { appForMany, form, member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }
const json = { 'content-type': 'application/json' }

describe('every answer', () => {
  it('carries a new id for its request', async () => {
    const app = await sharedApp()
    const ids = [await app.request('/health/live'), await app.request('/health/live'), await app.request('/docs')].map(
      ({ headers }) => headers['x-request-id'],
    )
    expect(new Set(ids).size).toBe(3)
  })

  it.each(['a', 'A.b_c-9', 'x'.repeat(64)])('carries the id %j that its request brought', async (id) => {
    const app = await sharedApp()
    expect((await app.request('/health/live', { headers: { 'x-request-id': id } })).headers['x-request-id']).toBe(id)
  })

  it.each(['', 'x'.repeat(65), 'a b', 'a,b', '<script>'])('does not repeat the id %j', async (id) => {
    const app = await sharedApp()
    const answer = await app.request('/health/live', { headers: { 'x-request-id': id } })
    expect(answer.headers['x-request-id']).toMatch(/^[\w-]{21}$/)
  })
})

describe('a refusal', () => {
  it('of an unknown path is 404', async () => {
    const app = await sharedApp()
    expect(await app.request('/v1/nothing')).toBeProblem(404, 'not-found')
    expect(await app.request('/nothing', { method: 'POST', headers: json, body: '{' })).toBeProblem(404, 'not-found')
  })

  it.each([
    ['PATCH', '/v1/files', 'GET, HEAD, OPTIONS, POST'],
    ['POST', '/v1/files/beach.jpg', 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
    ['PUT', '/v1/trash', 'DELETE, GET, HEAD'],
    ['GET', '/v1/trash/x/restore', 'POST'],
    ['GET', '/v1/users', 'POST'],
    ['OPTIONS', '/v1/sessions', 'DELETE, GET, HEAD, POST'],
    ['PROPFIND', '/v1/sessions/current', 'DELETE'],
    ['DELETE', '/health/live', 'GET, HEAD'],
    ['POST', '/docs/json', 'GET, HEAD'],
    ['DELETE', '/health/l%69ve?a=b', 'GET, HEAD'],
  ])('of %s %s is 405 with Allow', async (method, path, allow) => {
    const app = await sharedApp()
    const answer = await app.request(path, { method })
    expect(answer).toBeProblem(405, 'method-not-allowed')
    expect(answer.headers.allow).toBe(allow)
  })

  it.each([
    ['FOO /v1/files', 405, 'GET, HEAD, OPTIONS, POST'],
    ['get /v1/files/beach.jpg?a=b', 405, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
    ['GETX http://vault.example/v1/trash', 405, 'DELETE, GET, HEAD'],
    ['DESCRIBE /v1/users', 405, 'POST'],
    ['FOO /v1/nothing', 404, undefined],
    ['FOO /v1/files#a', 400, undefined],
  ])('of %s, whose method the parser does not know, is %i', async (line, status, allow) => {
    const app = await sharedApp()
    const sender = wire(app.url)
    sender.socket.write(`${head('GET /health/live')}${head(line, { 'x-request-id': 'mine' })}`)
    const answers = (await sender.ended).split(/(?=HTTP\/1\.1 )/)
    expect(answers.map((answer) => Number(answer.slice(9, 12)))).toEqual([200, status])
    expect(/^allow: (.*)\r$/im.exec(answers[1] ?? '')?.[1]).toBe(allow)
    expect(answers[1]).toMatch(/^x-request-id: mine\r$/im)
    expect(answers[1]).toMatch(/^connection: close\r$/im)
  })

  it('of a path with a slash too many is 404', async () => {
    const app = await sharedApp()
    expect(await app.request('/health/live/')).toBeProblem(404, 'not-found')
    expect(await app.request('/v1/files/', { method: 'POST' })).toBeProblem(404, 'not-found')
  })

  it('of an absolute target is that of its path', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('DELETE http://vault.example/health/live', { connection: 'close' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 405 .*"method-not-allowed"/s)
  })

  it.each([
    ['/docs/static/nothing', 404, 'not-found'],
    ['/docs/static/%00', 404, 'not-found'],
    ['/docs/static/..%2f..%2fpackage.json', 404, 'not-found'],
    ['/docs/static/swagger-ui.css', 412, 'precondition-failed'],
  ])('of %s, which a plugin serves, is a problem too', async (path, status, code) => {
    const app = await sharedApp()
    const headers = status === 412 ? { 'if-match': '"x"' } : {}
    expect(await app.request(path, { headers })).toBeProblem(status, code)
    expect(app.log.join('\n')).not.toContain('"level":50')
  })

  it.each(['bytes=99999999-', 'bytes=5-1', 'bytes=SIZE-', 'bytes=-0', 'bytes=', 'bytes=a-b'])(
    'of the range %s of a page that a plugin serves is 416, and HEAD ignores it',
    async (wanted) => {
      const app = await testApp()
      const path = '/docs/static/swagger-ui.css'
      const size = (await app.request(path)).bytes.length
      const headers = { range: wanted.replace('SIZE', String(size)) }

      const answer = await app.request(path, { headers })

      expect(answer).toBeProblem(416, 'range-not-satisfiable')
      expect(answer.headers['content-range']).toBe(`bytes */${size}`)
      expect(await app.request(path, { method: 'HEAD', headers })).toMatchObject({
        status: 200,
        headers: { 'content-length': String(size) },
      })
      expect(app.log.join('\n')).not.toContain('"level":50')
    },
  )

  it('is not given for a range of such a page that exists', async () => {
    const app = await testApp()
    const path = '/docs/static/swagger-ui.css'
    const whole = (await app.request(path)).bytes
    const headers = { range: 'bytes=2-5' }
    const part = await app.request(path, { headers })
    expect([part.status, part.bytes]).toEqual([206, whole.subarray(2, 6)])
    const head = await app.request(path, { method: 'HEAD', headers })
    expect([head.status, head.headers['content-length']]).toEqual([200, String(whole.length)])
  })

  it('of a request without a Host is 400', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write('GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n')
    expect(await line.ended).toMatch(/^HTTP\/1\.1 400 .*"code":"malformed-http"/s)
    const older = wire(app.url)
    older.socket.write('GET /health/live HTTP/1.0\r\n\r\n')
    expect(await older.ended).toMatch(/^HTTP\/1\.1 200 /)
  })

  it.each([
    ...['user@vault.example', 'a b', 'a/b', 'http://vault.example', 'a?b', 'a#b', 'a\\b', '<vault>', 'm\xfcnchen'],
    ...['vault.example:x', 'vault.example:80:90', '[::1', '::1', '%zz'],
  ])('of the Host %s is 400', async (host) => {
    const app = await sharedApp()
    for (const version of ['1.0', '1.1']) {
      const line = wire(app.url)
      line.socket.write(`GET /health/live HTTP/${version}\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, 'latin1')
      expect(await line.ended).toMatch(/^HTTP\/1\.1 400 .*"code":"malformed-http"/s)
    }
  })

  it.each([
    ...['', 'localhost', 'vault.example:', 'vault.example:8000', '127.0.0.1:8000', '[::1]', '[fe80::1%25en0]:8000'],
    ...['my_phone.local', 'xn--mnchen-3ya.example', 'm%C3%BCnchen.example', 'a,b'],
  ])('is not given for the Host %j', async (host) => {
    const app = await sharedApp()
    expect((await app.request('/health/live', { headers: { host } })).status).toBe(200)
  })

  it('of CONNECT is 400', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write('CONNECT vault.example:443 HTTP/1.1\r\nHost: vault.example\r\n\r\n')
    expect(await line.ended).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*"code":"malformed-http"/s)
  })

  it.each(['{', ' ', '{"name":', 'null x'])('of the JSON %j is 400', async (body) => {
    const app = await sharedApp()
    const answer = await app.request('/v1/users', { method: 'POST', headers: json, body })
    expect(answer).toBeProblem(400, 'malformed-json')
  })

  it('names every fault of a body', async () => {
    const app = await sharedApp()
    const answer = await app.post('/v1/users', { name: '', email: 'x' })
    expect(answer).toBeProblem(400, 'invalid-request')
    expect(answer.body).toMatchObject({
      errors: [
        { path: '/deviceId', message: 'is required' },
        {
          path: '/name',
          message: 'must be 1 to 100 characters, not counting space around them, and no control characters',
        },
        { path: '/email', message: 'must be an e-mail address, with a mailbox and a domain around an @' },
      ],
    })
  })

  it.each(['', 'null', '[]', '"text"', '7'])('of the body %s, which is no object, is 400', async (body) => {
    const app = await sharedApp()
    const answer = await app.request('/v1/users', { method: 'POST', headers: json, body })
    expect(answer).toBeProblem(400, 'invalid-request')
  })

  it.each([
    ...['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=b', 'nonsense', undefined],
  ])('of the media type %s is 415', async (type) => {
    const app = await testApp({ PIN_DELIVERY: 'console' })
    const headers = type === undefined ? {} : { 'content-type': type }
    for (const path of ['/v1/users', '/v1/pins', '/v1/sessions']) {
      const answer = await app.request(path, { method: 'POST', headers, body: JSON.stringify(ada) })
      expect(answer).toBeProblem(415, 'unsupported-media-type')
      expect(answer.headers.accept).toBe('application/json')
    }
  })

  it.each([
    ['DELETE', '/v1/sessions/current'],
    ['DELETE', '/v1/files/a'],
    ['DELETE', '/v1/trash'],
    ['POST', '/v1/trash/x/restore'],
  ])('of a body of %s %s says that it takes none', async (method, path) => {
    const app = await sharedApp()
    const owner = await member(app)
    for (const headers of [
      { 'content-type': 'text/plain', 'content-length': 4 },
      { 'content-length': 4 },
      { 'transfer-encoding': 'chunked' },
    ]) {
      const answer = await owner.request(path, { method, headers, body: 'text' })
      expect(answer).toBeProblem(415, 'unsupported-media-type')
      expect(answer.body).toMatchObject({ detail: 'This operation takes no body.' })
      expect(answer.headers).not.toHaveProperty('accept')
    }
  })

  it.each(['gzip', 'br', 'identity, gzip'])('of the content coding %s is 415', async (coding) => {
    const app = await sharedApp()
    const owner = await member(app)
    const coded = { 'content-encoding': coding }
    expect(await app.post('/v1/users', ada, coded)).toBeProblem(415, 'unsupported-encoding')
    expect(await owner.put('a', 'bytes', coded)).toBeProblem(415, 'unsupported-encoding')
  })

  it.each(['', ' ', ',', 'identity', 'Identity', ', identity', 'identity, identity'])(
    'is not given for the content coding %j, which is none',
    async (coding) => {
      const app = await sharedApp()
      const owner = await member(app)
      const coded = { 'content-encoding': coding }
      expect((await app.post('/v1/users', ada, coded)).status).toBe(201)
      expect((await owner.put('a', 'bytes', coded)).status).toBe(201)
      expect((await owner.put('empty', '', coded)).status).toBe(201)
    },
  )

  it('of a content coding is for requests whose body is read', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'bytes')
    const headers = { 'content-encoding': 'gzip' }
    expect((await app.request('/health/live', { headers })).status).toBe(200)
    expect((await owner.get('a', headers)).status).toBe(200)
  })

  it('of JSON that is no UTF-8 is 400', async () => {
    const app = await sharedApp()
    const body = Buffer.from(JSON.stringify({ ...ada, name: 'Ad\xff' }), 'latin1')
    expect(await app.request('/v1/users', { method: 'POST', headers: json, body })).toBeProblem(400, 'malformed-json')
  })

  it('of a transfer coding beside chunked is 501', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${owner.token}`, 'transfer-encoding': 'gzip, chunked' }
    line.socket.write(`${head('PUT /v1/files/coded', headers)}5\r\nbytes\r\n0\r\n\r\n`)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 501 .*"unsupported-transfer-coding"/s)
    // Nothing is wrong with the server.
    expect(app.log.join('\n')).not.toContain('"level":50')
  })

  it('of a JSON body over 16 KiB is 413', async () => {
    const app = await sharedApp()
    const padded = (bytes: number) => JSON.stringify({ ...ada, padding: 'x'.repeat(bytes) })
    const exactly = padded(16 * 1024 - padded(0).length)
    expect((await app.request('/v1/users', { method: 'POST', headers: json, body: exactly })).status).toBe(201)
    const answer = await app.request('/v1/users', { method: 'POST', headers: json, body: `${exactly} ` })
    expect(answer).toBeProblem(413, 'body-too-large')
    const chunked = { ...json, 'transfer-encoding': 'chunked' }
    const unannounced = await app.request('/v1/users', { method: 'POST', headers: chunked, body: `${exactly} ` })
    expect(unannounced).toBeProblem(413, 'body-too-large')
  })

  it('of a path that cannot be decoded is 400', async () => {
    const app = await sharedApp()
    expect(await app.request('/v1/files/%ff')).toBeProblem(400, 'malformed-url')
  })

  it.each([
    'GET /v1/files?prefix=%FF',
    'GET /v1/files?prefix=a&%c0%ae',
    'GET /v1/me?unknown=%ed%a0%80',
    'PUT /v1/files/a?replaced=%',
    'POST /v1/files?%zz',
    'DELETE /v1/files/a?%E2%82&%AC',
    'POST /v1/users?a=%ff',
    'GET /health/live?%',
    'GET /docs/json?%ff',
    'GET /nothing?%ff',
    'GET http://a/v1/files?prefix=%ff',
  ])('of a query that cannot be decoded is 400: %s', async (line) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('a', 'sand')
    const asked = wire(app.url)
    asked.socket.write(head(line, { authorization: `Bearer ${ada.token}`, connection: 'close' }))
    expect(await asked.ended).toMatch(/^HTTP\/1\.1 400 .*"malformed-url"/s)
    expect((await ada.get('a')).body).toBe('sand')
  })

  it.each(['prefix=%E2%82%AC', 'prefix=a+b%20c', 'unknown=%F0%9F%8F%96', 'a%3Db=%26', '%25', '', '?'])(
    'of the query %j, which can be decoded, is taken',
    async (query) => {
      const app = await sharedApp()
      expect((await (await member(app)).request(`/v1/files?${query}`)).status).toBe(200)
    },
  )

  it('of a fault on the server is 500 and tells nothing of it', async () => {
    const app = await testApp()
    app.ports.users.findByEmail = async () => {
      throw new Error('secret table missing')
    }
    const answer = await app.post('/v1/users', ada)
    expect(answer).toBeProblem(500, 'internal-error')
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|table|stack|\.ts/)
    expect(app.log.join('\n')).toContain('secret table missing')
  })

  it('of bytes that are no HTTP is 400', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write('these are no requests\r\n\r\n')
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('Content-Type: application/problem+json')
    expect(answer).toContain('"code":"malformed-http"')
    expect(answer).toMatch(/X-Request-Id: [\w-]{21}/)
  })

  it('of headers beyond 16 KiB is 431', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('GET /health/live', { 'x-long': 'x'.repeat(20_000) }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 431 .*"code":"headers-too-large"/s)
  })
})

describe('what a client need not know', () => {
  it('unknown fields and parameters are ignored', async () => {
    const app = await sharedApp()
    expect((await app.post('/v1/users?colour=blue', { ...ada, colour: 'blue' })).status).toBe(201)
    const owner = await member(app)
    expect((await owner.request('/v1/files?colour=blue')).status).toBe(200)
  })

  it('types are converted in query strings and not in bodies', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    expect((await owner.request('/v1/files?limit=10')).status).toBe(200)
    expect(await owner.request('/v1/files?limit=ten')).toBeProblem(400, 'invalid-request')
    expect(await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: 1234 })).toBeProblem(400, 'invalid-request')
  })
})

describe('a refusal before the body was read', () => {
  const MiB = 1024 * 1024

  it('closes the connection, after the client could send and read', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/big', { 'content-length': 600_000 }))
    const answer = await line.until('"unauthorized"')
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    line.socket.write(Buffer.alloc(600_000))
    expect(await line.ended).toBe(answer)
  })

  it('says so also where the whole body came with the head', async () => {
    const app = await sharedApp()
    const answer = await app.request('/v1/files/small', { method: 'PUT', body: 'small' })
    expect(answer).toBeProblem(401, 'unauthorized')
    expect(answer.headers.connection).toBe('close')
  })

  it('drains no more than about 1 MiB', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/huge', { 'content-length': 1024 * MiB }))
    await line.until('"unauthorized"')
    // What the systems on both sides have room for is among the bytes that go out.
    let sent = 0
    const send = () =>
      line.socket.write(Buffer.alloc(64 * 1024), (error) => {
        sent += error ? 0 : 64 * 1024
        if (!error) send()
      })
    send()
    await line.ended
    expect(sent).toBeGreaterThan(MiB)
    expect(sent).toBeLessThan(16 * MiB)
  })

  it('waits no longer than about 2 seconds', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/never', { 'content-length': 100 }))
    expect(await line.ended).toContain('"unauthorized"')
  })

  it.each([
    [
      'a form',
      'POST /v1/files',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="wrong"; filename="f"\r\n\r\nsome bytes',
    ],
    ['JSON', 'POST /v1/pins', 'application/json', ' '.repeat(20_000)],
  ])('lets the rest of %s be sent that was read in part', async (_what, line, type, start) => {
    const app = await testApp()
    const owner = await member(app)
    const sender = wire(app.url)
    const size = 900_000
    const headers = { authorization: `Bearer ${owner.token}`, 'content-type': type, 'transfer-encoding': 'chunked' }
    const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
    sender.socket.write(head(line, headers) + chunk(start))
    await sender.until('"requestId"')
    for (let sent = 0; sent < size; sent += 50_000) {
      sender.socket.write(chunk('x'.repeat(50_000)))
      await pause(5)
    }
    sender.socket.write('0\r\n\r\n')
    const answer = await sender.ended
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d .*connection: close/s)
    expect(sender.fault()).toBeNull()
    expect(app.connections.at(-1)?.bytesRead).toBeGreaterThan(size)
  })

  it('comes instead of the 100 that the client waits for', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/big', { 'content-length': 600_000, expect: '100-continue' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 401 /)
  })

  it('leaves the connection open where the body was read', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const small = await owner.request('/v1/files', { method: 'POST', ...form([{ name: 'name', content: 'x' }]) })
    expect(small).toBeProblem(400, 'malformed-multipart')
    expect(small.headers.connection).not.toBe('close')
  })

  it('is there for a path that cannot be decoded as well', async () => {
    const app = await sharedApp()
    const answer = await app.request('/v1/files/%ff', { method: 'PUT', body: 'small' })
    expect(answer).toBeProblem(400, 'malformed-url')
    expect(answer.headers.connection).toBe('close')
  })
})

describe('Expect', () => {
  it('100-continue gets its 100 once the body is wanted', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${owner.token}`, 'content-length': 5, connection: 'close' }
    line.socket.write(head('PUT /v1/files/five', { ...headers, expect: '100-continue' }))
    await line.until('HTTP/1.1 100 Continue\r\n\r\n')
    line.socket.write('bytes')
    expect(await line.ended).toMatch(/100 Continue\r\n\r\nHTTP\/1\.1 201 /)
  })

  it('with anything else is ignored', async () => {
    const app = await sharedApp()
    const answer = await app.request('/health/live', { headers: { expect: 'a-miracle' } })
    expect(answer.status).toBe(200)
  })
})

describe('the log', () => {
  it('shows the pattern of the route, and no name, address, token or PIN', async () => {
    const app = await testApp({ LOG_LEVEL: 'trace' })
    const owner = await member(app, 'secret.address@example.org')
    await owner.put('secret-name.jpg', 'bytes')
    await owner.get('secret-name.jpg')
    await owner.get('secret-other.jpg')
    await owner.request('/v1/files?prefix=secret-')
    await app.request('/v1/secret-path/%ff')
    await owner.put('secret/slash', 'bytes')
    const log = app.log.join('\n')
    expect(log).toContain('"route":"/v1/files/:name"')
    expect(log).not.toMatch(/secret/)
    expect(log).not.toContain(owner.token.slice(4))
    expect(log).not.toContain(owner.deviceId)
  })
})

it.each([
  ['0', 'must be at least 1'],
  ['1001', 'must be at most 1000'],
  ['1.5', 'must be integer'],
])('the detail of a limit of %s says what it may be', async (limit, message) => {
  const ada = await member(await sharedApp())
  expect((await ada.request(`/v1/files?limit=${limit}`)).body).toMatchObject({ errors: [{ path: '/limit', message }] })
})
