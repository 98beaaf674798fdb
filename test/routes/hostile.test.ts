import { describe, expect, it } from 'vitest'
import { appForMany, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }
const json = { 'content-type': 'application/json' }
const register = (app: TestApp, body: string | Buffer) =>
  app.request('/v1/users', { method: 'POST', headers: json, body })

describe('a request that could be read as two', () => {
  const SMUGGLED = 'GET /v1/smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 0'],
    ['two lengths that agree', 'Content-Length: 5\r\nContent-Length: 5'],
    ['a list of lengths', 'Content-Length: 5, 5'],
    ['a length with a sign', 'Content-Length: +5'],
    ['a negative length', 'Content-Length: -5'],
    ['a length in hex', 'Content-Length: 0x5'],
    ['a length beyond all numbers', `Content-Length: ${'9'.repeat(40)}`],
    ['no length', 'Content-Length: '],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked'],
    ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 5'],
    ['chunks that are not the last coding', 'Transfer-Encoding: chunked, identity'],
    ['chunks twice', 'Transfer-Encoding: chunked, chunked'],
    ['chunks on two lines', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'],
    ['an unknown coding', 'Transfer-Encoding: xchunked'],
    ['a coding in quotes', 'Transfer-Encoding: "chunked"'],
    ['space before the colon', 'Content-Length : 5'],
    ['space before the colon of chunks', 'Transfer-Encoding : chunked'],
    ['a tab before the colon', 'Transfer-Encoding\t: chunked'],
    ['a folded line', 'X-Folded: a\r\n b\r\nContent-Length: 5'],
    ['a folded coding', 'Transfer-Encoding:\r\n chunked'],
    ['a line that ends with LF alone', 'X-A: b\nContent-Length: 5'],
    ['a line that ends with CR alone', 'X-A: b\rContent-Length: 5'],
    ['a NUL', 'X-A: b\0c\r\nContent-Length: 5'],
    ['a line without a colon', 'Content-Length'],
    ['a name in brackets', '(X): a'],
    ['an empty name', ': a'],
  ])('by %s is refused, and nothing after it is read', async (_what, fields) => {
    const app = await sharedApp()
    // Either could be taken for the body, by one reader or another.
    for (const rest of [SMUGGLED, `0\r\n\r\n${SMUGGLED}`]) {
      const line = wire(app.url)
      line.socket.write(`POST /v1/users HTTP/1.1\r\nHost: vault.example\r\n${fields}\r\n\r\n${rest}`)
      const answer = await line.ended
      expect(answer).toMatch(/^HTTP\/1\.1 (400|501) /)
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
      expect(answer).toMatch(/connection: close/i)
      expect(answer).toMatch(/application\/problem\+json.*"code":"(malformed-http|unsupported-transfer-coding)"/s)
    }
  })

  it.each([
    ['a size that is none', 'xyz\r\nbytes\r\n0\r\n\r\n'],
    ['a negative size', '-5\r\nbytes\r\n0\r\n\r\n'],
    ['a size beyond all numbers', `${'f'.repeat(20)}\r\nbytes\r\n0\r\n\r\n`],
    ['a size in another notation', '0x5\r\nbytes\r\n0\r\n\r\n'],
    ['LF alone', '5\nbytes\n0\n\n'],
    ['more bytes than the size', '5\r\nbytes and more\r\n0\r\n\r\n'],
    ['an endless extension', `5;${'x'.repeat(20_000)}\r\nbytes\r\n0\r\n\r\n`],
  ])('by a chunk with %s is refused, and nothing is kept', async (_what, chunks) => {
    const app = await sharedApp()
    const owner = await member(app)
    const line = wire(app.url)
    line.socket.write(
      `${head('PUT /v1/files/a', { ...token(owner), 'transfer-encoding': 'chunked' })}${chunks}${SMUGGLED}`,
    )
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect(await owner.get('a')).toBeProblem(404, 'file-not-found')
  })

  it('is read as one where a chunk has an extension or a trailer', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const line = wire(app.url)
    const fields = { ...token(owner), 'transfer-encoding': 'chunked', connection: 'close' }
    line.socket.write(`${head('PUT /v1/files/a', fields)}5;a=b\r\nbytes\r\n0\r\nauthorization: Bearer x\r\n\r\n`)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
    expect((await owner.get('a')).body).toBe('bytes')
  })

  it.each(['HTTP/0.9', 'HTTP/2.0'])('in %s is refused, and nothing after it is read', async (version) => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(`GET /health/live ${version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n${SMUGGLED}`)
    expect((await line.ended).match(/^HTTP\/1\.1 \d+/gm)).toEqual(['HTTP/1.1 400'])
  })

  it('in HTTP/1.0 is refused, where chunks are not known', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(`POST /v1/users HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`)
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 400 .*"malformed-http"/s)
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
  })
})

