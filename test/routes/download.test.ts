import { createHash, randomBytes } from 'node:crypto'
import { readdir, readlink, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { appForMany, member, SESSIONS_CHECKED_OFTEN, type TestApp, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest()
const etag = (bytes: string) => `"${sha256(bytes).toString('hex')}"`
const NOW = 'Sun, 22 Nov 2026 08:30:00 GMT'
const BEFORE = 'Sun, 22 Nov 2026 08:29:59 GMT'

async function pathOfOnlyBlob(app: TestApp): Promise<string> {
  const entries = await readdir(app.config.UPLOADS_DIR, { recursive: true, withFileTypes: true })
  const [only] = entries.filter((entry) => entry.isFile())
  return join(only?.parentPath ?? '', only?.name ?? '')
}

describe('a download', () => {
  it('carries the bytes under headers that are true and safe', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    const { status, headers, body } = await ada.get('beach.jpg')
    expect([status, body]).toEqual([200, 'sand'])
    expect(headers).toMatchObject({
      'content-length': '4',
      'content-type': 'image/jpeg',
      etag: etag('sand'),
      'last-modified': NOW,
      'accept-ranges': 'bytes',
      'repr-digest': `sha-256=:${sha256('sand').toString('base64')}:`,
      'content-disposition': 'attachment; filename="beach.jpg"',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      'cache-control': 'private, no-cache',
    })
  })

  it.each([
    ['plain.jpg', 'attachment; filename="plain.jpg"'],
    ['two words.jpg', 'attachment; filename="two words.jpg"'],
    ['say "cheese".jpg', 'attachment; filename="say \\"cheese\\".jpg"'],
    ['Käse.jpg', `attachment; filename="K_se.jpg"; filename*=UTF-8''K%C3%A4se.jpg`],
    ['日本.jpg', `attachment; filename="__.jpg"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.jpg`],
    ['100%41.jpg', `attachment; filename="100%41.jpg"; filename*=UTF-8''100%2541.jpg`],
  ])('of %j is offered under its name', async (name, disposition) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put(name, 'bytes')
    expect((await ada.get(name)).headers['content-disposition']).toBe(disposition)
  })

  it.each([
    ['image/jpeg', 'inline'],
    ['IMAGE/PNG', 'inline'],
    ['video/mp4; codecs=avc1', 'inline'],
    ['audio/mpeg', 'inline'],
    ['image/jpg', 'inline'],
    ['image/pjpeg', 'inline'],
    ['image/x-png', 'inline'],
    ['image/x-ms-bmp', 'inline'],
    ['image/heic-sequence', 'inline'],
    ['image/heif-sequence', 'inline'],
    ['image/svg+xml', 'attachment'],
    ['text/html', 'attachment'],
    ['application/pdf', 'attachment'],
    ['image/jpegx', 'attachment'],
    ['image/x-png+xml', 'attachment'],
    ['video/svg+xml', 'attachment'],
    ['AUDIO/x.y+XML; a=b', 'attachment'],
    ['audio/x+json', 'attachment'],
    ['video/vnd.dlna.mpeg-tts', 'inline'],
    ['image/jpeg; quality="high, or so"', 'inline'],
    ['video/mp4; codecs="avc1.42E01E, mp4a.40.2"', 'inline'],
    ['image/png; a=b, text/html', 'attachment'],
    ['image/png;, text/html', 'attachment'],
    ['image/png; a=", text/html', 'attachment'],
  ])('of %s asked for inline comes %s', async (type, disposition) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', 'bytes', { 'content-type': type })
    const answer = await ada.request('/v1/files/file?disposition=inline')
    expect(answer.headers['content-disposition']).toBe(`${disposition}; filename="file"`)
  })

  it('knows two dispositions', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', 'bytes', { 'content-type': 'image/png' })
    const plain = await ada.request('/v1/files/file?disposition=attachment')
    expect(plain.headers['content-disposition']).toBe('attachment; filename="file"')
    expect(await ada.request('/v1/files/file?disposition=form')).toBeProblem(400, 'invalid-request')
  })

  it.each(['application/json', 'image/jpeg'])('of an empty file of type %s has no bytes', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('empty', '', { 'content-type': type })
    for (const method of ['GET', 'HEAD']) {
      const { status, headers, bytes } = await ada.request('/v1/files/empty', { method })
      expect([status, headers['content-length'], headers['content-type'], bytes.length]).toEqual([200, '0', type, 0])
    }
  })

  it('is not found where there is none, or only somebody else’s', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('beach.jpg', 'sand')
    for (const method of ['GET', 'HEAD']) {
      expect((await ben.request('/v1/files/beach.jpg', { method })).status).toBe(404)
    }
    expect(await ben.get('beach.jpg')).toBeProblem(404, 'file-not-found')
    expect((await ben.put('beach.jpg', 'water')).status).toBe(201)
    expect((await ada.get('beach.jpg')).body).toBe('sand')
  })

  it.each(['%2e%2e%2fup', 'a%2Fb', 'nul%00'])('of %s, which no file can be called, is 400', async (name) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await ada.request(`/v1/files/${name}`)).toBeProblem(400, 'invalid-name')
  })

  it('survives a restart', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    await app.close()
    const again = await testApp({}, join(app.config.DATA_DIR, '..'))
    const headers = { authorization: `Bearer ${ada.token}` }
    expect((await again.request('/v1/files/beach.jpg', { headers })).body).toBe('sand')
  })
})

