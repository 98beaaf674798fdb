import { createHash, randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { NewFile, SealedFile } from '../../src/ports/files.ts'
import { standing } from '../contracts/rows.ts'
import { appForMany, blobsOnDisk, form, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { head, type Wire, wire } from '../support/wire.ts'

const sharedApp = appForMany()
/** Its tests store nothing. */
const untouchedApp = appForMany()

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest()
const sha256Hex = (bytes: string | Buffer) => sha256(bytes).toString('hex')
const digestField = (bytes: string | Buffer) => `sha-256=:${sha256(bytes).toString('base64')}:`

const post = (owner: Member, parts: Parameters<typeof form>[0], query = '') =>
  owner.request(`/v1/files${query}`, { method: 'POST', ...form(parts) })
const photo = (content: string | Buffer, filename = 'beach.jpg') => ({
  name: 'file',
  content,
  filename,
  type: 'image/jpeg',
})

async function names(owner: Member): Promise<string[]> {
  const { body } = await owner.request('/v1/files')
  return (body as { files: { name: string }[] }).files.map(({ name }) => name)
}

describe('uploading a form', () => {
  it('answers 201 with the file, where it is and its entity tag', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await post(ada, [photo('sand')])
    const now = new Date(app.clock()).toISOString()
    expect(answer.status).toBe(201)
    expect(answer.headers.location).toBe('/v1/files/beach.jpg')
    expect(answer.headers.etag).toBe(`"${sha256Hex('sand')}"`)
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^[\w-]{21}$/),
      name: 'beach.jpg',
      size: 4,
      contentType: 'image/jpeg',
      sha256: sha256Hex('sand'),
      createdAt: now,
      updatedAt: now,
      takenAt: null,
      thumbnail: null,
    })
  })

  it.each(['before', 'after'])('takes the name from a field %s the file', async (place) => {
    const app = await sharedApp()
    const ada = await member(app)
    const name = { name: 'name', content: 'Strand am Abend.jpg' }
    const answer = await post(ada, place === 'before' ? [name, photo('sand')] : [photo('sand'), name])
    expect(answer.headers.location).toBe('/v1/files/Strand%20am%20Abend.jpg')
    expect(await names(ada)).toEqual(['Strand am Abend.jpg'])
  })

  it.each([
    ['image/jpeg', 'image/jpeg'],
    ['application/vnd.api+json', 'application/vnd.api+json'],
    ['image/日本', Buffer.from('image/日本').toString('latin1')],
    ['nonsense', 'nonsense'],
    ['image/png, image/gif', 'image/png, image/gif'],
    [`a/${'b'.repeat(253)}`, `a/${'b'.repeat(253)}`],
    ['', 'image/jpeg'],
  ])('keeps the part’s type %j as %j', async (type, kept) => {
    const app = await sharedApp()
    const ada = await member(app)
    await post(ada, [{ ...photo('sand'), type }])
    expect((await ada.get('beach.jpg')).headers['content-type']).toBe(kept)
  })

  it.each([
    ['a/b\x01', 'characters that a header field can have'],
    [`a/${'b'.repeat(254)}`, '255 characters'],
  ])('refuses the part’s type %j, which no header could carry back', async (type, detail) => {
    const app = await untouchedApp()
    const ada = await member(app)
    const answer = await post(ada, [{ ...photo('sand'), type }])
    expect(answer).toBeProblem(400, 'malformed-multipart')
    expect((answer.body as { detail: string }).detail).toContain(detail)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('takes names in UTF-8', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await post(ada, [photo('a', 'Ünïcode 日本.jpg')])
    await post(ada, [photo('b'), { name: 'name', content: '🏖.jpg' }])
    expect(await names(ada)).toEqual(['Ünïcode 日本.jpg', '🏖.jpg'])
  })

  it('ignores fields that it does not know', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await post(ada, [{ name: 'album', content: 'summer' }, photo('sand')])).status).toBe(201)
  })

  it.each<Record<string, string>>([
    { 'if-match': '"another"' },
    { 'if-none-match': '*' },
    { 'if-unmodified-since': 'Sun, 06 Nov 1994 08:49:37 GMT' },
    { 'repr-digest': `sha-256=:${Buffer.alloc(32).toString('base64')}:` },
    { 'content-digest': 'nonsense' },
  ])('ignores %j, which is for PUT', async (fields) => {
    const app = await sharedApp()
    const ada = await member(app)
    await post(ada, [photo('sand')])
    const sent = form([photo('sand')])
    const headers = { ...sent.headers, ...fields }
    const answer = await ada.request('/v1/files', { ...sent, method: 'POST', headers })
    expect(answer.status).toBe(200)
  })

  it.each([1000, 60_000, 200_000])('refuses a part of %i bytes that has no Content-Disposition', async (size) => {
    const app = await sharedApp()
    const owner = await member(app)
    const { headers, body } = form([photo('sand')])
    const boundary = headers['content-type']?.toString().split('=')[1]
    const nameless = Buffer.from(`--${boundary}\r\nContent-Type: text/plain\r\n\r\n${'x'.repeat(size)}\r\n`)
    const both = Buffer.concat([nameless, body as Buffer])
    const answer = await owner.request('/v1/files', { method: 'POST', headers, body: both })
    expect(answer).toBeProblem(400, 'malformed-multipart')
  })

  it('takes an empty file', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await post(ada, [photo('')])).body).toMatchObject({ size: 0, sha256: sha256Hex('') })
    expect((await ada.get('beach.jpg')).bytes).toHaveLength(0)
  })

  it('answers 200 and the file that is there to the same bytes under the same name', async () => {
    const app = await testApp()
    const ada = await member(app)
    const first = await post(ada, [photo('sand')])
    app.clock.turn(5000)
    const again = await post(ada, [photo('sand')])
    expect(again.status).toBe(200)
    expect(again.body).toEqual(first.body)
    expect(again.headers.location).toBe('/v1/files/beach.jpg')
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('refuses other bytes under a taken name, and leaves the old file', async () => {
    const app = await testApp()
    const ada = await member(app)
    await post(ada, [photo('sand')])
    expect(await post(ada, [photo('water')])).toBeProblem(409, 'file-exists')
    expect((await ada.get('beach.jpg')).body).toBe('sand')
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('numbers a taken name where asked to', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const added = []
    for (const bytes of ['one', 'two', 'three']) added.push(await post(ada, [photo(bytes)], '?onConflict=rename'))
    expect(added.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(added[2]?.headers.location).toBe('/v1/files/beach%20(2).jpg')
    expect(await names(ada)).toEqual(['beach (1).jpg', 'beach (2).jpg', 'beach.jpg'])
  })

  it('numbers a name with brackets in its extension', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const added = []
    for (const bytes of ['one', 'two', 'three'])
      added.push(await post(ada, [photo(bytes, 'a.jpg (copy)')], '?onConflict=rename'))
    expect(added.map(({ status }) => status)).toEqual([201, 201, 201])
    expect(await names(ada)).toEqual(['a (1).jpg (copy)', 'a (2).jpg (copy)', 'a.jpg (copy)'])
  })

  it('finds equal bytes under any numbered name, also behind a gap', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'one')
    await ada.put('beach (7).jpg', 'seven')
    await ada.put('beach (x).jpg', 'none of them')
    const again = await post(ada, [photo('seven')], '?onConflict=rename')
    expect(again.status).toBe(200)
    expect(again.body).toMatchObject({ name: 'beach (7).jpg' })
    const other = await post(ada, [photo('none of them')], '?onConflict=rename')
    expect(other.body).toMatchObject({ name: 'beach (1).jpg' })
  })

  describe('where very many numbered names are taken', () => {
    async function ownerOf(numbers: number[], tag: Buffer | null = null) {
      const app = await testApp()
      const ada = await member(app)
      await ada.put('beach.jpg', 'first')
      const first = (await standing(app.ports.files, ada.userId, 'beach.jpg')) as NewFile
      const numbered = numbers.map((n) => {
        return { ...first, id: `id-${n}`, name: `beach (${n}).jpg`, version: `v-${n}`, blob: `${first.blob}-${n}`, tag }
      })
      await Promise.all(numbered.map((file) => app.ports.files.commit(ada.userId, file, null, null)))
      return { app, ada }
    }

    const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

    it.each([
      [3000, 3001],
      [16, 17],
      [31, 32],
      [32, 33],
    ])('numbers on behind %i of them in few steps', async (count, next) => {
      const { app, ada } = await ownerOf(upTo(count))
      const { taken } = app.ports.files
      let steps = 0
      app.ports.files.taken = (...given) => {
        steps += 1
        return taken(...given)
      }
      const answer = await post(ada, [photo('other')], '?onConflict=rename')
      expect(answer.body).toMatchObject({ name: `beach (${next}).jpg` })
      expect(steps).toBeLessThanOrEqual(10)
    })

    it('finds a free one between those that are looked at', async () => {
      const { ada } = await ownerOf([...upTo(16), ...Array.from({ length: 25 }, (_, n) => 2 ** (n + 5))])
      const answer = await post(ada, [photo('other')], '?onConflict=rename')
      expect(answer.status).toBe(201)
      expect((answer.body as SealedFile).name).toMatch(/^beach \(\d+\)\.jpg$/)
    })

    it('finds equal bytes behind many files of these bytes that are not numbered', async () => {
      const { app, ada } = await ownerOf([])
      await ada.put('beach (7).jpg', 'seven')
      const seven = (await standing(app.ports.files, ada.userId, 'beach (7).jpg')) as NewFile
      const alike = upTo(150).map((n) => {
        return { ...seven, id: `id-${n}`, name: `beach (0${n}).jpg`, version: `v-${n}`, blob: `${seven.blob}-${n}` }
      })
      await Promise.all(alike.map((file) => app.ports.files.commit(ada.userId, file, null, null)))
      expect((await post(ada, [photo('seven')], '?onConflict=rename')).body).toMatchObject({ name: 'beach (7).jpg' })
    })
  })

  it('gives each of many at once a name of its own', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const uploads = Array.from({ length: 12 }, (_, n) => post(ada, [photo(`bytes ${n}`)], '?onConflict=rename'))
    expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual(new Array(12).fill(201))
    expect(new Set(await names(ada)).size).toBe(12)
  })

  it.each([
    ['no file', [{ name: 'name', content: 'x' }]],
    ['two files', [photo('a', 'a'), photo('b', 'b')]],
    ['a file under another name', [{ ...photo('a'), name: 'photo' }]],
    ['a file as a text field', [{ name: 'file', content: 'text' }]],
    ['two names', [{ name: 'name', content: 'a' }, photo('a'), { name: 'name', content: 'b' }]],
    ['too many fields', [...new Array(20).fill({ name: 'x', content: 'x' }), photo('a')]],
  ])('refuses %s and keeps nothing', async (_what, parts) => {
    const app = await untouchedApp()
    const ada = await member(app)
    expect(await post(ada, parts)).toBeProblem(400, 'malformed-multipart')
    expect(await names(ada)).toEqual([])
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it.each(['', '.', '..', '../up', 'a\\b', '/etc/passwd', 'x'.repeat(256), 'x'.repeat(2000)])(
    'refuses the file name %j and keeps nothing',
    async (filename) => {
      const app = await untouchedApp()
      const ada = await member(app)
      expect(await post(ada, [photo('sand', filename.replace('\\', '\\\\'))])).toBeProblem(400, 'invalid-name')
      expect(await post(ada, [photo('sand'), { name: 'name', content: filename }])).toBeProblem(400, 'invalid-name')
      expect(await blobsOnDisk(app)).toEqual([])
    },
  )

  it('refuses a name whose bytes are no UTF-8', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const { headers, body } = form([photo('sand', 'b?d.jpg')])
    const bytes = Buffer.from(String(body), 'latin1')
    bytes[bytes.indexOf('?d.jpg')] = 0xff
    expect(await ada.request('/v1/files', { method: 'POST', headers, body: bytes })).toBeProblem(400, 'invalid-name')
  })

  it.each([
    ['no boundary', 'multipart/form-data', 'x'],
    ['a body without the boundary', 'multipart/form-data; boundary=b', 'nothing of the kind'],
    ['an empty body', 'multipart/form-data; boundary=b', ''],
    [
      'a body that ends in a part',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes',
    ],
  ])('refuses %s', async (_what, type, body) => {
    const app = await untouchedApp()
    const ada = await member(app)
    const answer = await ada.request('/v1/files', { method: 'POST', headers: { 'content-type': type }, body })
    expect(answer).toBeProblem(400, 'malformed-multipart')
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it.each(['application/json', 'image/jpeg', undefined])('refuses the media type %s', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    const headers = type === undefined ? {} : { 'content-type': type }
    const answer = await ada.request('/v1/files', { method: 'POST', headers, body: '{}' })
    expect(answer).toBeProblem(415, 'unsupported-media-type')
    expect(answer.headers.accept).toBe('multipart/form-data')
  })

  it('takes a file of exactly the limit, whatever the form weighs, and none beyond it', async () => {
    const app = await testApp({ MAX_FILE_BYTES: '100000' })
    const ada = await member(app)
    expect((await post(ada, [photo(randomBytes(100_000))])).status).toBe(201)
    const beyond = await post(ada, [photo(randomBytes(100_001), 'beyond.jpg')])
    expect(beyond).toBeProblem(413, 'file-too-large')
    expect(await names(ada)).toEqual(['beach.jpg'])
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('refuses at once what its length shows to be too large', async () => {
    const app = await testApp({ MAX_FILE_BYTES: '1000' })
    const ada = await member(app)
    const line = wire(app.url)
    const headers = { 'content-type': 'multipart/form-data; boundary=b', 'content-length': 10_000_000 }
    line.socket.write(head('POST /v1/files', { authorization: `Bearer ${ada.token}`, ...headers }))
    expect(await line.until('"file-too-large"')).toMatch(/^HTTP\/1\.1 413 /)
  })
})

describe('uploading raw bytes', () => {
  it('answers 201 where the name is new and 200 where it is replaced', async () => {
    const app = await testApp()
    const ada = await member(app)
    const first = await ada.put('beach.jpg', 'sand', { 'content-type': 'image/jpeg' })
    app.clock.turn(5000)
    const second = await ada.put('beach.jpg', 'water', { 'content-type': 'image/png' })
    expect([first.status, second.status]).toEqual([201, 200])
    expect(first.headers.location).toBe('/v1/files/beach.jpg')
    expect(second.headers.etag).toBe(`"${sha256Hex('water')}"`)
    expect(second.body).toEqual({
      ...(first.body as object),
      size: 5,
      contentType: 'image/png',
      sha256: sha256Hex('water'),
      updatedAt: new Date(app.clock()).toISOString(),
    })
  })

  it('removes the bytes of a replaced version from the disk', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const [before] = await blobsOnDisk(app)
    await ada.replace('beach.jpg', 'water')
    await app.settled()
    const after = await blobsOnDisk(app)
    expect(after).toHaveLength(1)
    expect(after).not.toContain(before)
    expect(await app.ports.ledger.garbage(10)).toEqual([])
  })

  it('changes nothing where the same bytes of the same type are there', async () => {
    const app = await testApp()
    const ada = await member(app)
    const first = await ada.put('beach.jpg', 'sand')
    app.clock.turn(5000)
    const again = await ada.put('beach.jpg', 'sand')
    expect(again.status).toBe(200)
    expect(again.body).toEqual(first.body)
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it.each([
    'image/jpeg',
    'application/json',
    'multipart/form-data; boundary=x',
    'text/plain; charset=iso-8859-1',
    'application/x-www-form-urlencoded',
    'nonsense',
    'a/b/c',
    'text/html,,',
    '; charset=utf-8',
    'text/plain; name="\xe9"',
    `text/plain; x=${'y'.repeat(240)}`,
  ])('keeps the type %s', async (type) => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('file', Buffer.from('{"a":'), { 'content-type': type })
    const { headers, body } = await ada.get('file')
    expect([headers['content-type'], body]).toEqual([type, '{"a":'])
    const { headers: ofHead } = await ada.request('/v1/files/file', { method: 'HEAD' })
    expect([ofHead['content-type'], ofHead['content-length']]).toEqual([type, '5'])
  })

  it('refuses a type of more than 255 characters', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await ada.put('file', 'bytes', { 'content-type': `text/plain; x=${'y'.repeat(242)}` })
    expect(answer).toBeProblem(400, 'invalid-request')
    expect(answer.body).toMatchObject({
      errors: [{ path: '/content-type', message: 'must be at most 255 characters' }],
    })
    expect((await ada.get('file')).status).toBe(404)
  })

  it.each([{}, { 'content-type': '' }])('takes application/octet-stream where %j gives no type', async (headers) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await ada.put('file', 'bytes', headers)).body).toMatchObject({ contentType: 'application/octet-stream' })
  })

  it.each(['', undefined])('takes an empty file from the body %j', async (body) => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await ada.request('/v1/files/empty', { method: 'PUT', ...(body !== undefined && { body }) })
    expect(answer.status).toBe(201)
    expect(answer.body).toMatchObject({ size: 0 })
  })

  it('takes a body of unknown length', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const bytes = randomBytes(3_000_000)
    await ada.request('/v1/files/chunked', {
      method: 'PUT',
      body: Readable.from([bytes.subarray(0, 5), bytes.subarray(5)]),
    })
    expect((await ada.get('chunked')).bytes.equals(bytes)).toBe(true)
  })

  it('takes a name with everything that may stand in one', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const name = 'Ünï & +%20?#[1] 日本 🏖 "quoted".jpg'
    const stored = await ada.put(name, 'sand')
    expect(stored.body).toMatchObject({ name })
    expect((await ada.request(stored.headers.location as string)).body).toBe('sand')
  })

  it.each(['%2e%2e%2fup', 'a%2Fb', 'a%5Cb', 'nul%00', 'x'.repeat(256), 'x'.repeat(5000), '%E2%82%AC'.repeat(86)])(
    'refuses the name %s',
    async (name) => {
      const app = await sharedApp()
      const ada = await member(app)
      const answer = await ada.request(`/v1/files/${name}`, { method: 'PUT', body: 'bytes' })
      expect(answer).toBeProblem(400, 'invalid-name')
    },
  )

  it('takes a name of 255 bytes', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await ada.put('€'.repeat(85), 'bytes')).status).toBe(201)
  })

  it('refuses a partial upload', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await ada.put('file', 'bytes', { 'content-range': 'bytes 0-4/10' })
    expect(answer).toBeProblem(400, 'range-not-allowed')
  })

  it('takes bytes in the identity coding', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await ada.put('file', 'bytes', { 'content-encoding': 'identity' })).status).toBe(201)
  })

  it.each(['content-length', 'transfer-encoding'])('refuses what is too large by its %s', async (framing) => {
    const app = await testApp({ MAX_FILE_BYTES: '1000' })
    const ada = await member(app)
    const put = (size: number) =>
      ada.request(`/v1/files/of-${size}`, {
        method: 'PUT',
        body: framing === 'content-length' ? randomBytes(size) : Readable.from([randomBytes(size)]),
      })
    expect((await put(1000)).status).toBe(201)
    expect(await put(1001)).toBeProblem(413, 'file-too-large')
    expect(await names(ada)).toEqual(['of-1000'])
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })
})