describe('a request with more than 100 fields', () => {
  const many = (count: number) => 'a:\r\n'.repeat(count)
  /** A request whose last field comes after so many others that it has `fields` in all. */
  const crowded = (line: string, fields: number, last: string, first: Record<string, string> = {}) => {
    const start = head(line, first).replace(/\r\n$/, '')
    return `${start}${many(fields - Object.keys(first).length - 2)}${last}\r\n\r\n`
  }

  it.each([
    ...['If-None-Match: *', 'If-Match: "x"', 'Repr-Digest: sha-256=:AAAA:', 'Content-Encoding: gzip', 'Host: b'],
    'Upload-Complete: ?0',
  ])('is refused, and is not executed without its last one, %s', async (last) => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'old')
    const sender = wire(app.url)
    sender.socket.write(`${crowded('PUT /v1/files/a', 101, last, { ...token(owner), 'content-length': '3' })}new`)
    const answer = await sender.ended
    expect(answer).toMatch(/^HTTP\/1\.1 431 .*\r\nconnection: close\r\n.*"code":"headers-too-large"/is)
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1)
    expect((await owner.get('a')).body).toBe('old')
  })

  it.each([
    ...['GET /v1/files', 'HEAD /v1/files/a', 'POST /v1/files', 'PUT /v1/files/a', 'PATCH /v1/files/a'],
    ...[
      'DELETE /v1/files/a',
      'OPTIONS /v1/files/a',
      'TRACE /v1/files/a',
      'GET /nothing',
      'GET /docs',
      'POST /v1/users',
    ],
  ])('is refused as %s', async (line) => {
    const app = await testApp({ CORS_ORIGINS: 'https://a.example' })
    const owner = await member(app)
    await owner.put('a', 'old')
    const cors = { origin: 'https://a.example', 'access-control-request-method': 'PUT' }
    const sender = wire(app.url)
    sender.socket.write(crowded(line, 101, 'Transfer-Encoding: chunked', { ...token(owner), ...cors }))
    sender.socket.write('3\r\nnew\r\n0\r\n\r\n')
    const answer = await sender.ended
    expect(answer).toMatch(/^HTTP\/1\.1 431 .*access-control-allow-origin: https:.*connection: close/is)
    if (!line.startsWith('HEAD')) expect(answer).toContain('"code":"headers-too-large"')
    expect((await owner.get('a')).body).toBe('old')
  })

  it.each([16_000, 30_000])('is refused, whether it has %i of them or a few too many', async (fields) => {
    const app = await sharedApp()
    const sender = wire(app.url)
    sender.socket.write(crowded('GET /health/live', fields, 'b: c'))
    expect(await sender.ended).toMatch(/^HTTP\/1\.1 431 .*"headers-too-large"/s)
  })

  it('is not executed behind another one, nor is a request after it: the response before it ends the connection', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const fields = { ...token(owner), 'content-length': '3' }
    const put = (name: string) => `${head(`PUT /v1/files/${name}`, fields)}new`
    const sender = wire(app.url)
    sender.socket.write(`${put('a')}${crowded('PUT /v1/files/b', 101, 'X: y', fields)}new${put('c')}`)
    const statuses = [...(await sender.ended).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    expect(statuses).toEqual(['201'])
    expect(await listed(owner)).toEqual(['a'])
  })

  it('is not one with 100: then the last one counts as the first', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'old')
    const sender = wire(app.url)
    const fields = { ...token(owner), 'content-length': '3', connection: 'close' }
    sender.socket.write(`${crowded('PUT /v1/files/a', 100, 'If-None-Match: *', fields)}new`)
    expect(await sender.ended).toMatch(/^HTTP\/1\.1 412 /)
    expect((await owner.get('a')).body).toBe('old')
  })

  // With more than 100, Node 20 drops the rest, and later versions refuse the request.
  it('is not one with many trailers, because no trailer means anything here', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const chunked = head('PUT /v1/files/a', { ...token(owner), 'transfer-encoding': 'chunked' })
    const sender = wire(app.url)
    sender.socket.write(`${chunked}3\r\nnew\r\n0\r\n${many(90)}Repr-Digest: sha-256=:AAAA:\r\n\r\n`)
    sender.socket.write(head('GET /health/live', { connection: 'close' }))
    const statuses = [...(await sender.ended).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
    expect(statuses).toEqual(['201', '200'])
  })

  it('is refused if its trailers have more than 16 KiB', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const sender = wire(app.url)
    const chunked = head('PUT /v1/files/a', { ...token(owner), 'transfer-encoding': 'chunked' })
    sender.socket.write(`${chunked}3\r\nnew\r\n0\r\n${many(20_000)}\r\n`)
    expect(await sender.ended).toMatch(/^HTTP\/1\.1 431 .*"headers-too-large"/s)
    expect(await listed(owner)).toEqual([])
  })

  async function listed(owner: Member) {
    const { files } = (await owner.request('/v1/files')).body as { files: { name: string }[] }
    return files.map(({ name }) => name)
  }
})

