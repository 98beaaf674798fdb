/** The server holds a client to the lengths that it announced, and its own fields about an upload are true. */
import { describe, expect, it } from 'vitest'
import { appForMany, type Member, MINUTE, member, testApp } from '../support/app.ts'
import { appending, beginning, DIALECTS, type Dialect, DRAFTS, type Piece } from '../support/resuming.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const piece = (text: string, isLast = false, more: Partial<Piece> = {}): Piece => ({
  bytes: Buffer.from(text),
  isLast,
  ...more,
})

async function begun(ada: Member, dialect: Dialect, name: string, first: Piece): Promise<string> {
  const { path, call } = beginning(dialect, name, first)
  const answer = await ada.request(path, call)
  expect(answer.status).toBe(201)
  return String(answer.headers.location)
}

function append(ada: Member, dialect: Dialect, path: string, offset: number, given: Piece) {
  return ada.request(path, appending(dialect, path, offset, given).call)
}

const usage = async (ada: Member) => ((await ada.request('/v1/me')).body as { usage: { bytes: number } }).usage.bytes

describe.each(DIALECTS)('a complete upload, in %s', (dialect) => {
  it('takes no more bytes, and an append without bytes again', async () => {
    const ada = await member(await sharedApp())
    const path = await begun(ada, dialect, 'film', piece('se', false, { size: 3 }))
    expect((await append(ada, dialect, path, 2, piece('a', true))).status).toBeLessThan(300)
    for (const more of [piece('more', true), piece('more')]) {
      expect(await append(ada, dialect, path, 3, more)).toBeProblem(400, 'inconsistent-upload-length')
    }
    const again = await append(ada, dialect, path, 3, piece('', true))
    expect([again.status < 300, again.headers['content-location']]).toEqual([true, '/v1/files/film'])
    expect((await ada.get('film')).body).toBe('sea')
  })
})

it.each([
  ['no bytes', '4\r\nmore\r\n0\r\n\r\n', /^HTTP\/1\.1 400 .*"code":"inconsistent-upload-length"/s],
  ['the end of the last append once more', '0\r\n\r\n', /^HTTP\/1\.1 204 /],
])('a complete upload takes %s in chunks', async (_what, body, answer) => {
  const app = await sharedApp()
  const ada = await member(app)
  const path = await begun(ada, 'tus', 'film', piece('sea', true, { size: 3 }))
  const line = wire(app.url)
  const { headers } = appending('tus', path, 3, piece('')).call
  const fields = { ...headers, authorization: `Bearer ${ada.token}`, 'transfer-encoding': 'chunked' }
  line.socket.write(`${head(`PATCH ${path}`, fields)}${body}`)
  expect(await line.until(body.startsWith('0') ? '\r\n\r\n' : '"code"')).toMatch(answer)
  line.socket.destroy()
})

it.for(DRAFTS)('a refused append to a complete upload says that it is complete, in version %s', async (version) => {
  const ada = await member(await sharedApp())
  const path = await begun(ada, version, 'film', piece('se'))
  await append(ada, version, path, 2, piece('a', true))
  const [field, yes] = version === 3 ? ['upload-incomplete', '?0'] : ['upload-complete', '?1']
  const answer = await append(ada, version, path, 2, piece('a', true))
  expect(answer).toBeProblem(409, 'mismatching-upload-offset')
  expect([answer.headers[field as string], answer.headers['upload-offset']]).toEqual([yes, '3'])
})

it.for([6, 10] as const)('Upload-Limit has the time that is left, in version %s', async (version) => {
  const app = await testApp({ UPLOAD_EXPIRY_HOURS: '1' })
  const ada = await member(app)
  const path = await begun(ada, version, 'film', piece('sea'))
  app.clock.turn(10 * MINUTE)
  const headers = { 'upload-draft-interop-version': String(version) }
  const asked = await ada.request(path, { method: 'HEAD', headers })
  expect(asked.headers['upload-limit']).toMatch(version === 6 ? /expires=3000$/ : /max-age=3000$/)
  const answer = await append(ada, version, path, 3, piece('more'))
  expect(answer.headers['upload-limit']).toMatch(/=3600$/)
})

