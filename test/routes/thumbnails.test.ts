import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { appForMany, DAY, type Member, member, type TestApp, testApp } from '../support/app.ts'
import type { Call } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()
const MOST = 256 * 1024
const JPEG = { 'content-type': 'image/jpeg' }
const picture = (bytes = 100) => Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), randomBytes(bytes - 4)])

const path = (name: string, query = '') => `/v1/files/${encodeURIComponent(name)}/thumbnail${query}`
const put = (owner: Member, name: string, body: NonNullable<Call['body']>, headers: Record<string, string> = JPEG) =>
  owner.request(path(name), { method: 'PUT', headers: { ...JPEG, ...headers }, body })
const get = (owner: Member, name: string, headers: Record<string, string> = {}, query = '') =>
  owner.request(path(name, query), { headers })
const remove = (owner: Member, name: string, headers: Record<string, string> = {}) =>
  owner.request(path(name), { method: 'DELETE', headers })

interface Listed {
  id: string
  name: string
  thumbnail: string | null
}

/** The file as the list shows it. */
async function listed(owner: Member, name: string): Promise<Listed | undefined> {
  const { body } = await owner.request('/v1/files?limit=1000')
  return (body as { files: Listed[] }).files.find((file) => file.name === name)
}

const tagOf = async (owner: Member, name: string) => (await listed(owner, name))?.thumbnail
const usedBytes = async (owner: Member) => {
  const { body } = await owner.request('/v1/me')
  return (body as { usage: { bytes: number } }).usage.bytes
}

/** The changes feed from its beginning. The cursor says how many changes there were. */
async function changed(owner: Member, query = '') {
  const { body } = await owner.request(`/v1/changes${query}`)
  const { changes, nextCursor } = body as { changes: { file: Listed }[]; nextCursor: string }
  return { changes, nextCursor }
}

/** Ada has `beach.jpg` with a thumbnail. */
async function withThumbnail(app: TestApp, bytes = picture()) {
  const ada = await member(app)
  const { headers } = await ada.put('beach.jpg', 'sand')
  expect((await put(ada, 'beach.jpg', bytes)).status).toBe(204)
  return { app, ada, bytes, tag: await tagOf(ada, 'beach.jpg'), etag: String(headers.etag) }
}

const rows = ({ config }: TestApp, sql: string) => {
  const db = new Database(join(config.DATA_DIR, 'minikeepsafe.db'))
  try {
    return db.prepare<[], unknown>(sql).pluck().all()
  } finally {
    db.close()
  }
}