describe('a field with one value', () => {
  it.each([
    ['Host', 'a.example', 'b.example'],
    ['Authorization', 'TOKEN', 'Bearer mks_other'],
    ['Authorization', 'TOKEN', 'TOKEN'],
    ['Content-Type', 'text/plain', 'image/png'],
    ['Range', 'bytes=0-1', 'bytes=2-3'],
    ['If-Range', '"a"', '"b"'],
    ['If-Modified-Since', 'Sun, 22 Nov 2026 08:30:00 GMT', 'Sun, 22 Nov 2026 08:30:01 GMT'],
    ['Origin', 'https://a.example', 'https://b.example'],
  ])('such as %s is refused where it is given twice', async (name, first, second) => {
    const app = await sharedApp()
    const { authorization } = token(await member(app))
    const fields = new Map([
      ['Host', 'a.example'],
      ['Authorization', authorization],
    ])
    fields.delete(name)
    const lines = [...fields, [name, first], [name.toLowerCase(), second]].map(([field, value]) => `${field}: ${value}`)
    const request = `GET /v1/files HTTP/1.1\r\n${lines.join('\r\n')}\r\n`.replaceAll('TOKEN', authorization)
    const line = wire(app.url)
    line.socket.write(`${request}Connection: close\r\n\r\n`)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 400 .*"code":"malformed-http"/s)
  })
})