describe('HEAD', () => {
  it('answers as GET does, without the bytes', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('data.json', '{"a":1}', { 'content-type': 'application/json' })
    const get = await ada.get('data.json')
    const answer = await ada.request('/v1/files/data.json', { method: 'HEAD' })
    const withoutId = ({ 'x-request-id': _id, date: _date, ...rest }: typeof get.headers) => rest
    expect(withoutId(answer.headers)).toEqual(withoutId(get.headers))
    expect([answer.status, answer.bytes.length]).toEqual([200, 0])
  })

  it('ignores a range', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const answer = await ada.request('/v1/files/file', { method: 'HEAD', headers: { range: 'bytes=1-2' } })
    expect([answer.status, answer.headers['content-length']]).toEqual([200, '5'])
  })

  it.each([
    [{ 'if-none-match': etag('bytes') }, 304],
    [{ 'if-match': '"x"' }, 412],
  ])('with %j is %i', async (headers, status) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    expect((await ada.request('/v1/files/file', { method: 'HEAD', headers })).status).toBe(status)
  })
})

describe('a range', () => {
  const content = '0123456789'

  it.each([
    ['bytes=0-0', 206, '0', 'bytes 0-0/10'],
    ['bytes=2-4', 206, '234', 'bytes 2-4/10'],
    ['bytes=5-', 206, '56789', 'bytes 5-9/10'],
    ['bytes=-3', 206, '789', 'bytes 7-9/10'],
    ['bytes=-99', 206, content, 'bytes 0-9/10'],
    ['bytes=8-99', 206, '89', 'bytes 8-9/10'],
    ['Bytes=1-1', 206, '1', 'bytes 1-1/10'],
    ['bytes=0-3,2-5', 206, '012345', 'bytes 0-5/10'],
    ['bytes=5-6, 0-1 ,2-4', 206, '0123456', 'bytes 0-6/10'],
    ['bytes=3-4,99-', 206, '34', 'bytes 3-4/10'],
    ['bytes=2-4,', 206, '234', 'bytes 2-4/10'],
    ['bytes=, ,0-1,,2-4', 206, '01234', 'bytes 0-4/10'],
    ['bytes=0-0,9-9', 200, content, undefined],
    ['bytes=', 200, content, undefined],
    ['bytes=, ,', 200, content, undefined],
    [`bytes=${','.repeat(101)}0-1`, 200, content, undefined],
    ['bytes=4-2', 200, content, undefined],
    ['bytes=-', 200, content, undefined],
    ['bytes=1-2,x', 200, content, undefined],
    [`bytes=${new Array(101).fill('0-1')}`, 200, content, undefined],
    ['bytes=x-y', 200, content, undefined],
    ['lines=1-2', 200, content, undefined],
    ['bytes', 200, content, undefined],
  ])('%s is answered %i', async (range, status, body, contentRange) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('digits', content)
    const answer = await ada.get('digits', { range })
    expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([status, body, contentRange])
    expect(answer.headers['content-length']).toBe(String(body.length))
    expect(answer.headers['repr-digest']).toContain(sha256(content).toString('base64'))
  })

  it.each(['bytes=10-', 'bytes=99-100', 'bytes=-0', `bytes=${'9'.repeat(400)}-`])(
    '%s cannot be satisfied',
    async (range) => {
      const app = await sharedApp()
      const ada = await member(app)
      await ada.put('digits', content)
      const answer = await ada.get('digits', { range })
      expect(answer).toBeProblem(416, 'range-not-satisfiable')
      expect(answer.headers['content-range']).toBe('bytes */10')
    },
  )

  it('of an empty file cannot be satisfied', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('empty', '')
    expect((await ada.get('empty', { range: 'bytes=0-' })).headers['content-range']).toBe('bytes */0')
    expect((await ada.get('empty', { range: 'bytes=-0' })).status).toBe(416)
  })

  it('that asks for the last bytes of an empty file is the whole', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('empty', '')
    for (const range of ['bytes=-5', 'bytes=-5,0-']) {
      const answer = await ada.get('empty', { range })
      expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([200, '', undefined])
    }
  })

  it.each([
    [etag(content), 206],
    [NOW, 206],
    ['"another"', 200],
    [`W/${etag(content)}`, 200],
    [BEFORE, 200],
  ])('with If-Range: %s is answered %i', async (ifRange, status) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('digits', content)
    expect((await ada.get('digits', { range: 'bytes=1-2', 'if-range': ifRange })).status).toBe(status)
  })

  it('with a date is answered with the whole where another version can have had that date', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('digits', content)
    await ada.put('digits', 'abcdefghij')
    expect((await ada.get('digits', { range: 'bytes=1-2', 'if-range': NOW })).body).toBe('abcdefghij')
  })

  it('is cut exactly, whatever its size and place', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const bytes = randomBytes(2_500_000)
    await ada.put('large', bytes)
    const place = fc.integer({ min: 0, max: bytes.length - 1 })
    await fc.assert(
      fc.asyncProperty(place, place, async (a, b) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)]
        const answer = await ada.get('large', { range: `bytes=${start}-${end}` })
        expect(answer.bytes.equals(bytes.subarray(start, end + 1))).toBe(true)
      }),
      { numRuns: 40 },
    )
  })
})

