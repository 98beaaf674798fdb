/** Forms byte by byte: what browsers, phones and libraries send, and what cannot be read without a guess. */
import { describe, expect, it } from 'vitest'
import { appForMany, blobsOnDisk, type Member, member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()
/** Its tests store nothing. */
const untouchedApp = appForMany()

const send = (owner: Member, body: string | Buffer, type = 'multipart/form-data; boundary=XX') =>
  owner.request('/v1/files', {
    method: 'POST',
    headers: { 'content-type': type },
    body: typeof body === 'string' ? Buffer.from(body) : body,
  })

const part = (headers: string, content = 'sand') => `--XX\r\n${headers}\r\n\r\n${content}\r\n`
const disposition = (parameters: string) => part(`Content-Disposition: form-data; ${parameters}`)
const END = '--XX--\r\n'
const FILE = disposition('name="file"; filename="beach.jpg"')
const NAME = part('Content-Disposition: form-data; name="name"', 'named.jpg')
const NFD = 'U\u0308bung.jpg'

describe('the name of a file in a form', () => {
  it.each([
    ['a quoted filename', 'name="file"; filename="IMG 1.jpg"', 'IMG 1.jpg'],
    ['an unquoted filename', 'name=file; filename=IMG-1.jpg', 'IMG-1.jpg'],
    ['an unquoted filename in UTF-8', 'name=file; filename=été.jpg', 'été.jpg'],
    ['escaped quotes', String.raw`name="file"; filename="a\"b.jpg"`, 'a"b.jpg'],
    ['a semicolon in quotes', 'name="file"; filename="a; name=x.jpg"', 'a; name=x.jpg'],
    ['names of parameters in capitals', 'NAME="file"; FileName="a.jpg"', 'a.jpg'],
    ['no space, and a semicolon at the end', 'name="file";filename="a.jpg";', 'a.jpg'],
    ['spaces around the equals sign', 'name = "file" ; filename = "a.jpg"', 'a.jpg'],
    ['filename* behind filename', `name="file"; filename="_.jpg"; filename*=UTF-8''%E2%82%AC.jpg`, '€.jpg'],
    ['filename* before filename', `name="file"; filename*=UTF-8''%E2%82%AC.jpg; filename="_.jpg"`, '€.jpg'],
    ['filename* before all', `filename*=UTF-8''%E2%82%AC.jpg; filename="_.jpg"; name="file"`, '€.jpg'],
    ['filename* alone', `name="file"; filename*=utf-8''%E2%82%AC.jpg`, '€.jpg'],
    ['filename* with a language', `name="file"; filename="_.jpg"; filename*=UTF-8'en'%E2%82%AC.jpg`, '€.jpg'],
    ['filename* in quotes', `name="file"; filename="_.jpg"; filename*="UTF-8''%E2%82%AC.jpg"`, '€.jpg'],
    ['filename* in ISO-8859-1', `name="file"; filename*=iso-8859-1''%A3.jpg`, '£.jpg'],
    ['filename* as JavaScript encodes it', `name="file"; filename*=UTF-8''a(1)!'*.jpg`, "a(1)!'*.jpg"],
    ['what .NET sends', `name=file; filename="=?utf-8?B?4oKsLmpwZw==?="; filename*=utf-8''%E2%82%AC.jpg`, '€.jpg'],
    ['another normal form', `name="file"; filename="${NFD}"`, 'Übung.jpg'],
    ['another normal form in filename*', `name="file"; filename*=UTF-8''U%CC%88bung.jpg`, 'Übung.jpg'],
    ['a percent sign', 'name="file"; filename="100%25.jpg"', '100%25.jpg'],
    ['a quote as browsers send it', 'name="file"; filename="a%22b.jpg"', 'a"b.jpg'],
    ['filename* with an encoded percent sign', `name="file"; filename*=UTF-8''a%2522b.jpg`, 'a%22b.jpg'],
    ['a replacement character', 'name="file"; filename="a\ufffdb.jpg"', 'a\ufffdb.jpg'],
    ['an extended replacement character', `name="file"; filename*=UTF-8''a%EF%BF%BDb.jpg`, 'a\ufffdb.jpg'],
  ])('is read from %s', async (_what, parameters, name) => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await send(ada, disposition(parameters) + END)
    expect([answer.status, (answer.body as { name: string }).name]).toEqual([201, name])
    expect((await ada.get(name)).body).toBe('sand')
  })

  it.each([
    ['an unquoted value with a space', 'name="file"; filename=IMG 1.jpg'],
    ['an unquoted name with a space', 'name=fi le; filename="a.jpg"'],
    ['an unquoted value with a comma', 'name="file"; filename=a,b.jpg'],
    ['an unquoted value with brackets', 'name="file"; filename=a(1).jpg'],
    ['an unquoted value with a quote', 'name="file"; filename=a"b.jpg'],
    ['a quote that does not end', 'name="file"; filename="a.jpg'],
    ['something behind a quoted value', 'name="file"; filename="a.jpg"x'],
    ['two file names', 'name="file"; filename="a.jpg"; filename="b.jpg"'],
    ['two extended file names', `name="file"; filename*=UTF-8''a; filename*=UTF-8''b`],
    ['two names', 'name="file"; name="name"; filename="a.jpg"'],
    ['no name', 'filename="a.jpg"'],
    ['a parameter without a value', 'name="file"; filename'],
    ['an empty unquoted value', 'name="file"; filename='],
    ['an unknown charset', `name="file"; filename="a.jpg"; filename*=koi8-r''%E2.jpg`],
    ['no charset', `name="file"; filename="a.jpg"; filename*=b.jpg`],
    ['half an escape', `name="file"; filename="a.jpg"; filename*=UTF-8''%E2%8.jpg`],
    ['filename* that is not encoded', `name="file"; filename="a.jpg"; filename*=UTF-8''ü.jpg`],
    ['an encoded word alone', 'name="file"; filename="=?utf-8?B?w7wuanBn?="'],
    ['a control character', 'name="file"; filename="a\u0001.jpg"'],
    ['a line feed', 'name="file"; filename="a\n.jpg"'],
  ])('is not guessed from %s', async (_what, parameters) => {
    const app = await untouchedApp()
    const ada = await member(app)
    expect(await send(ada, disposition(parameters) + END)).toBeProblem(400, 'malformed-multipart')
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it.each([
    ['a backslash that escapes nothing', String.raw`name="file"; filename="a\b.jpg"`],
    ['a path', 'name="file"; filename="dir/a.jpg"'],
    ['an extended path', `name="file"; filename="a.jpg"; filename*=UTF-8''dir%2Fa.jpg`],
    ['extended bytes that are no UTF-8', `name="file"; filename="a.jpg"; filename*=UTF-8''%FF.jpg`],
  ])('is refused with %s', async (_what, parameters) => {
    const app = await untouchedApp()
    const ada = await member(app)
    expect(await send(ada, disposition(parameters) + END)).toBeProblem(400, 'invalid-name')
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('of a field may have a replacement character, and no bytes that are none of its charset', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const named = (value: string) => FILE + part('Content-Disposition: form-data; name="name"', value) + END
    expect((await send(ada, named('a\ufffdb.jpg'))).body).toMatchObject({ name: 'a\ufffdb.jpg' })
    expect(await send(ada, Buffer.from(named('a\xffb.jpg'), 'latin1'))).toBeProblem(400, 'invalid-name')
  })

  it.each([
    ['UTF-8', 'A\u00e9.jpg', 'utf8', 201],
    ['"utf-8"', 'A\u00e9.jpg', 'utf8', 201],
    ['ISO-8859-1', 'A\u00e9.jpg', 'latin1', 201],
    ['us-ascii', 'A.jpg', 'latin1', 201],
    ['us-ascii', 'A\u00e9.jpg', 'latin1', 400],
    ['utf-16', '\u00fe\u00ff\0v\0w', 'latin1', 400],
    ['gbk', 'A\u00ff.jpg', 'latin1', 400],
    ['windows-1252', 'A\u0080.jpg', 'latin1', 400],
    ['__proto__', 'A.jpg', 'latin1', 400],
  ] as const)('of a field in charset=%s is %j, or refused', async (charset, name, bytes, status) => {
    const app = await testApp()
    const ada = await member(app)
    const head = `Content-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=${charset}`
    const answer = await send(ada, Buffer.from(FILE + part(head, name) + END, bytes))
    expect(answer.status).toBe(status)
    if (status === 201) expect(answer.body).toMatchObject({ name })
    else expect(await blobsOnDisk(app)).toEqual([])
  })

  it('of 255 bytes is counted in NFC', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const name = 'Ü'.repeat(127)
    const nfd = name.normalize('NFD')
    expect((await send(ada, FILE + part('Content-Disposition: form-data; name="name"', nfd) + END)).status).toBe(201)
    expect((await ada.get(name)).body).toBe('sand')
  })
})

describe('the part called file', () => {
  const bare = 'Content-Disposition: form-data; name="file"'

  it.each([
    ['no type', bare],
    ['a picture’s type', `${bare}\r\nContent-Type: image/jpeg`],
    ['text', `${bare}\r\nContent-Type: text/plain`],
    ['JSON', `${bare}\r\nContent-Type: application/json`],
    ['an empty filename', `${bare}; filename=""`],
  ])('is the file with %s, under the name of the field', async (_what, headers) => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const form of [NAME + part(headers, '{"a":1') + END, part(headers, '{"a":1') + NAME + END]) {
      expect([200, 201]).toContain((await send(ada, form)).status)
    }
    expect((await ada.get('named.jpg')).body).toBe('{"a":1')
  })

  it('without a name anywhere is refused, and the detail says why', async () => {
    const app = await untouchedApp()
    const ada = await member(app)
    const answer = await send(ada, part(`${bare}\r\nContent-Type: image/jpeg`) + END)
    expect(answer).toBeProblem(400, 'malformed-multipart')
    expect((answer.body as { detail: string }).detail).toContain('no field "name"')
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('keeps its type as it was sent', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const headers = `${bare}; filename="a"\r\nContent-Type: Text/Plain; charset=ISO-8859-1`
    expect((await send(ada, part(headers) + END)).body).toMatchObject({ contentType: 'Text/Plain; charset=ISO-8859-1' })
  })
})

describe('a part without bytes, whose headers the delimiter follows at once', () => {
  const bodiless = (parameters: string) => `--XX\r\nContent-Disposition: form-data; ${parameters}\r\n\r\n`

  it.each([
    ['a field before the file', bodiless('name="note"') + FILE + END, 'beach.jpg', 'sand'],
    ['the file alone', bodiless('name="file"; filename="c.txt"') + END, 'c.txt', ''],
    ['the file before its name', bodiless('name="file"; filename="d.txt"') + NAME + END, 'named.jpg', ''],
    [
      'several',
      bodiless('name="a"') + bodiless('name="file"; filename="e.txt"') + bodiless('name="b"') + END,
      'e.txt',
      '',
    ],
  ])('may be %s', async (_what, body, name, bytes) => {
    const app = await sharedApp()
    const ada = await member(app)
    const { status, body: stored } = await send(ada, body)
    expect([status, (stored as { name: string }).name]).toEqual([201, name])
    expect((await ada.get(name)).body).toBe(bytes)
  })

  it('does not take its bytes or its name from another part', async () => {
    const app = await untouchedApp()
    const ada = await member(app)
    const other = part('Content-Disposition: form-data; name="0"; filename="a"', 'abc')
    const body = bodiless('name="file"; filename="b.txt"') + other + END
    expect(await send(ada, body)).toBeProblem(400, 'malformed-multipart')
    const field = part('Content-Disposition: form-data; name="1"', 'evil.txt')
    const named = await send(ada, FILE + bodiless('name="name"') + field + END)
    expect(named).toBeProblem(400, 'invalid-name')
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('may come byte by byte', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const body = bodiless('name="note"') + bodiless('name="file"; filename="c.txt"') + END
    const sending = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': 'multipart/form-data; boundary=XX' }
    sending.socket.write(head('POST /v1/files', { ...headers, 'content-length': body.length }))
    for (const byte of body) sending.socket.write(byte)
    await expect.poll(async () => (await ada.get('c.txt')).status).toBe(200)
    sending.socket.destroy()
  })
})

describe('a form', () => {
  it.each([
    ['padding behind boundaries', `--XX  \t\r\n${FILE.slice(6)}--XX-- \t\r\n`],
    ['no line end behind the last boundary', `${FILE}--XX--`],
    ['a preamble and an epilogue', `before\r\n${FILE}--XX--\r\nbehind\r\n--XX\r\n`],
    ['a folded header', part('Content-Disposition: form-data;\r\n\tname="file";\r\n filename="beach.jpg"') + END],
    [
      'headers in small letters and any order',
      part('content-type: image/png\r\ncontent-disposition: form-data; name="file"; filename="beach.jpg"') + END,
    ],
    [
      'headers of other kinds',
      part(
        'X-Any: thing\r\nContent-Length: 4\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: form-data; name="file"; filename="beach.jpg"',
      ) + END,
    ],
    [
      'fields that nobody reads',
      part('Content-Disposition: form-data; name="toString"', 'x'.repeat(5000)) + FILE + END,
    ],
  ])('may have %s', async (_what, body) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await send(ada, body)).status).toBe(201)
    expect((await ada.get('beach.jpg')).body).toBe('sand')
  })

  it.each([
    'multipart/form-data; boundary="XX"',
    'Multipart/Form-Data; charset=utf-8; Boundary=XX',
    'multipart/form-data;boundary=XX; a=b',
  ])('may come as %s', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await send(ada, FILE + END, type)).status).toBe(201)
  })

  it('may have a boundary of any characters that may be quoted', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const boundary = "a b'()+_,-./:=?"
    expect(
      (await send(ada, (FILE + END).replaceAll('--XX', `--${boundary}`), `multipart/form-data; boundary="${boundary}"`))
        .status,
    ).toBe(201)
  })

  it('may have what is nearly a boundary in its bytes', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const content = '\r\n--X\r\n-\r\r\n--\n--XX\n\r--XX\r\n-XX\r'
    const headers = 'Content-Disposition: form-data; name="file"; filename="near"'
    expect((await send(ada, part(headers, content) + END)).status).toBe(201)
    expect((await ada.get('near')).body).toBe(content)
  })

  // If the time grew with the square of the length, these would take a minute.
  it.each([
    ['in the middle of a header', `name="x"\r\nX-Spaces: a${'\t'.repeat(3900)}b`],
    ['before a value in quotes', `name="x"; spaces*=${'\t'.repeat(3900)}"a"`],
  ])(
    'may have very many spaces %s, and they are read in linear time',
    async (_where, headers) => {
      const app = await sharedApp()
      const ada = await member(app)
      const body = disposition(headers).repeat(14) + FILE + END
      for (let n = 0; n < 200; n += 1) expect((await send(ada, body)).status).toBeLessThan(300)
    },
    5000,
  )

  it('may come in pieces of any size', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const form = `before\r\n--XX \t\r\n${FILE.slice(6)}${NAME}--XX-- \r\nbehind`
    const line = wire(app.url)
    const type = 'multipart/form-data; boundary=XX'
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, connection: 'close' }
    line.socket.setNoDelay(true)
    line.socket.write(head('POST /v1/files', { ...headers, 'content-length': form.length }))
    for (const byte of form) await new Promise((resolve) => line.socket.write(byte, resolve))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 201 .*"name":"named\.jpg","size":4,/s)
  })

  it.each([
    ['no last boundary', FILE, 'ends before'],
    ['a last boundary that is cut', `${FILE}--XX-`, 'ends before'],
    ['no boundary at all', 'sand', 'ends before'],
    ['line feeds alone', (FILE + END).replaceAll('\r\n', '\n'), 'boundary'],
    ['something behind a boundary', `--XXx\r\n${FILE.slice(6)}${END}`, 'followed by'],
    ['something behind the last boundary', `${FILE}--XX--x\r\n`, 'followed by'],
    [
      'something behind a boundary in its bytes',
      part('Content-Disposition: form-data; name="file"; filename="f"', 'a\r\n--XXb') + END,
      'followed by',
    ],
    ['padding without end', `--XX${' '.repeat(5000)}\r\n${FILE.slice(6)}${END}`, 'followed by'],
    [
      'headers without end',
      part(`X-Long: ${'x'.repeat(20_000)}\r\nContent-Disposition: form-data; name="file"; filename="f"`) + END,
      'at most 4096 bytes',
    ],
    ['many headers', disposition(`name="file"${'\r\nx:'.repeat(20)}`) + FILE + END, 'more than 20 headers'],
    [
      'many parameters',
      disposition(`name="file"${Array.from({ length: 20 }, (_, n) => `; a${n}=b`).join('')}`) + FILE + END,
      'more than 20 parameters',
    ],
    ['many empty parameters', disposition(`name="file"${';'.repeat(20)}`) + FILE + END, 'more than 20 parameters'],
    ['a part without headers', `--XX\r\n\r\nsand\r\n${FILE}${END}`, 'header'],
    ['a part without a Content-Disposition', part('Content-Type: text/plain') + FILE + END, 'no Content-Disposition'],
    [
      'a part that is no form data',
      part('Content-Disposition: attachment; name="file"; filename="f"') + END,
      'not form-data',
    ],
    [
      'a line that is no header',
      part('Content-Disposition: form-data; name="file"; filename="f"\r\nsand') + END,
      'not a header',
    ],
    [
      'a line feed between headers',
      part('Content-Disposition: form-data; name="file"; filename="f"\nX: y') + END,
      'not a header',
    ],
    [
      'two Content-Dispositions',
      part('Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Disposition: form-data; name="x"') +
        END,
      'two headers',
    ],
    [
      'base64',
      part('Content-Disposition: form-data; name="file"; filename="f"\r\nContent-Transfer-Encoding: base64') + END,
      'Transfer-Encoding',
    ],
    [
      'an unknown charset',
      part('Content-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=none') + FILE + END,
      'charset',
    ],
    ['two files', FILE + FILE + END, 'only one file'],
    ['a file of another name', FILE.replace('"file"', '"photo"') + END, 'must be called "file"'],
    [
      'too many parts',
      part('Content-Disposition: form-data; name="x"', 'x').repeat(16) + FILE + END,
      'at most 16 parts',
    ],
    ['no file', NAME + END, 'no file part'],
    ['no part', END, 'no file part'],
  ])('with %s is refused, and the detail says why', async (_what, body, detail) => {
    const app = await untouchedApp()
    const ada = await member(app)
    const answer = await send(ada, body)
    expect(answer).toBeProblem(400, 'malformed-multipart')
    expect((answer.body as { detail: string }).detail).toContain(detail)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary="a',
  ])('with the type %s is refused', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await send(ada, FILE + END, type)).toBeProblem(400, 'malformed-multipart')
  })
})