describe('a request target', () => {
  it('with another host than the Host is that of its path', async () => {
    const app = await sharedApp()
    const line = wire(app.url)
    line.socket.write(head('GET http://evil.example/health/live?a=b', { connection: 'close' }))
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*"ok"/s)
    expect(answer).not.toContain('evil')
  })

  it.each([
    ['GET //evil.example/health/live', 404],
    ['GET /\\evil.example', 404],
    ['GET /v1/../health/live', 404],
    ['GET /health/./live', 404],
    ['GET /health%2flive', 404],
    ['GET /%68ealth/live/..', 404],
    ['GET /docs/static/../../package.json', 404],
    ['GET /docs/static/..%2f..%2fpackage.json', 404],
    ['GET /docs/static/%2e%2e/%2e%2e/package.json', 404],
    ['GET /docs/static/..%5c..%5cpackage.json', 404],
    ['GET /docs/static/%252e%252e%252fpackage.json', 404],
    ['GET /docs/static//etc/passwd', 404],
    ['GET /docs/static/index.html%00.js', 404],
    ['GET /health/live%00', 404],
    ['GET /health/live%', 400],
    ['GET /health/live%c0%af', 400],
    ['GET /v1/files/%', 400],
    ['GET /v1/files/%zz', 400],
    ['GET health/live', 400],
    ['GET', 400],
    ['GET *', 404],
    [`GET /${'x'.repeat(17_000)}`, 431],
    [`GET /${'x'.repeat(15_000)}`, 404],
    [`GET /${'%41'.repeat(765)}`, 404],
    [`GET /${'%41'.repeat(766)}`, 400],
    [`GET /health/live?${'a&'.repeat(99)}`, 200],
    [`GET /health/live?${'a&'.repeat(100)}`, 400],
    [`GET /health/live?a=${'%41'.repeat(5000)}`, 200],
    ['G\0T /health/live', 400],
    ['get /health/live', 405],
    ['GET /health/live\u00e9', 400],
  ])('%s is no surprise', async (line, status) => {
    const app = await sharedApp()
    const connection = wire(app.url)
    connection.socket.write(head(line, { connection: 'close' }), 'latin1')
    const answer = await connection.ended
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    if (status >= 400) expect(answer).toMatch(/content-type: application\/problem\+json/i)
    expect(app.log.join('\n')).not.toContain('"level":50')
  })

  it.each([
    ['%00', 'invalid-name'],
    ['a%00.jpg', 'invalid-name'],
    ['a%2fb', 'invalid-name'],
    ['..%2f..%2fetc%2fpasswd', 'invalid-name'],
    ['a%5cb', 'invalid-name'],
    ['%0d%0aset-cookie:a', 'invalid-name'],
    ['%c0%ae%c0%ae', 'malformed-url'],
    ['%e0%80%ae', 'malformed-url'],
    ['%ed%a0%80', 'malformed-url'],
    ['%f4%90%80%80', 'malformed-url'],
    ['%ff', 'malformed-url'],
    ['%u0041', 'malformed-url'],
  ])('names no file with %s', async (name, code) => {
    const app = await sharedApp()
    const owner = await member(app)
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect(await owner.request(`/v1/files/${name}`, { method })).toBeProblem(400, code)
    }
  })

  it('is decoded once', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    expect((await owner.request('/v1/files/%252e%252e', { method: 'PUT', body: 'x' })).body).toMatchObject({
      name: '%2e%2e',
    })
    expect((await owner.request('/v1/files/__proto__', { method: 'PUT', body: 'x' })).status).toBe(201)
    expect((await owner.get('constructor')).status).toBe(404)
  })
})

describe('a query', () => {
  it.each(['limit', 'limit_'])('with a number in %s that is none is refused, or not looked at', async (name) => {
    const app = await sharedApp()
    const owner = await member(app)
    for (const path of ['/v1/files', '/v1/trash']) {
      for (const number of STRANGE_NUMBERS) {
        const answer = await owner.request(`${path}?${name}=${number}`)
        if (name === 'limit') expect(answer).toBeProblem(400, 'invalid-request')
        else expect(answer.status).toBe(200)
      }
    }
  })

  it('of -0 or 007 is no number that anybody means', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    expect(await owner.request('/v1/files?limit=-0')).toBeProblem(400, 'invalid-request')
    expect((await owner.request('/v1/files?limit=007')).status).toBe(200)
  })

  it.each([
    '/v1/files?limit=1&limit=2',
    '/v1/files?prefix=a&prefix=b',
    '/v1/files?sort=name&sort=size',
    '/v1/files?cursor=a&cursor=b',
    '/v1/trash?limit=1&limit=1',
    '/v1/files/a?disposition=inline&disposition=inline',
  ])('that gives a parameter twice is refused: %s', async (path) => {
    const app = await sharedApp()
    const owner = await member(app)
    expect(await owner.request(path)).toBeProblem(400, 'invalid-request')
  })

  it.each([
    '__proto__[limit]=1',
    '__proto__.limit=1',
    'constructor.prototype.limit=1',
    '__proto__=1',
    'limit[]=1',
    'limit.a=1',
  ])('of %s changes nothing', async (query) => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'a')
    await owner.put('b', 'b')
    expect((await owner.request(`/v1/files?${query}`)).body).toMatchObject({ files: [{ name: 'a' }, { name: 'b' }] })
    expect({}).not.toHaveProperty('limit')
  })

  it.each(['%00', "'%20OR%20'1'='1", '%25', '_', '*', 'x'.repeat(8000)])(
    'of the prefix %s finds nothing and breaks nothing',
    async (prefix) => {
      const app = await sharedApp()
      const owner = await member(app)
      await owner.put('a', 'a')
      const answer = await owner.request(`/v1/files?prefix=${prefix}`)
      if (answer.status !== 200) expect(answer).toBeProblem(400, 'invalid-request')
      else expect(answer.body).toEqual({ files: [], nextCursor: null })
      expect(app.log.join('\n')).not.toContain('"level":50')
    },
  )

  it.each(['prefix', 'cursor'])('of bytes that are no UTF-8 in %s is refused', async (name) => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('%ff', 'a')
    for (const value of ['%ff', '%c0%ae', '%ed%a0%80', '%', '%zz']) {
      expect(await owner.request(`/v1/files?${name}=${value}`)).toBeProblem(400, 'malformed-url')
    }
  })

  it.each([
    ...['e30', 'bnVsbA', 'W10', 'W251bGxd', Buffer.from('["\\u0000name\\u0000asc",1e400,"a"]').toString('base64url')],
    ...['%00', '../../etc/passwd', Buffer.from('['.repeat(1000)).toString('base64url')],
  ])('of the cursor %s is refused', async (cursor) => {
    const app = await sharedApp()
    const owner = await member(app)
    expect(await owner.request(`/v1/files?cursor=${cursor}`)).toBeProblem(400, 'invalid-cursor')
    expect(await owner.request(`/v1/trash?cursor=${cursor}`)).toBeProblem(400, 'invalid-cursor')
  })
})