describe('conditions of a download', () => {
  it.each([
    ['If-None-Match of this version', { 'if-none-match': etag('bytes') }, 304],
    ['If-None-Match, weakly', { 'if-none-match': `W/${etag('bytes')}` }, 304],
    ['If-None-Match: *', { 'if-none-match': '*' }, 304],
    ['If-None-Match of another version', { 'if-none-match': '"another"' }, 200],
    ['If-Modified-Since now', { 'if-modified-since': NOW }, 304],
    ['If-Modified-Since before', { 'if-modified-since': BEFORE }, 200],
    ['If-Modified-Since on a day that no calendar has', { 'if-modified-since': 'Sun, 30 Feb 2098 00:00:00 GMT' }, 200],
    ['If-None-Match without quotes', { 'if-none-match': 'x' }, 200],
    ['If-Modified-Since nonsense', { 'if-modified-since': 'yesterday' }, 200],
    ['If-None-Match goes before If-Modified-Since', { 'if-none-match': '"x"', 'if-modified-since': NOW }, 200],
    ['If-Match of this version', { 'if-match': etag('bytes') }, 200],
    ['If-Match of another version', { 'if-match': '"another"' }, 412],
    ['If-Unmodified-Since now', { 'if-unmodified-since': NOW }, 200],
    ['If-Unmodified-Since before', { 'if-unmodified-since': BEFORE }, 412],
    ['If-Match goes before If-Unmodified-Since', { 'if-match': '*', 'if-unmodified-since': BEFORE }, 200],
    ['conditions go before ranges', { 'if-none-match': '*', range: 'bytes=99-' }, 304],
  ])('%s', async (_what, headers, status) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const answer = await ada.get('file', headers)
    expect(answer.status).toBe(status)
    if (status === 412) expect(answer).toBeProblem(412, 'precondition-failed')
    if (status === 304) {
      expect(answer.headers).toMatchObject({ etag: etag('bytes'), 'cache-control': 'private, no-cache' })
      expect(answer.headers['content-length']).toBeUndefined()
      expect(answer.headers['content-type']).toBeUndefined()
    }
  })
})

it.each<[date: string, status: number]>([
  ['Sunday, 22-Nov-26 08:30:00 GMT', 304],
  ['Sunday, 22-Nov-26 08:29:59 GMT', 200],
  ...[50, 60, 69, 75, 76].map((year) => [`Wednesday, 01-Jan-${year} 00:00:00 GMT`, 304] satisfies [string, number]),
  ['Saturday, 01-Jan-77 00:00:00 GMT', 200],
  ['Sunday, 06-Nov-94 08:49:37 GMT', 200],
  ['Sun Nov 22 08:30:00 2026', 304],
  ['Sun, 22-Nov-2026 08:30:00 GMT', 304],
  ['Sun, 22 Nov-2026 08:30:00 GMT', 200],
  ['Sun, 22 Nov 226 08:30:00 GMT', 200],
  ['Sun, 22 Nob 2026 08:30:00 GMT', 200],
])('reads the date %s', async (date, status) => {
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('file', 'bytes')
  vi.setSystemTime(app.clock())
  onTestFinished(() => void vi.useRealTimers())
  expect((await ada.get('file', { 'if-modified-since': date })).status).toBe(status)
})

it('says that nothing was changed only where something could have been', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('file', 'bytes')
  const unmet = { 'if-match': '"another"' }
  const detail = 'The file does not meet the preconditions of the request.'
  expect((await ada.get('file', unmet)).body).toMatchObject({ detail })
  const changes = [
    await ada.put('file', 'x', unmet),
    await ada.request('/v1/files/file', { method: 'DELETE', headers: unmet }),
  ]
  for (const { body } of changes) expect(body).toMatchObject({ detail: `${detail} Nothing was changed.` })
})