it.for(DRAFTS)('the length that a last append announces holds after it broke off, in version %s', async (version) => {
  const app = await sharedApp()
  const ada = await member(app)
  const path = await begun(ada, version, 'film', piece('abc'))
  const line = wire(app.url)
  const { headers } = appending(version, path, 3, piece('', true)).call
  const fields = { ...headers, authorization: `Bearer ${ada.token}`, 'content-length': 10 }
  line.socket.write(`${head(`PATCH ${path}`, fields)}de`)
  await expect
    .poll(async () => (await ada.request(path, { method: 'HEAD' })).headers)
    .toMatchObject({ 'upload-offset': '5', 'upload-length': '13' })
  line.socket.destroy()
  for (const wrong of [piece('f', true), piece('f', true, { size: 6 }), piece('f', false, { size: 6 })]) {
    expect(await append(ada, version, path, 5, wrong)).toBeProblem(400, 'inconsistent-upload-length')
  }
  expect((await append(ada, version, path, 5, piece('fghijklm', true))).status).toBe(201)
  expect((await ada.get('film')).body).toBe('abcdefghijklm')
})

it('a last append with two lengths is refused, and one at a wrong offset learns the right one first', async () => {
  const ada = await member(await sharedApp())
  const path = await begun(ada, 10, 'film', piece('abc'))
  const contradiction = piece('de', true, { size: 9 })
  expect(await append(ada, 10, path, 3, contradiction)).toBeProblem(400, 'inconsistent-upload-length')
  expect(await append(ada, 10, path, 2, contradiction)).toBeProblem(409, 'mismatching-upload-offset')
})

it('expired uploads need no room', async () => {
  const app = await testApp({ QUOTA_BYTES: '10000', UPLOAD_EXPIRY_HOURS: '1' })
  const ada = await member(app)
  const part = { bytes: Buffer.alloc(7000), isLast: false, size: 8000 }
  const expired = [await begun(ada, 'tus', 'a', part)]
  app.clock.turn(61 * MINUTE)
  expect(await usage(ada)).toBe(0)
  expired.push(await begun(ada, 10, 'b', part))
  app.clock.turn(61 * MINUTE)
  expect((await ada.put('film', Buffer.alloc(7000))).status).toBe(201)
  expect(await usage(ada)).toBe(7000)
  for (const path of expired) expect(await ada.request(path, { method: 'DELETE' })).toBeProblem(404, 'upload-not-found')
})

it('an expired upload cannot be cancelled, and its bytes are free then', async () => {
  const app = await testApp({ UPLOAD_EXPIRY_HOURS: '1' })
  const ada = await member(app)
  const path = await begun(ada, 'tus', 'a', piece('sea', false, { size: 9 }))
  app.clock.turn(61 * MINUTE)
  expect(await ada.request(path, { method: 'DELETE' })).toBeProblem(404, 'upload-not-found')
  expect(await app.ports.uploads.page('', 9)).toEqual([])
})

describe('a full number of files', () => {
  async function full() {
    const ada = await member(await testApp({ QUOTA_FILES: '2' }))
    for (const name of ['a', 'b']) await ada.put(name, 'sand')
    return ada
  }

  it.for(['tus', 10] as const)('refuses a new upload when it begins, in %s', async (dialect) => {
    const ada = await full()
    const { path, call } = beginning(dialect, 'new', piece('', false, { size: 3 }))
    expect(await ada.request(path, call)).toBeProblem(507, 'quota-exceeded')
  })

  it('refuses a PUT that adds a file, and takes one that adds none', async () => {
    const ada = await full()
    const first = { 'upload-complete': '?0', 'upload-length': '9' }
    expect(await ada.put('new', 'se', first)).toBeProblem(507, 'quota-exceeded')
    const kept = await ada.put('a', 'se', first)
    expect(kept).toBeProblem(507, 'quota-exceeded')
    expect((kept.body as { detail: string }).detail).toContain('?replaced=discard')
    expect((await ada.replace('a', 'se', first)).status).toBe(201)
    // The same bytes may follow.
    expect((await ada.put('a', 'sa', { ...first, 'upload-length': '4' })).status).toBe(201)
  })
})