describe('the first part of a resumable upload', () => {
  it.each([
    ['upload-complete', '?0'],
    ['upload-incomplete', '?1'],
  ])('is not stored as the whole file: %s: %s', async (field, value) => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('film', 'whole')
    const headers = { [field]: value, 'upload-draft-interop-version': '6' }
    expect((await ada.put('film', 'wh', headers)).status).toBe(201)
    const file = form([{ name: 'file', filename: 'other', content: 'wh' }])
    const posted = await ada.request('/v1/files', { method: 'POST', ...file, headers: { ...file.headers, ...headers } })
    expect(posted.status).toBe(201)
    expect((await ada.request('/v1/files')).body).toMatchObject({ files: [{ name: 'film', size: 5 }] })
    expect((await ada.get('film')).body).toBe('whole')
    expect((await ada.request('/v1/uploads')).body).toMatchObject({
      uploads: expect.arrayContaining([
        expect.objectContaining({ name: 'film', offset: 2 }),
        expect.objectContaining({ name: null }),
      ]),
    })
  })

  it('is the whole file where the client says so', async () => {
    const ada = await member(await sharedApp())
    expect((await ada.put('film', 'whole', { 'upload-complete': '?1' })).status).toBe(201)
  })
})

describe('digests', () => {
  it.each(['repr-digest', 'content-digest'])('of %s are checked', async (field) => {
    const app = await testApp()
    const ada = await member(app)
    expect((await ada.put('good', 'sand', { [field]: digestField('sand') })).status).toBe(201)
    expect(await ada.put('bad', 'sand', { [field]: digestField('water') })).toBeProblem(400, 'digest-mismatch')
    expect(await names(ada)).toEqual(['good'])
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('of other algorithms are left alone', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const field = `sha-512=:${randomBytes(64).toString('base64')}:, unixsum=30637`
    expect((await ada.put('file', 'sand', { 'repr-digest': field })).status).toBe(201)
  })

  it('are found among other algorithms', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const field = `md5=:${randomBytes(16).toString('base64')}:, ${digestField('water')}`
    expect(await ada.put('file', 'sand', { 'repr-digest': field })).toBeProblem(400, 'digest-mismatch')
  })

  it.each([
    `a=(${':: '.repeat(400)})`,
    'sha-256',
    'sha-256=abc',
    'sha-256=:AAAA:',
    'sha-256=:not base64:',
    'sha-256=(:AAAA:)',
    '=:',
    'sha-256="text"',
  ])('that cannot be read are refused: %j', async (field) => {
    const app = await sharedApp()
    const ada = await member(app)
    expect(await ada.put('file', 'sand', { 'repr-digest': field })).toBeProblem(400, 'invalid-digest')
  })
})

