/** What becomes of a version that is replaced, which type a file has, and what dates say of a name. */
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { appForMany, DAY, form, type Member, member, SECOND, testApp } from '../support/app.ts'

const sharedApp = appForMany()

describe('a version that is replaced by other bytes', () => {
  it('is an entry of the trash of its own, and can be restored', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const { id } = (await ada.put('IMG_1.jpg', 'first')).body as { id: string }
    const replaced = await ada.put('IMG_1.jpg', 'second')
    expect([replaced.status, (replaced.body as { id: string }).id]).toEqual([200, id])
    const [entry] = await trashOf(ada)
    expect(entry).toMatchObject({ name: 'IMG_1.jpg', size: 5, contentType: 'image/jpeg' })
    expect(entry?.id).not.toBe(id)
    expect(await restore(ada, entry?.id)).toBeProblem(409, 'file-exists')
    expect((await restore(ada, entry?.id, '?onConflict=rename')).body).toMatchObject({ name: 'IMG_1 (1).jpg' })
    expect([(await ada.get('IMG_1.jpg')).body, (await ada.get('IMG_1 (1).jpg')).body]).toEqual(['second', 'first'])
  })

  it('is gone at once with ?replaced=discard', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('a', 'first')
    expect((await ada.replace('a', 'second')).status).toBe(200)
    expect(await trashOf(ada)).toEqual([])
    expect((await ada.request('/v1/files/a?replaced=nonsense', { method: 'PUT', body: 'x' })).status).toBe(400)
  })

  it('counts against the quota, and the refusal says so', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    await ada.put('a', Buffer.alloc(600))
    const refused = await ada.put('a', Buffer.alloc(500, 'x'))
    expect(refused).toBeProblem(507, 'quota-exceeded')
    expect((refused.body as { detail: string }).detail).toContain('?replaced=discard')
    expect((await ada.put('a', Buffer.alloc(600))).status).toBe(200)
    expect((await ada.replace('a', Buffer.alloc(500, 'x'))).status).toBe(200)
  })

  it.each([
    ['bytes under a new name', 'b', 'bytes', 401, false],
    ['bytes that would fit in place of the old version', 'a', 'bytes', 500, true],
    ['bytes that would not fit either way', 'a', 'bytes', 1001, false],
    ['bytes that would not fit either way beside others', 'c', 'bytes', 401, false],
    ['a new name, with as many files as there may be', 'b', 'files', 1, false],
    ['bytes that are a file too many only with the old version', 'a', 'files', 1, true],
  ])(
    'is named in the refusal of chunks where ?replaced=discard helps, and only there: %s',
    async (_what, name, most, size, helps) => {
      const app = await testApp(most === 'bytes' ? { QUOTA_BYTES: '1000' } : { QUOTA_FILES: '2' })
      const ada = await member(app)
      await ada.put('a', Buffer.alloc(600))
      await ada.put('c', '')
      const chunks = () => ({ method: 'PUT', body: Readable.from([Buffer.alloc(size, 'x')]) })
      const refused = await ada.request(`/v1/files/${name}`, chunks())
      expect(refused).toBeProblem(507, 'quota-exceeded')
      const { detail } = refused.body as { detail: string }
      expect(detail.includes('The replaced version counts')).toBe(helps)
      expect(detail.includes('?replaced=discard')).toBe(helps)
      const discarding = await ada.request(`/v1/files/${name}?replaced=discard`, chunks())
      expect(discarding.status).toBe(helps ? 200 : 507)
    },
  )

  it('is none where the bytes are the same, also with another type', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    for (const type of ['image/png', 'image/gif']) await ada.put('a', 'sand', { 'content-type': type })
    expect((await ada.request('/v1/files')).body).toMatchObject({ files: [{ contentType: 'image/gif' }] })
    expect(await trashOf(ada)).toEqual([])
  })
})

it('what has expired in the trash does not count against a quota any more, before any sweep', async () => {
  const app = await testApp({ QUOTA_BYTES: '1000', QUOTA_FILES: '2', TRASH_DAYS: '1' })
  const ada = await member(app)
  for (const name of ['a', 'b']) {
    await ada.put(name, Buffer.alloc(450))
    await ada.request(`/v1/files/${name}`, { method: 'DELETE' })
  }
  expect(await ada.put('c', '')).toBeProblem(507, 'quota-exceeded')
  app.clock.turn(DAY)
  expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { files: 0, trashFiles: 0, bytes: 0 } })
  for (const name of ['d', 'e']) await ada.put(name, Buffer.alloc(450))
  await ada.request('/v1/files/d', { method: 'DELETE' })
  app.clock.turn(DAY)
  expect((await ada.put('f', Buffer.alloc(500))).status).toBe(201)
  await ada.request('/v1/files/f', { method: 'DELETE' })
  app.clock.turn(DAY)
  const film = { name: 'file', filename: 'film', content: Buffer.alloc(550) }
  expect((await ada.request('/v1/files', { method: 'POST', ...form([film]) })).status).toBe(201)
})

