/** Uploads as URLSession sends them, in each version of draft-ietf-httpbis-resumable-upload that a release of iOS speaks. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { form, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { head, type Wire, wire } from '../support/wire.ts'

interface Dialect {
  version: number
  yes: Record<string, string>
  no: Record<string, string>
  /** What an append carries besides its offset. The early drafts name no type, and their clients send none. */
  append: Record<string, string>
  /** Whether the last append may leave out that it is the last. */
  silentEnd: boolean
  appended: number
  age: 'expires' | 'max-age'
}

const COMPLETE = { yes: { 'upload-complete': '?1' }, no: { 'upload-complete': '?0' } }
const PARTIAL = { 'content-type': 'application/partial-upload' }
const DIALECTS: Dialect[] = [
  {
    version: 3,
    yes: { 'upload-incomplete': '?0' },
    no: { 'upload-incomplete': '?1' },
    append: {},
    silentEnd: true,
    appended: 201,
    age: 'max-age',
  },
  { version: 5, ...COMPLETE, append: {}, silentEnd: true, appended: 201, age: 'max-age' },
  { version: 6, ...COMPLETE, append: PARTIAL, silentEnd: true, appended: 201, age: 'expires' },
  ...[8, 9, 10].map((version) => ({
    version,
    ...COMPLETE,
    append: PARTIAL,
    silentEnd: false,
    appended: 204,
    age: 'max-age' as const,
  })),
]

const film = randomBytes(700_000)
const CUT = 300_000
const filmForm = form([{ name: 'file', filename: 'film.mp4', content: film }])

interface Creation {
  line: string
  headers: Record<string, string>
  body: Buffer
}
const CREATIONS: Creation[] = [
  { line: 'PUT /v1/files/film.mp4', headers: { 'content-type': 'video/mp4' }, body: film },
  {
    line: 'POST /v1/uploads',
    headers: { 'content-type': 'video/mp4', 'content-disposition': 'attachment; filename="film.mp4"' },
    body: film,
  },
  { line: 'POST /v1/files', headers: filmForm.headers as Record<string, string>, body: filmForm.body as Buffer },
]
const named = (version: number | string) => ({ 'upload-draft-interop-version': String(version) })

/** Sends the head and the first bytes of an upload. */
function begin(app: TestApp, owner: Member, { line, headers, body }: Creation, fields: Record<string, string>) {
  const client = wire(app.url)
  const authorization = `Bearer ${owner.token}`
  client.socket.write(head(line, { authorization, 'content-length': body.length, ...headers, ...fields }))
  client.socket.write(body.subarray(0, CUT))
  return client
}

function fieldsOf(response: string): Record<string, string> {
  const lines = response.slice(0, response.indexOf('\r\n\r\n')).split('\r\n').slice(1)
  return Object.fromEntries(
    lines.map((line) => line.split(': ')).map(([name = '', value = '']) => [name.toLowerCase(), value]),
  )
}