describe('preconditions of an upload', () => {
  const etag = (bytes: string) => `"${sha256Hex(bytes)}"`

  it.each([
    ['If-None-Match: * on a new name', 'new', { 'if-none-match': '*' }, 201],
    ['If-None-Match: * on a taken name', 'old', { 'if-none-match': '*' }, 412],
    ['If-None-Match of another version', 'old', { 'if-none-match': etag('other') }, 200],
    ['If-None-Match of this version', 'old', { 'if-none-match': `W/${etag('old')}` }, 412],
    ['If-Match of this version', 'old', { 'if-match': etag('old') }, 200],
    ['If-Match of one of several', 'old', { 'if-match': `"x", ${etag('old')}` }, 200],
    ['If-Match of another version', 'old', { 'if-match': etag('other') }, 412],
    ['If-Match, weakly', 'old', { 'if-match': `W/${etag('old')}` }, 412],
    ['If-Match without quotes', 'old', { 'if-match': sha256Hex('old') }, 412],
    ['If-Match with a weak prefix in lower case', 'old', { 'if-match': `w/${etag('old')}` }, 412],
    ['If-Match with something behind a tag', 'old', { 'if-match': `${etag('old')}; x` }, 412],
    ['If-Match with no comma between tags', 'old', { 'if-match': `"x" ${etag('old')}` }, 412],
    ['If-Match with empty members', 'old', { 'if-match': `, "x",, ${etag('old')} ,` }, 200],
    ['If-None-Match without quotes', 'old', { 'if-none-match': sha256Hex('other') }, 412],
    ['If-None-Match: * in a list', 'old', { 'if-none-match': '"x", *' }, 412],
    [
      'If-Unmodified-Since on a day that no calendar has',
      'old',
      { 'if-unmodified-since': 'Sun, 30 Feb 2020 00:00:00 GMT' },
      200,
    ],
    ['If-Match: * on a taken name', 'old', { 'if-match': '*' }, 200],
    ['If-Match: * on a new name', 'new', { 'if-match': '*' }, 412],
    ['If-Match on a new name', 'new', { 'if-match': etag('old') }, 412],
    ['If-Unmodified-Since now', 'old', { 'if-unmodified-since': 'Sun, 22 Nov 2026 08:30:00 GMT' }, 200],
    ['If-Unmodified-Since before', 'old', { 'if-unmodified-since': 'Sun, 22 Nov 2026 08:29:59 GMT' }, 412],
    [
      'If-Unmodified-Since before, as RFC 850 had it',
      'old',
      { 'if-unmodified-since': 'Sunday, 22-Nov-26 08:29:59 GMT' },
      412,
    ],
    [
      'If-Unmodified-Since before, as asctime has it',
      'old',
      { 'if-unmodified-since': 'Sun Nov 22 08:29:59 2026' },
      412,
    ],
    ['If-Unmodified-Since a number', 'old', { 'if-unmodified-since': '1' }, 200],
    ['If-Unmodified-Since nonsense', 'old', { 'if-unmodified-since': 'the other day' }, 200],
  ])('%s', async (_what, name, headers, status) => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('old', 'old')
    const answer = await ada.put(name, 'replacement', headers)
    expect(answer.status).toBe(status)
    const after = (await ada.get('old')).body
    expect(after).toBe(status === 200 ? 'replacement' : 'old')
    if (status === 412) expect(answer).toBeProblem(412, 'precondition-failed')
    // The old version: alone, or in the trash beside the new one.
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(status === 412 ? 1 : 2)
  })

  it('are checked before the body', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('old', 'old')
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 1000, expect: '100-continue' }
    line.socket.write(head('PUT /v1/files/old', { ...headers, 'if-none-match': '*' }))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 412 /)
  })

  it('are checked again when the bytes have arrived', async () => {
    const app = await testApp()
    const ada = await member(app)
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 4, connection: 'close' }
    line.socket.write(head('PUT /v1/files/raced', { ...headers, 'if-none-match': '*', expect: '100-continue' }))
    await line.until('HTTP/1.1 100 Continue\r\n\r\n')
    await ada.put('raced', 'fast')
    line.socket.write('slow')
    expect(await line.ended).toMatch(/100 Continue\r\n\r\nHTTP\/1\.1 412 /)
    expect((await ada.get('raced')).body).toBe('fast')
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('let exactly one of many create a name', async () => {
    const app = await testApp()
    const ada = await member(app)
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => ada.put('one', `bytes ${n}`, { 'if-none-match': '*' })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...new Array(11).fill(412)])
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('let exactly one of many replace a version', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('one', 'first')
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => ada.put('one', `bytes ${n}`, { 'if-match': etag('first') })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...new Array(11).fill(412)])
  })

  it('without any, all of many replace each other and one stays', async () => {
    const app = await testApp()
    const ada = await member(app)
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => ada.replace('one', `bytes ${n}`)))
    expect(answers.map(({ status }) => status).sort()).toEqual([...new Array(11).fill(200), 201])
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect((await ada.get('one')).body).toMatch(/^bytes \d+$/)
  })
})