describe('a file that is replaced while it is read', () => {
  it('goes on as it began', async () => {
    const app = await testApp()
    const ada = await member(app)
    const bytes = randomBytes(30_000_000)
    await ada.put('large', bytes)
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files/large', { authorization: `Bearer ${ada.token}`, connection: 'close' }))
    await line.until('\r\n\r\n')
    line.socket.pause()
    await ada.put('large', 'other bytes')
    await app.settled()
    line.socket.resume()
    const answer = Buffer.from(await line.ended, 'latin1')
    const body = answer.subarray(answer.indexOf('\r\n\r\n') + 4)
    expect(sha256(body).equals(sha256(bytes))).toBe(true)
  })

  it('is looked up again where the blob went first', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'old bytes')
    const open = app.ports.blobs.open
    app.ports.blobs.open = async (...args) => {
      app.ports.blobs.open = open
      await ada.replace('file', 'new bytes')
      await app.settled()
      return open(...args)
    }
    const answer = await ada.get('file')
    expect([answer.body, answer.headers.etag]).toEqual(['new bytes', etag('new bytes')])
  })
})

describe('a damaged blob', () => {
  it('that is gone is a 500, and the operator hears of it', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    await rm(await pathOfOnlyBlob(app))
    expect(await ada.get('file')).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toMatch(/blob [\w-]+\/[\w-]+ is missing/)
  })

  it('that is cut before the first byte is a 500', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    await writeFile(await pathOfOnlyBlob(app), '')
    expect(await ada.get('file')).toBeProblem(500, 'internal-error')
  })

  it('that is cut later breaks the connection', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', randomBytes(4_000_000))
    await truncate(await pathOfOnlyBlob(app), 3_000_000)
    await expect(ada.get('file')).rejects.toThrow(/aborted|hang up|ECONNRESET/)
  })
})

it('puts nothing of its own into bytes that are on their way', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const bytes = randomBytes(30_000_000)
  await ada.put('large', bytes)
  const line = wire(app.url)
  line.socket.pause()
  line.socket.write(head('GET /v1/files/large', { authorization: `Bearer ${ada.token}` }))
  await new Promise((resolve) => setTimeout(resolve, 300))
  line.socket.write('NOISE\0\r\n\r\n')
  line.socket.resume()
  const answer = Buffer.from(await line.ended, 'latin1')
  const start = answer.indexOf('\r\n\r\n') + 4
  expect(answer.subarray(start, start + bytes.length).equals(bytes)).toBe(true)
  expect(answer.subarray(start + bytes.length).toString()).toMatch(/^HTTP\/1\.1 400 .*"malformed-http"/s)
})

it('answers pipelined requests in their order', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  for (const name of ['a', 'b', 'c']) await ada.put(name, name.repeat(2_000_000))
  const line = wire(app.url)
  const authorization = `Bearer ${ada.token}`
  const requests = ['a', 'b', 'c'].map((name) => head(`GET /v1/files/${name}`, { authorization }))
  line.socket.write(`${requests.join('')}${head('GET /health/live', { connection: 'close' })}`)
  const order = [...(await line.ended).matchAll(/a{2000000}|b{2000000}|c{2000000}|"ok"/g)].map(([text]) => text[0])
  expect(order).toEqual(['a', 'b', 'c', '"'])
})

it.each([1, 2, 20])('lets go of its blob when the reader of %i requests in a row goes away', async (requests) => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('large', randomBytes(30_000_000))
  const blob = await pathOfOnlyBlob(app)
  const open = async () => (await openFiles()).filter((path) => path === blob).length
  const line = wire(app.url)
  line.socket.write(head('GET /v1/files/large', { authorization: `Bearer ${ada.token}` }).repeat(requests))
  await line.until('\r\n\r\n')
  line.socket.pause()
  await expect.poll(open).toBe(1)
  line.socket.destroy()
  await expect.poll(open).toBe(0)
  expect(app.log.filter((entry) => entry.includes('"level":50'))).toEqual([])
})

it('cuts a download whose session was ended', async () => {
  const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
  const ada = await member(app)
  await ada.put('large', randomBytes(30_000_000))
  const line = wire(app.url)
  line.socket.write(head('GET /v1/files/large', { authorization: `Bearer ${ada.token}` }))
  await line.until('\r\n\r\n')
  line.socket.pause()
  const served = app.connections.at(-1)
  await ada.request('/v1/sessions/current', { method: 'DELETE' })
  await expect.poll(() => served?.destroyed).toBe(true)
  line.socket.resume()
  expect((await line.ended).length).toBeLessThan(30_000_000)
})

async function openFiles(): Promise<string[]> {
  const fds = await readdir('/proc/self/fd')
  return Promise.all(fds.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
}