describe.each(DIALECTS)('interop version $version', (dialect) => {
  const { version, yes, no, append, silentEnd, appended, age } = dialect

  it.each(CREATIONS)('resumes a $line that was cut in the middle', async (creation) => {
    const app = await testApp()
    const ada = await member(app)
    const client = begin(app, ada, creation, { ...named(version), ...yes })
    const interim = await client.until('\r\n\r\n')
    expect(interim).toMatch(/^HTTP\/1\.1 104 Upload Resumption Supported\r\n/)
    const { location = '', ...said } = fieldsOf(interim)
    expect(said).toEqual({ ...named(version), 'upload-limit': expect.stringContaining(`, ${age}=604800`) })
    client.socket.end()
    expect(await client.ended).not.toMatch(/ 20[01] /)

    const asked = await ada.request(location, { method: 'HEAD', headers: named(version) })
    expect(asked.status).toBe(204)
    expect(asked.headers).toMatchObject({ 'upload-offset': `${CUT}`, 'cache-control': 'no-store', ...no })

    const final = await ada.request(location, {
      method: 'PATCH',
      headers: { ...named(version), ...append, ...(silentEnd ? {} : yes), 'upload-offset': `${CUT}` },
      body: creation.body.subarray(CUT),
    })
    expect([final.status, final.body]).toMatchObject([
      201,
      { name: 'film.mp4', size: film.length, contentType: 'video/mp4' },
    ])
    expect(final.headers).toMatchObject({ ...yes, 'content-location': '/v1/files/film.mp4' })
    expect((await ada.get('film.mp4')).bytes.equals(film)).toBe(true)
  })

  it('takes an upload in three requests, and the last one may be empty', async () => {
    const app = await testApp()
    const ada = await member(app)
    const send = (method: string, path: string, headers: Record<string, string>, body: Buffer) =>
      ada.request(path, { method, headers: { ...named(version), ...headers }, body })
    const first = await send('PUT', '/v1/files/a', no, film.subarray(0, CUT))
    expect([first.status, first.headers]).toMatchObject([201, { 'upload-offset': `${CUT}`, ...no }])
    const path = first.headers.location as string
    const second = await send('PATCH', path, { ...append, ...no, 'upload-offset': `${CUT}` }, film.subarray(CUT))
    expect([second.status, second.headers]).toMatchObject([appended, { 'upload-offset': `${film.length}`, ...no }])
    expect((await ada.get('a')).status).toBe(404)
    const last = await send('PATCH', path, { ...append, ...yes, 'upload-offset': `${film.length}` }, Buffer.alloc(0))
    expect([last.status, last.headers]).toMatchObject([201, yes])
    expect((await ada.get('a')).bytes.equals(film)).toBe(true)
    const after = await ada.request(path, { method: 'HEAD', headers: named(version) })
    expect([after.status, after.headers]).toMatchObject([204, { 'upload-offset': `${film.length}`, ...yes }])
  })

  it('says after a wrong offset which one is right, and that the upload is not complete', async () => {
    const app = await testApp()
    const ada = await member(app)
    const headers = { ...named(version), ...no }
    const { location = '' } = (await ada.put('a', 'first', headers)).headers
    const answer = await ada.request(location, {
      method: 'PATCH',
      headers: { ...headers, ...append, 'upload-offset': '4' },
      body: 'rest',
    })
    expect(answer).toBeProblem(409, 'mismatching-upload-offset')
    expect(answer.body).toMatchObject({
      type: 'https://iana.org/assignments/http-problem-types#mismatching-upload-offset',
      'expected-offset': 5,
      'provided-offset': 4,
    })
    expect(answer.headers).toMatchObject({ 'upload-offset': '5', ...no })
  })

  it('never stores first bytes as the whole', async () => {
    const app = await testApp()
    const ada = await member(app)
    const answer = await ada.put('a', 'first', { ...named(version), 'upload-complete': '?0' })
    expect([answer.status, answer.headers.location]).toEqual([201, expect.stringMatching(/^\/v1\/uploads\//)])
    expect((await ada.get('a')).status).toBe(404)
  })

  it('cancels', async () => {
    const app = await testApp()
    const ada = await member(app)
    const { location = '' } = (await ada.put('a', 'first', { ...named(version), ...no })).headers
    expect((await ada.request(location, { method: 'DELETE', headers: named(version) })).status).toBe(204)
    expect((await ada.request(location, { method: 'HEAD', headers: named(version) })).status).toBe(404)
  })
})

describe.each([
  ['was reset', (client: Wire) => void client.socket.resetAndDestroy()],
  ['is dead, but the server has not noticed', () => {}],
])('a connection that %s', (_how, lose) => {
  it('is replaced by another, twice', async () => {
    const app = await testApp()
    const ada = await member(app)
    const [put] = CREATIONS as [Creation]
    const client = begin(app, ada, put, { ...named(6), ...COMPLETE.yes })
    const { location = '' } = fieldsOf(await client.until('\r\n\r\n'))
    lose(client)
    const offset = async () =>
      Number((await ada.request(location, { method: 'HEAD', headers: named(6) })).headers['upload-offset'])

    const first = await offset()
    expect(first).toBeLessThanOrEqual(CUT)
    const append = { ...named(6), ...PARTIAL, authorization: `Bearer ${ada.token}` }
    const second = wire(app.url)
    const left = film.subarray(first)
    second.socket.write(head(`PATCH ${location}`, { ...append, 'content-length': left.length, 'upload-offset': first }))
    second.socket.write(left.subarray(0, CUT))
    lose(second)

    const at = await offset()
    expect([at >= first, at <= first + CUT]).toEqual([true, true])
    const headers = { ...append, 'upload-offset': String(at) }
    const final = await ada.request(location, { method: 'PATCH', headers, body: film.subarray(at) })
    expect([final.status, (await ada.get('film.mp4')).bytes.equals(film)]).toEqual([201, true])
  })
})

describe('no 104 is sent', () => {
  const [put] = CREATIONS as [Creation]
  const { yes } = COMPLETE

  it.each<[why: string, fields: Record<string, string>, settings?: Record<string, string>]>([
    ['without a version', yes],
    ...['4', '7', '11', '6.0', '06', 'six', ''].map((version): [string, Record<string, string>] => [
      `for version ${JSON.stringify(version)}`,
      { ...named(version), ...yes },
    ]),
    ['where UPLOAD_INTERIM_RESPONSES is off', { ...named(6), ...yes }, { UPLOAD_INTERIM_RESPONSES: 'off' }],
    ['to a plain upload', {}],
  ])('%s', async (_why, fields, settings = {}) => {
    const app = await testApp(settings)
    const ada = await member(app)
    const client = begin(app, ada, put, { ...fields, connection: 'close' })
    client.socket.end(put.body.subarray(CUT))
    expect(await client.ended).toMatch(/^HTTP\/1\.1 201 /)
    expect((await ada.get('film.mp4')).bytes.equals(film)).toBe(true)
  })

  it('to HTTP/1.0', async () => {
    const app = await testApp()
    const ada = await member(app)
    const client = wire(app.url)
    const fields = { authorization: `Bearer ${ada.token}`, 'content-length': 3, ...named(6), ...yes }
    client.socket.write(`${head('PUT /v1/files/a', fields).replace('HTTP/1.1', 'HTTP/1.0')}abc`)
    expect(await client.ended).toMatch(/^HTTP\/1\.1 201 /)
  })
})

describe('whatever version it names', () => {
  it.each(['4', '7', '11', 'six', undefined])('%j, a request with ?0 is never stored as the whole', async (version) => {
    const app = await testApp()
    const ada = await member(app)
    for (const [n, field] of [{ 'upload-complete': '?0' }, { 'upload-incomplete': '?1' }].entries()) {
      const fields = { ...(version !== undefined && named(version)), ...field }
      const answers = [
        await ada.put(`put-${n}`, 'first', fields),
        await ada.request('/v1/files', {
          method: 'POST',
          headers: { ...filmForm.headers, ...fields },
          body: filmForm.body as Buffer,
        }),
      ]
      for (const { status, headers } of answers) {
        expect([status, headers.location]).toEqual([201, expect.stringMatching(/^\/v1\/uploads\//)])
      }
    }
    expect((await ada.request('/v1/files')).body).toMatchObject({ files: [] })
  })
})

it('a 104 does not replace the 100 that a client waits for', async () => {
  const app = await testApp()
  const ada = await member(app)
  const client = wire(app.url)
  const fields = { ...named(6), ...COMPLETE.yes, expect: '100-continue', connection: 'close' }
  const authorization = `Bearer ${ada.token}`
  client.socket.write(head('PUT /v1/files/a', { authorization, 'content-length': 3, ...fields }))
  const interim = await client.until('HTTP/1.1 100 Continue\r\n\r\n')
  expect(interim).toContain('HTTP/1.1 104 ')
  client.socket.write('abc')
  expect(await client.ended).toContain('HTTP/1.1 201 Created')
})