describe('an upload that breaks off', () => {
  it.each([
    ['raw', 'PUT /v1/files/broken', 'application/octet-stream', ''],
    [
      'as a form',
      'POST /v1/files',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="broken"\r\n\r\n',
    ],
  ])('%s leaves nothing', async (_what, line, type, start) => {
    const app = await testApp()
    const ada = await member(app)
    const broken = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, 'content-length': 8_000_000 }
    broken.socket.write(head(line, headers) + start)
    broken.socket.write(randomBytes(3_000_000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    broken.socket.destroy()
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
    expect(await names(ada)).toEqual([])
  })

  it('is no fault of the server’s, and is waited for when the server closes', async () => {
    const app = await testApp()
    const ada = await member(app)
    const broken = Array.from({ length: 8 }, (_, n) => {
      const line = wire(app.url)
      const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 20_000 }
      line.socket.write(head(`PUT /v1/files/f${n}`, headers))
      line.socket.write(randomBytes(20_000 - (n % 2)), () => line.socket.destroy())
      return line.ended
    })
    await Promise.all(broken)
    await app.close()
    expect(app.log.filter((line) => line.includes('"level":50'))).toEqual([])
  })

  it('is seen by nobody while it goes on', async () => {
    const app = await testApp()
    const ada = await member(app)
    const slow = await underWay(app, ada, 'slow')
    expect(await names(ada)).toEqual([])
    expect(await ada.get('slow')).toBeProblem(404, 'file-not-found')
    slow.socket.destroy()
  })

  it('after the file of a form, before its end, leaves nothing', async () => {
    const app = await testApp()
    const ada = await member(app)
    const broken = wire(app.url)
    const type = 'multipart/form-data; boundary=b'
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, 'content-length': 8_000_000 }
    const part = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--b\r\n'
    broken.socket.write(head('POST /v1/files', headers) + part)
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    await pause(50)
    broken.socket.destroy()
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
  })
})