describe('a thumbnail', () => {
  it('comes back as it was put, safe to be shown inline', async () => {
    const { ada, bytes, tag } = await withThumbnail(await sharedApp())
    const answer = await get(ada, 'beach.jpg')
    expect([answer.status, answer.bytes.equals(bytes)]).toEqual([200, true])
    expect(answer.headers).toMatchObject({
      'content-type': 'image/jpeg',
      'content-length': '100',
      etag: `"${tag}"`,
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(answer.headers['last-modified']).toBeUndefined()
  })

  it('has a tag, which the file carries and which changes with it', async () => {
    const { ada, bytes, tag } = await withThumbnail(await sharedApp())
    expect(tag).toMatch(/^[\w-]{1,64}$/)
    const other = await put(ada, 'beach.jpg', picture())
    const otherTag = await tagOf(ada, 'beach.jpg')
    expect(otherTag).not.toBe(tag)
    expect([other.status, other.headers.etag]).toEqual([204, `"${otherTag}"`])
    expect((await get(ada, 'beach.jpg')).headers.etag).toBe(`"${otherTag}"`)
    await put(ada, 'beach.jpg', bytes)
    expect([tag, otherTag]).not.toContain(await tagOf(ada, 'beach.jpg'))
  })

  it('stays as it is when the same picture is put again', async () => {
    const { ada, bytes, tag } = await withThumbnail(await sharedApp())
    const before = await changed(ada)
    const again = await put(ada, 'beach.jpg', bytes)
    expect([again.status, again.headers.etag]).toEqual([204, `"${tag}"`])
    expect(await changed(ada)).toEqual(before)
    await put(ada, 'beach.jpg', bytes, { 'content-type': 'image/png' })
    expect(await tagOf(ada, 'beach.jpg')).not.toBe(tag)
  })

  it('is a change of the file, which other devices wait for', async () => {
    const { ada } = await withThumbnail(await sharedApp())
    let { nextCursor: cursor } = await changed(ada)
    for (const change of [() => put(ada, 'beach.jpg', picture()), () => remove(ada, 'beach.jpg')]) {
      const waiting = changed(ada, `?wait=30&cursor=${cursor}`)
      await change()
      const { changes, nextCursor } = await waiting
      expect(changes.map(({ file }) => file.thumbnail)).toEqual([await tagOf(ada, 'beach.jpg')])
      cursor = nextCursor
    }
  })

  it.each([
    ['image/jpeg', 'image/jpeg'],
    ['image/png', 'image/png'],
    ['image/webp', 'image/webp'],
    ['image/avif', 'image/avif'],
    ['IMAGE/JPEG; q=1', 'image/jpeg'],
  ])('may have the type %s', async (sent, kept) => {
    const { ada } = await withThumbnail(await sharedApp())
    expect((await put(ada, 'beach.jpg', picture(), { 'content-type': sent })).status).toBe(204)
    expect((await get(ada, 'beach.jpg')).headers['content-type']).toBe(kept)
  })

  it.each([
    'image/gif',
    'image/svg+xml',
    'image/jpg',
    'text/html',
    'application/octet-stream',
    'image/jpeg, text/html',
    '',
  ])('may not have the type %j', async (type) => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    const answer = await put(ada, 'beach.jpg', picture(), { 'content-type': type })
    expect(answer).toBeProblem(415, 'unsupported-media-type')
    expect(answer.headers.accept).toBe('image/jpeg, image/png, image/webp, image/avif')
    expect(await tagOf(ada, 'beach.jpg')).toBe(tag)
  })

  it('is one of several that are put at the same time, and none is refused', async () => {
    const { app, ada } = await withThumbnail(await sharedApp())
    const pictures = Array.from({ length: 5 }, () => picture())
    const { put: store } = app.vault.thumbnails
    const tags = await Promise.all(
      pictures.map((bytes) =>
        store(
          ada.userId,
          'beach.jpg',
          'image/jpeg',
          async () => bytes,
          () => {},
        ),
      ),
    )
    expect(new Set(tags).size).toBe(5)
    const last = tags.indexOf((await tagOf(ada, 'beach.jpg')) as string)
    expect((await get(ada, 'beach.jpg')).bytes.equals(pictures[last] as Buffer)).toBe(true)
  })

  it('has at most 256 KiB, whether its length is announced or not', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    const large = picture(MOST + 1)
    const answer = await put(ada, 'beach.jpg', large)
    expect(answer).toBeProblem(413, 'body-too-large')
    expect((answer.body as { detail: string }).detail).toContain('262144 bytes')
    expect(await put(ada, 'beach.jpg', Readable.from([large.subarray(0, MOST), large.subarray(MOST)]))).toBeProblem(
      413,
      'body-too-large',
    )
    expect(await tagOf(ada, 'beach.jpg')).toBe(tag)
    const largest = picture(MOST)
    expect((await put(ada, 'beach.jpg', Readable.from([largest.subarray(0, 9), largest.subarray(9)]))).status).toBe(204)
    expect((await get(ada, 'beach.jpg')).bytes.equals(largest)).toBe(true)
  })

  it('is refused before its body', async () => {
    const { app, ada, etag } = await withThumbnail(await sharedApp())
    const authorization = `Bearer ${ada.token}`
    const usual = { authorization, ...JPEG, 'content-length': 100, expect: '100-continue' }
    const answerTo = async (name: string, headers: Record<string, string | number>) => {
      const line = wire(app.url)
      line.socket.write(head(`PUT ${path(name)}`, { ...usual, ...headers }))
      return /^HTTP\/1\.1 (\d+).*"code":"([a-z-]+)"/s
        .exec(await line.ended)
        ?.slice(1)
        .join(' ')
    }
    expect(await answerTo('beach.jpg', { 'content-length': MOST + 1 })).toBe('413 body-too-large')
    expect(await answerTo('beach.jpg', { 'content-type': 'image/gif' })).toBe('415 unsupported-media-type')
    expect(await answerTo('beach.jpg', { 'if-match': '"other"' })).toBe('412 precondition-failed')
    expect(await answerTo('none.jpg', {})).toBe('404 file-not-found')
    expect(await answerTo('beach.jpg', { authorization: 'Bearer x' })).toBe('401 unauthorized')
    const line = wire(app.url)
    line.socket.write(head(`PUT ${path('beach.jpg')}`, { ...usual, 'if-match': etag, connection: 'close' }))
    await line.until('100 Continue')
    line.socket.write(picture())
    expect(await line.ended).toMatch(/HTTP\/1\.1 204 /)
  })

  it('is not made of an empty body, a part, or a body that broke off', async () => {
    const { app, ada, tag } = await withThumbnail(await sharedApp())
    expect(await put(ada, 'beach.jpg', '')).toBeProblem(400, 'invalid-request')
    expect(await put(ada, 'beach.jpg', '', { 'content-type': 'text/html' })).toBeProblem(400, 'invalid-request')
    expect(await put(ada, 'beach.jpg', Readable.from([]))).toBeProblem(400, 'invalid-request')
    const part = { 'content-range': 'bytes 0-99/200' }
    expect(await put(ada, 'beach.jpg', picture(), part)).toBeProblem(400, 'range-not-allowed')
    for (const begun of [{ 'upload-complete': '?0' }, { 'upload-incomplete': '?1' }]) {
      expect(await put(ada, 'beach.jpg', picture(), begun)).toBeProblem(400, 'range-not-allowed')
    }
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, ...JPEG, 'content-length': 100 }
    line.socket.write(head(`PUT ${path('beach.jpg')}`, headers))
    line.socket.end(picture(50))
    await line.ended
    await app.settled()
    expect(await tagOf(ada, 'beach.jpg')).toBe(tag)
  })

  it('is checked against its digest', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    const bytes = picture()
    const digest = `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
    for (const field of ['repr-digest', 'content-digest']) {
      expect(await put(ada, 'beach.jpg', picture(), { [field]: digest })).toBeProblem(400, 'digest-mismatch')
      expect(await put(ada, 'beach.jpg', bytes, { [field]: 'sha-256=x' })).toBeProblem(400, 'invalid-digest')
      expect(await tagOf(ada, 'beach.jpg')).toBe(tag)
    }
    expect((await put(ada, 'beach.jpg', bytes, { 'repr-digest': digest, 'content-digest': digest })).status).toBe(204)
  })

  it('is its owner’s alone', async () => {
    const { app, ada, tag } = await withThumbnail(await sharedApp())
    const ben = await member(app)
    expect(await get(ben, 'beach.jpg', {}, `?v=${tag}`)).toBeProblem(404, 'file-not-found')
    expect(await put(ben, 'beach.jpg', picture())).toBeProblem(404, 'file-not-found')
    expect(await remove(ben, 'beach.jpg')).toBeProblem(404, 'file-not-found')
    expect((await get(ada, 'beach.jpg')).status).toBe(200)
  })

  it('of no file, and none of a file, are two refusals', async () => {
    const ada = await member(await sharedApp())
    await ada.put('beach.jpg', 'sand')
    expect(await get(ada, 'beach.jpg')).toBeProblem(404, 'thumbnail-not-found')
    expect(await remove(ada, 'beach.jpg')).toBeProblem(404, 'thumbnail-not-found')
    expect(await remove(ada, 'beach.jpg', { 'if-match': '"x"' })).toBeProblem(404, 'thumbnail-not-found')
    expect((await ada.request(path('beach.jpg'), { method: 'HEAD' })).status).toBe(404)
    for (const ask of [() => get(ada, 'none'), () => remove(ada, 'none'), () => put(ada, 'none', picture())]) {
      expect(await ask()).toBeProblem(404, 'file-not-found')
    }
    expect(await tagOf(ada, 'beach.jpg')).toBeNull()
  })

  it('belongs to a name, in any normal form, and to no path', async () => {
    const ada = await member(await sharedApp())
    const name = 'caf\u00e9 ?#.jpg'
    await ada.put(name, 'sand')
    expect((await put(ada, name.normalize('NFD'), picture())).status).toBe(204)
    expect((await get(ada, name)).status).toBe(200)
    expect(await ada.get('x/thumbnail')).toBeProblem(400, 'invalid-name')
    expect(await get(ada, 'x/y')).toBeProblem(400, 'invalid-name')
    await ada.put('thumbnail', 'sand')
    expect((await put(ada, 'thumbnail', picture())).status).toBe(204)
    expect((await ada.get('thumbnail')).body).toBe('sand')
  })

  it('is deleted, and the file stays', async () => {
    const { ada } = await withThumbnail(await sharedApp())
    expect((await remove(ada, 'beach.jpg')).status).toBe(204)
    expect(await get(ada, 'beach.jpg')).toBeProblem(404, 'thumbnail-not-found')
    expect(await tagOf(ada, 'beach.jpg')).toBeNull()
    expect((await ada.get('beach.jpg')).body).toBe('sand')
  })

  it('changes neither the entity tag nor the dates of its file', async () => {
    const { ada } = await withThumbnail(await sharedApp())
    const { thumbnail, ...file } = (await listed(ada, 'beach.jpg')) as Listed
    const { etag, 'last-modified': date } = (await ada.get('beach.jpg')).headers
    await put(ada, 'beach.jpg', picture())
    const { thumbnail: other, ...after } = (await listed(ada, 'beach.jpg')) as Listed
    expect(after).toEqual(file)
    expect(other).not.toBe(thumbnail)
    expect((await ada.get('beach.jpg')).headers).toMatchObject({ etag, 'last-modified': date })
  })
})

describe('a request with conditions', () => {
  it('reads a thumbnail only if it is another one', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    for (const list of [`"${tag}"`, `W/"${tag}"`, `"x", "${tag}"`, '*']) {
      const answer = await get(ada, 'beach.jpg', { 'if-none-match': list })
      expect([answer.status, answer.bytes.length, answer.headers.etag]).toEqual([304, 0, `"${tag}"`])
      expect(answer.headers).toMatchObject({ 'cache-control': 'private, no-cache' })
      expect(answer.headers).not.toHaveProperty('content-length')
    }
    for (const list of ['"x"', 'x', tag as string]) {
      expect((await get(ada, 'beach.jpg', { 'if-none-match': list })).status).toBe(200)
    }
    expect((await get(ada, 'beach.jpg', { 'if-match': `"${tag}"` })).status).toBe(200)
    for (const list of ['"x"', `W/"${tag}"`]) {
      expect(await get(ada, 'beach.jpg', { 'if-match': list })).toBeProblem(412, 'precondition-failed')
    }
    const dates = { 'if-modified-since': 'Sun, 22 Nov 2037 08:30:00 GMT', range: 'bytes=0-1' }
    expect((await get(ada, 'beach.jpg', dates)).status).toBe(200)
    const old = { 'if-unmodified-since': 'Sun, 22 Nov 1998 08:30:00 GMT' }
    expect((await get(ada, 'beach.jpg', old)).status).toBe(200)
  })

  it('gets the same headers without the bytes', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    const headOf = (headers = {}) => ada.request(path('beach.jpg', `?v=${tag}`), { method: 'HEAD', headers })
    const { headers: got } = await get(ada, 'beach.jpg', {}, `?v=${tag}`)
    const answer = await headOf()
    expect([answer.status, answer.bytes.length]).toEqual([200, 0])
    const varying = ['date', 'x-request-id', 'ratelimit']
    const fixed = (headers: object) =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => !varying.includes(name)))
    expect(fixed(answer.headers)).toEqual(fixed(got))
    expect((await headOf({ 'if-none-match': `"${tag}"` })).status).toBe(304)
    expect((await headOf({ 'if-match': '"x"' })).status).toBe(412)
  })

  it('may keep a thumbnail for a year, but only under its tag', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    const control = async (query: string, headers = {}) =>
      (await get(ada, 'beach.jpg', headers, query)).headers['cache-control']
    const forAYear = 'private, max-age=31536000, immutable'
    expect(await control(`?v=${tag}`)).toBe(forAYear)
    expect(await control(`?w=300&v=${tag}`, { 'if-none-match': `"${tag}"` })).toBe(forAYear)
    for (const query of ['', '?v=', '?v=other', `?v=${tag}x`, `?V=${tag}`]) {
      expect(await control(query), query).toBe('private, no-cache')
    }
    expect(await get(ada, 'beach.jpg', {}, `?v=${tag}&v=${tag}`)).toBeProblem(400, 'invalid-request')
    await put(ada, 'beach.jpg', picture())
    expect(await control(`?v=${tag}`)).toBe('private, no-cache')
  })

  it('changes a thumbnail only of the version that it names', async () => {
    const { ada, tag, etag } = await withThumbnail(await sharedApp())
    for (const list of ['"x"', `W/${etag}`, 'x', '']) {
      expect(await put(ada, 'beach.jpg', picture(), { 'if-match': list })).toBeProblem(412, 'precondition-failed')
      expect(await remove(ada, 'beach.jpg', { 'if-match': list })).toBeProblem(412, 'precondition-failed')
    }
    expect(await tagOf(ada, 'beach.jpg')).toBe(tag)
    for (const list of [etag, `"x", ${etag}`, '*']) {
      expect((await put(ada, 'beach.jpg', picture(), { 'if-match': list })).status).toBe(204)
    }
    const own = `"${await tagOf(ada, 'beach.jpg')}"`
    expect((await put(ada, 'beach.jpg', picture(), { 'if-match': own })).status).toBe(204)
    expect(await put(ada, 'beach.jpg', picture(), { 'if-match': own })).toBeProblem(412, 'precondition-failed')
    await ada.put('beach.jpg', 'stones')
    expect(await put(ada, 'beach.jpg', picture(), { 'if-match': etag })).toBeProblem(412, 'precondition-failed')
    expect(await tagOf(ada, 'beach.jpg')).toBeNull()
  })

  it('puts a thumbnail only where there is none, or another', async () => {
    const { ada, tag } = await withThumbnail(await sharedApp())
    for (const list of ['*', `"${tag}"`, 'x']) {
      expect(await put(ada, 'beach.jpg', picture(), { 'if-none-match': list })).toBeProblem(412, 'precondition-failed')
    }
    expect((await put(ada, 'beach.jpg', picture(), { 'if-none-match': '"x"' })).status).toBe(204)
    expect((await remove(ada, 'beach.jpg', { 'if-none-match': '"x"' })).status).toBe(204)
    expect((await put(ada, 'beach.jpg', picture(), { 'if-none-match': '*', 'if-match': '*' })).status).toBe(204)
  })

  it('is decided again when the picture has arrived', async () => {
    const { app, ada, etag } = await withThumbnail(await sharedApp())
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, ...JPEG, 'content-length': 100, 'if-match': etag }
    const begin = head(`PUT ${path('beach.jpg')}`, { ...headers, expect: '100-continue', connection: 'close' })
    line.socket.write(begin)
    await line.until('100 Continue')
    await ada.put('beach.jpg', 'stones')
    line.socket.write(picture())
    expect(await line.ended).toMatch(/HTTP\/1\.1 412 .*"precondition-failed"/s)
    expect(await tagOf(ada, 'beach.jpg')).toBeNull()
  })
})

describe('with its content, a thumbnail', () => {
  it('stays when the same bytes are stored again', async () => {
    const { ada, bytes, tag } = await withThumbnail(await sharedApp())
    expect((await ada.put('beach.jpg', 'sand')).body).toMatchObject({ thumbnail: tag })
    expect((await get(ada, 'beach.jpg')).bytes.equals(bytes)).toBe(true)
  })

  it('goes to the trash, cannot be had there, and comes back', async () => {
    const { ada, bytes, tag } = await withThumbnail(await sharedApp())
    const replaced = await ada.put('beach.jpg', 'stones')
    expect(replaced.body).toMatchObject({ thumbnail: null })
    expect(await get(ada, 'beach.jpg')).toBeProblem(404, 'thumbnail-not-found')
    const [entry] = ((await ada.request('/v1/trash')).body as { files: Listed[] }).files
    expect(entry).toMatchObject({ thumbnail: tag })
    expect(await get(ada, entry?.id as string)).toBeProblem(404, 'file-not-found')
    const restore = `/v1/trash/${entry?.id}/restore?onConflict=rename`
    expect((await ada.request(restore, { method: 'POST' })).body).toMatchObject({
      name: 'beach (1).jpg',
      thumbnail: tag,
    })
    expect((await get(ada, 'beach (1).jpg', {}, `?v=${tag}`)).bytes.equals(bytes)).toBe(true)
  })

  it('goes when the version is discarded, and from the trash for good', async () => {
    const { app, ada } = await withThumbnail(await testApp())
    await ada.replace('beach.jpg', 'stones')
    expect(rows(app, 'SELECT count(*) FROM thumbnails')).toEqual([0])
    await put(ada, 'beach.jpg', picture())
    await ada.request('/v1/files/beach.jpg', { method: 'DELETE' })
    expect(rows(app, 'SELECT count(*) FROM thumbnails')).toEqual([1])
    await ada.request('/v1/trash', { method: 'DELETE' })
    expect(rows(app, 'SELECT count(*) FROM thumbnails')).toEqual([0])
    expect(await usedBytes(ada)).toBe(0)
  })

  it('goes with its user', async () => {
    const { app, ada } = await withThumbnail(await testApp())
    expect((await ada.request('/v1/me', { method: 'DELETE' })).status).toBe(204)
    await app.settled()
    expect(rows(app, 'SELECT count(*) FROM thumbnails')).toEqual([0])
  })

  it('is not in an export', async () => {
    const { ada, bytes } = await withThumbnail(await sharedApp())
    const { status, bytes: zip } = await ada.request('/v1/me/export')
    expect([status, zip.includes(bytes)]).toEqual([200, false])
  })
})

describe('the quota', () => {
  it('counts thumbnails, and refuses what does not fit', async () => {
    const { ada } = await withThumbnail(await testApp({ QUOTA_BYTES: '204' }))
    expect(await usedBytes(ada)).toBe(104)
    expect((await put(ada, 'beach.jpg', picture(200))).status).toBe(204)
    const refused = await put(ada, 'beach.jpg', picture(201))
    expect(refused).toBeProblem(507, 'quota-exceeded')
    expect((refused.body as { detail: string }).detail).toContain('thumbnails')
    expect(await ada.put('hill.jpg', 'x')).toBeProblem(507, 'quota-exceeded')
    await remove(ada, 'beach.jpg')
    expect(await usedBytes(ada)).toBe(4)
  })

  it('gets back what the thumbnail of a discarded version took', async () => {
    const { ada } = await withThumbnail(await testApp({ QUOTA_BYTES: '204' }))
    const refused = await ada.put('beach.jpg', Buffer.alloc(204))
    expect(refused).toBeProblem(507, 'quota-exceeded')
    expect((refused.body as { detail: string }).detail).toContain('?replaced=discard avoids this')
    const chunked = await ada.request('/v1/files/beach.jpg', {
      method: 'PUT',
      body: Readable.from([Buffer.alloc(204)]),
    })
    expect((chunked.body as { detail: string }).detail).toContain('?replaced=discard avoids this')
    expect((await ada.replace('beach.jpg', Buffer.alloc(204))).status).toBe(200)
    expect(await usedBytes(ada)).toBe(204)
  })

  it('does not count expired trash for one', async () => {
    const app = await testApp({ QUOTA_BYTES: '204', TRASH_DAYS: '1' })
    const ada = await member(app)
    await ada.put('gone.jpg', Buffer.alloc(150))
    await ada.request('/v1/files/gone.jpg', { method: 'DELETE' })
    await ada.put('beach.jpg', 'sand')
    expect(await put(ada, 'beach.jpg', picture())).toBeProblem(507, 'quota-exceeded')
    app.clock.turn(2 * DAY)
    expect((await put(ada, 'beach.jpg', picture())).status).toBe(204)
  })
})

describe('on the disk, a thumbnail', () => {
  it('is sealed', async () => {
    const { app, bytes } = await withThumbnail(await testApp())
    const [sealed] = rows(app, 'SELECT sealed FROM thumbnails') as Buffer[]
    expect([sealed?.length, sealed?.includes(bytes.subarray(0, 16))]).toEqual([129, false])
  })

  it.each<[string, string]>([
    [
      'is changed',
      "UPDATE thumbnails SET sealed = zeroblob(129) WHERE tag IN (SELECT thumbnail FROM files WHERE name = 'beach.jpg')",
    ],
    ['has another type', "UPDATE thumbnails SET content_type = 'image/png'"],
    ['is missing', 'DELETE FROM thumbnails'],
    ['is that of another file', "UPDATE files SET thumbnail = (SELECT thumbnail FROM files WHERE name = 'hill.jpg')"],
    [
      'has the bytes of another',
      `UPDATE thumbnails SET sealed = (SELECT sealed FROM thumbnails JOIN files ON thumbnails.tag = files.thumbnail
         WHERE name = 'hill.jpg')`,
    ],
    ['has another size', 'UPDATE files SET thumbnail_size = 99'],
  ])('that %s gets a 500, and is noted', async (_what, sql) => {
    const { app, ada, bytes } = await withThumbnail(await testApp())
    await ada.put('hill.jpg', 'grass')
    await put(ada, 'hill.jpg', picture())
    const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
    db.exec(sql)
    db.close()
    expect(await get(ada, 'beach.jpg')).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toMatch(/file [\w-]+ is damaged: its thumbnail (does not open|is missing)/)
    await app.settled()
    const { events } = (await ada.request('/v1/activity')).body as { events: { kind: string }[] }
    expect(events.map(({ kind }) => kind)).toContain('damaged-read')
    expect((await ada.get('beach.jpg')).body).toBe('sand')
    expect((await put(ada, 'beach.jpg', bytes)).status).toBe(204)
    expect((await get(ada, 'beach.jpg')).bytes.equals(bytes)).toBe(true)
  })
})