describe('a JSON body', () => {
  it.each([
    ['__proto__', '{"__proto__":{"name":"Eve"}}'],
    ['__proto__ in escapes', '{"\\u005f_proto__":{"name":"Eve"}}'],
    ['__proto__ further in', `{"a":[{"__proto__":null}]}`],
    ['a constructor’s prototype', '{"constructor":{"prototype":{"name":"Eve"}}}'],
    ['a name in nothing but its __proto__', `{"__proto__":${JSON.stringify(ada)}}`],
    ['arrays in arrays', `${'['.repeat(500)}${']'.repeat(500)}`],
    ['objects in objects that are cut', '{"a":'.repeat(200)],
    ['numbers that are none', '{"name":NaN}'],
    ['infinity', '{"name":-Infinity}'],
    ['a number with a leading zero', '{"name":01}'],
    ['a comment', '{/**/"name":"Ada"}'],
    ['two documents', `${JSON.stringify(ada)}${JSON.stringify(ada)}`],
    ['NUL', `${JSON.stringify(ada)}\0`],
    ['NUL in a string', '{"name":"A\0da"}'],
    ['a byte order mark and nothing', '\ufeff'],
  ])('with %s is refused', async (_what, body) => {
    const app = await sharedApp()
    const answer = await register(app, body)
    expect(answer.status).toBe(400)
    expect(['malformed-json', 'invalid-request']).toContain((answer.body as { code: string }).code)
    expect(app.log.join('\n')).not.toContain('"level":50')
    expect({}).not.toHaveProperty('name')
  })

  it.each([
    ['overlong', [0xc0, 0xae]],
    ['overlong NUL', [0xc0, 0x80]],
    ['a surrogate', [0xed, 0xa0, 0x80]],
    ['beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
    ['cut', [0xe2, 0x82]],
  ])('in UTF-8 that is %s is refused', async (_what, bytes) => {
    const app = await sharedApp()
    const [before, after] = JSON.stringify(ada).split('Ada') as [string, string]
    const body = Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)])
    expect(await register(app, body)).toBeProblem(400, 'malformed-json')
  })

  it.each([
    ['name', '"A\\u0000da"'],
    ['name', '"A\\ud800da"'],
    ['name', '"A\\udc00\\ud800"'],
    ['name', '1e400'],
    ['name', '-0'],
    ['name', '{"toString":"Ada"}'],
    ['name', '["Ada"]'],
    ['email', '"ada@example.org\\u0000"'],
    ['email', '"ada\\ud800@example.org"'],
    ['email', '"ada@example.org\\r\\nBcc: eve@example.org"'],
    ['email', '"ada@example.org, eve@example.org"'],
    ['email', '["ada@example.org","eve@example.org"]'],
    ['deviceId', '"ios-6f1c2b9a\\u0000"'],
    ['deviceId', '"ios-6f1c2b9a\\ud800"'],
    ['deviceId', '9007199254740993'],
  ])('with %s as %s is refused', async (field, value) => {
    const app = await sharedApp()
    const body = JSON.stringify({ ...ada, [field]: '$' }).replace('"$"', () => value)
    expect(await register(app, body)).toBeProblem(400, 'invalid-request')
  })

  it.each(['"a\\ud800"', '"\\udc00a"', '"a\\u0000"', '".."', '"a/b"', '{}', '1e400', 'null', '["a"]'])(
    'renames no file to %s',
    async (name) => {
      const app = await sharedApp()
      const owner = await member(app)
      await owner.put('a', 'a')
      const answer = await owner.request('/v1/files/a', { method: 'PATCH', headers: json, body: `{"name":${name}}` })
      expect(answer.status).toBe(400)
      expect((await owner.get('a')).body).toBe('a')
    },
  )

  it('that gives a field twice counts by its last one', async () => {
    const app = await sharedApp()
    const body = JSON.stringify(ada).replace('{', '{"name":"Eve","deviceId":7,')
    const answer = await register(app, body)
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({ deviceId: ada.deviceId })
  })

  it.each([
    '"__proto__":{"name":"Eve","admin":true}',
    '"\\u005f_proto__":{"admin":true}',
    '"a":[{"__proto__":{"admin":true}}]',
    '"constructor":{"prototype":{"admin":true}}',
    '"constructor":"Eve","hasOwnProperty":true,"toString":null',
  ])('ignores %s', async (fields) => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'a')
    const body = `{${fields},"name":"b"}`
    const answer = await owner.request('/v1/files/a', { method: 'PATCH', headers: json, body })
    expect(answer.status).toBe(200)
    expect(answer.body).toMatchObject({ name: 'b' })
    expect({}).not.toHaveProperty('admin')
    expect((await register(app, JSON.stringify(ada).replace('{', `{${fields},`))).status).toBe(201)
  })

  it.each([
    ['arrays in each other', (n: number) => `{"deep":${'['.repeat(n)}${']'.repeat(n)},`],
    ['objects', (n: number) => `{"deep":[${Array(n).fill('{}').join(',')}],`],
    ['members', (n: number) => `{${Array.from({ length: n }, (_, i) => `"m${i}":1,`).join('')}`],
  ])('takes hundreds of %s in unknown fields, and not thousands', async (_what, fields) => {
    const app = await sharedApp()
    const body = (n: number) => JSON.stringify(ada).replace('{', fields(n))
    expect((await register(app, body(500))).status).toBe(201)
    expect(await register(app, body(1000))).toBeProblem(413, 'body-too-large')
  })

  it('takes a name of the characters that are counted', async () => {
    const owner = await member(await sharedApp())
    await owner.put('a', 'a')
    const body = JSON.stringify({ name: '{[:'.repeat(85) })
    expect((await owner.request('/v1/files/a', { method: 'PATCH', headers: json, body })).status).toBe(200)
  })
})