describe('a fault of an engine', () => {
  it('of the disk keeps nothing and is a 500', async () => {
    const app = await testApp()
    const ada = await member(app)
    const put = app.ports.blobs.put
    app.ports.blobs.put = (blob, batches) =>
      put(
        blob,
        (async function* () {
          yield* batches
          throw new Error('input/output error')
        })(),
      )
    expect(await ada.put('file', 'bytes')).toBeProblem(500, 'internal-error')
    expect(await blobsOnDisk(app)).toEqual([])
    app.ports.blobs.put = put
    expect((await ada.put('file', 'bytes')).status).toBe(201)
  })

  it('of the database in the middle of a commit leaves the blob to the sweeper', async () => {
    const app = await testApp()
    const ada = await member(app)
    const commit = app.ports.files.commit
    app.ports.files.commit = async (...args) => {
      await commit(...args)
      throw new Error('the connection was lost before the answer came')
    }
    expect(await ada.put('file', 'bytes')).toBeProblem(500, 'internal-error')
    expect((await ada.get('file')).body).toBe('bytes')
    app.sweep()
    await app.settled()
    expect((await ada.get('file')).body).toBe('bytes')
  })

  it('of the database that has committed nothing leaves nothing after a sweep', async () => {
    const app = await testApp()
    const ada = await member(app)
    app.ports.files.commit = async () => {
      throw new Error('the database is busy')
    }
    expect(await ada.put('file', 'bytes')).toBeProblem(500, 'internal-error')
    expect(await blobsOnDisk(app)).toHaveLength(1)
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('commits nothing under a run that another process has ended, and begins another with the next upload', async () => {
    const app = await testApp()
    const ada = await member(app)
    await app.ports.ledger.endedRuns('another')
    const refused = await ada.put('file', 'bytes')
    expect(refused).toBeProblem(503, 'not-ready')
    expect(refused.headers['retry-after']).toBe('5')
    expect(await blobsOnDisk(app)).toEqual([])
    expect((await ada.put('file', 'bytes')).status).toBe(201)
    expect((await ada.get('file')).body).toBe('bytes')
  })

  it('refuses the bytes of a run that another process has ended and swept, and takes them when they come again', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('first', 'bytes')
    const [run] = await app.ports.ledger.livingRuns()
    await app.ports.ledger.endedRuns('another')
    await rm(join(app.config.UPLOADS_DIR, run?.run as string), { recursive: true })
    expect(await ada.put('file', 'bytes')).toBeProblem(503, 'not-ready')
    expect((await ada.put('file', 'bytes')).status).toBe(201)
    expect(await app.ports.ledger.livingRuns()).toHaveLength(1)
  })
})

it('takes bytes that come one at a time, and then many', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const line = wire(app.url)
  const headers = { authorization: `Bearer ${ada.token}`, 'transfer-encoding': 'chunked', connection: 'close' }
  line.socket.write(head('PUT /v1/files/drops', headers))
  line.socket.write(`${'1\r\nx\r\n'.repeat(2000)}8000\r\n${'y'.repeat(0x8000)}\r\n${'1\r\nz\r\n'.repeat(300)}0\r\n\r\n`)
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
  expect((await ada.get('drops')).body).toBe(`${'x'.repeat(2000)}${'y'.repeat(0x8000)}${'z'.repeat(300)}`)
})

/** An upload of which some bytes are on the disk and the rest is yet to come. */
async function underWay(app: TestApp, owner: Member, name: string): Promise<Wire> {
  const line = wire(app.url)
  const headers = { authorization: `Bearer ${owner.token}`, 'content-length': 8_000_000 }
  line.socket.write(head(`PUT /v1/files/${name}`, headers))
  line.socket.write(randomBytes(3_000_000))
  await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
  return line
}