describe('the type of a file', () => {
  it.each([
    ['IMG_1.JPG', undefined, 'image/jpeg'],
    ['film.mp4', 'application/octet-stream', 'video/mp4'],
    ['film.mp4', 'Application/Octet-Stream; charset=x', 'video/mp4'],
    ['picture.heic', undefined, 'image/heic'],
    ['notes', undefined, 'application/octet-stream'],
    ['a.unknown', undefined, 'application/octet-stream'],
    ['a.jpg', 'text/x-own; v=1', 'text/x-own; v=1'],
  ])('of %s sent as %s is %s', async (name, given, type) => {
    const app = await sharedApp()
    const ada = await member(app)
    const sent = await ada.put(name, 'sand', given === undefined ? {} : { 'content-type': given })
    expect(sent.body).toMatchObject({ contentType: type })
    const part = { name: 'file', filename: `form-${name}`, content: 'sand', ...(given && { type: given }) }
    const formed = await ada.request('/v1/files', { method: 'POST', ...form([part]) })
    expect(formed.body).toMatchObject({ contentType: type })
  })

  it('stays where the same bytes are sent again without one', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    await ada.put('clip', 'film', { 'content-type': 'video/mp4' })
    expect((await ada.put('clip', 'film')).body).toMatchObject({ contentType: 'video/mp4' })
    expect((await ada.put('clip', 'other')).body).toMatchObject({ contentType: 'application/octet-stream' })
  })
})

it('a name in another normal form is the same name, wherever it stands', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const [nfd, nfc] = ['Übung.jpg'.normalize('NFD'), 'Übung.jpg'.normalize('NFC')]
  expect((await ada.put(nfd, 'sand')).body).toMatchObject({ name: nfc })
  expect((await ada.get(nfd)).body).toBe('sand')
  expect((await ada.get(nfc)).body).toBe('sand')
  const { files } = (await ada.request(`/v1/files?prefix=${encodeURIComponent(nfd.slice(0, 3))}`)).body as {
    files: unknown[]
  }
  expect(files).toHaveLength(1)
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ name: 'é'.normalize('NFD') })
  const renamed = await ada.request(`/v1/files/${encodeURIComponent(nfd)}`, { method: 'PATCH', headers, body })
  expect(renamed.body).toMatchObject({ name: 'é'.normalize('NFC') })
  expect(
    (await ada.request(`/v1/files/${encodeURIComponent('é'.normalize('NFD'))}`, { method: 'DELETE' })).status,
  ).toBe(204)
})

describe('a date that was fetched for a name', () => {
  it.each<[what: string, change: (ada: Member) => Promise<unknown>]>([
    ['was restored', async (ada) => restoredInstead(ada)],
    ['was renamed to it', async (ada) => renamedInstead(ada)],
    ['replaced it', async (ada) => ada.put('file', 'v3')],
  ])('is no validator of an older or newer content that %s, within the same second', async (_what, change) => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', 'v1')
    await ada.request('/v1/files/file', { method: 'DELETE' })
    await ada.put('other', 'v0')
    app.clock.turn(SECOND)
    await ada.put('file', 'v2')
    const date = (await ada.get('file')).headers['last-modified'] as string
    expect((await ada.get('file', { 'if-modified-since': date })).status).toBe(304)
    await change(ada)
    const now = await ada.get('file', { 'if-modified-since': date })
    expect([now.status, now.body === 'v2']).toEqual([200, false])
    const resumed = await ada.get('file', { range: 'bytes=1-', 'if-range': date })
    expect([resumed.status, resumed.body]).toEqual([200, now.body])
    expect(await ada.put('file', 'lost', { 'if-unmodified-since': date })).toBeProblem(412, 'precondition-failed')
    const discard = { method: 'DELETE', headers: { 'if-unmodified-since': date } }
    expect(await ada.request('/v1/files/file', discard)).toBeProblem(412, 'precondition-failed')
  })

  it('is the present second for a name that was never used, however many files were renamed in it', async () => {
    const app = await testApp()
    const ada = await member(app)
    app.clock.turn(SECOND)
    for (let n = 0; n < 40; n += 1) {
      await ada.put(`before-${n}`, 'sand')
      expect((await rename(ada, `before-${n}`, `after-${n}`)).status).toBe(200)
    }
    await ada.put('new', 'sand')
    const now = new Date(app.clock()).toUTCString()
    expect((await ada.get('new')).headers['last-modified']).toBe(now)
    expect((await ada.get('after-39')).headers['last-modified']).toBe(now)
    await ada.put('before-39', 'other')
    const later = new Date(app.clock() + SECOND).toUTCString()
    expect((await ada.get('before-39')).headers['last-modified']).toBe(later)
  })

  it('is never later than Date, also where the clock was set back', async () => {
    const app = await testApp()
    app.clock.turn(3650 * DAY)
    const later = await member(app)
    await later.put('file', 'sand')
    const { headers } = await later.get('file')
    expect(Date.parse(headers['last-modified'] as string)).toBeLessThanOrEqual(Date.parse(headers.date as string))
    expect((await later.get('file', { 'if-modified-since': headers['last-modified'] as string })).status).toBe(200)
  })
})

async function trashOf(ada: Member) {
  return ((await ada.request('/v1/trash')).body as { files: { id: string; name: string }[] }).files
}

function rename(ada: Member, name: string, newName: string) {
  const headers = { 'content-type': 'application/json' }
  return ada.request(`/v1/files/${name}`, { method: 'PATCH', headers, body: JSON.stringify({ name: newName }) })
}

function restore(ada: Member, id: string | undefined, query = '') {
  return ada.request(`/v1/trash/${id}/restore${query}`, { method: 'POST' })
}

async function restoredInstead(ada: Member) {
  await ada.request('/v1/files/file', { method: 'DELETE' })
  const v1 = (await trashOf(ada)).at(-1)
  expect((await restore(ada, v1?.id)).status).toBe(200)
}

async function renamedInstead(ada: Member) {
  await ada.request('/v1/files/file', { method: 'DELETE' })
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ name: 'file' })
  expect((await ada.request('/v1/files/other', { method: 'PATCH', headers, body })).status).toBe(200)
}