describe('conditions and ranges', () => {
  it.each([
    { range: 'bytes=0-1e400' },
    { range: `bytes=-${'9'.repeat(400)}` },
    { range: 'bytes=NaN-' },
    { range: 'bytes=--1' },
    { range: `bytes=${'0-0,'.repeat(2000)}0-0` },
    { 'if-none-match': `${'"a",'.repeat(3000)}"a"` },
    { 'if-modified-since': 'Sun, 99 Nov 9999 99:99:99 GMT' },
    { 'if-range': '"' },
  ])('of %j are answered with the whole', async (headers) => {
    const app = await sharedApp()
    const owner = await member(app)
    await owner.put('a', 'bytes')
    const answer = await owner.get('a', headers as Record<string, string>)
    expect([200, 206]).toContain(answer.status)
    expect(answer.body).toBe('bytes')
  })

  it('that are lists may stand on several lines', async () => {
    const app = await sharedApp()
    const owner = await member(app)
    const { headers } = await owner.put('a', 'bytes')
    const line = wire(app.url)
    const tags = `"other"\r\nIf-None-Match: ${headers.etag}`
    line.socket.write(head('GET /v1/files/a', { ...token(owner), 'If-None-Match': tags, connection: 'close' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 304 /)
  })
})

const STRANGE_NUMBERS = [
  ...['1e400', '1e2', '9007199254740993', '9'.repeat(400), 'NaN', 'Infinity', '-1', '0', '0x10', '1_0', '1.5', '1,5'],
  ...['', '+', '%2B1', '%201', '1%20', '1%00', '%D9%A1', 'null', 'true', '[]', '{}'],
]

function token({ token }: Member) {
  return { authorization: `Bearer ${token}` }
}
