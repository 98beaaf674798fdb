import { describe, expect, it } from 'vitest'
import { appForMany, form, type Member, member } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { unzip } from '../support/unzip.ts'

const sharedApp = appForMany()

const takenIn = ({ body }: Answer) => (body as { takenAt: unknown }).takenAt

const json = { 'content-type': 'application/json' }

const edit = (owner: Member, name: string, change: unknown) =>
  owner.request(`/v1/files/${name}`, { method: 'PATCH', headers: json, body: JSON.stringify(change) })

const putTaken = (owner: Member, name: string, bytes: string, takenAt: string) =>
  owner.request(`/v1/files/${name}?takenAt=${takenAt}`, { method: 'PUT', body: bytes })

describe('when a content was made', () => {
  it.each([
    ['2026-11-22T10:30:00Z', '2026-11-22T10:30:00.000Z'],
    ['2026-11-22T10:30:00.1239%2B02:00', '2026-11-22T10:30:00.123+02:00'],
    // A query may have a `+` as it is, which arrives as a space.
    ['2026-11-22T10:30:00+05:45', '2026-11-22T10:30:00.000+05:45'],
    ['1890-02-28t23:59:59.5-23:59', '1890-02-28T23:59:59.500-23:59'],
    ['2024-02-29T00:00:00-00:00', '2024-02-29T00:00:00.000Z'],
    ['0000-01-01T00:00:00Z', '0000-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59.999-08:00', '9999-12-31T23:59:59.999-08:00'],
    // Leap seconds, two of those of RFC 3339, section 5.8.
    ['1990-12-31T23:59:60Z', '1990-12-31T23:59:59.999Z'],
    ['1990-12-31T15:59:60.25-08:00', '1990-12-31T15:59:59.999-08:00'],
  ])('is kept with its offset: %s', async (sent, shown) => {
    const ada = await member(await sharedApp())
    const put = await putTaken(ada, 'a.jpg', 'a', sent)
    expect([put.status, takenIn(put)]).toEqual([201, shown])
    const { files } = (await ada.request('/v1/files?sort=takenAt')).body as { files: unknown[] }
    expect(files).toEqual([put.body])
  })

  it.each([
    '2026-11-22T10:30:00',
    '2026-11-22',
    '2026-11-22 10:30:00Z',
    '2026-02-30T10:30:00Z',
    '2026-11-22T24:00:00Z',
    '2026-11-22T10:30:60Z',
    '1990-12-31T23:59:60-08:00',
    '1990-12-31T23:59:61Z',
    '2026-11-22T10:30:00%2B24:00',
    '2026-11-22T10:30:00%2B0200',
    '1700000000000',
    '',
  ])('is refused without a date or an offset: "%s"', async (sent) => {
    const ada = await member(await sharedApp())
    const refused = await putTaken(ada, 'a', 'a', sent)
    expect(refused).toBeProblem(400, 'invalid-request')
    expect((refused.body as { errors: { path: string }[] }).errors[0]?.path).toBe('/takenAt')
    expect((await ada.get('a')).status).toBe(404)
  })

  it('comes with the bytes: other bytes without it have none, and the same bytes keep or take it', async () => {
    const ada = await member(await sharedApp())
    expect(takenIn(await ada.put('a', 'one'))).toBeNull()
    const again = await putTaken(ada, 'a', 'one', '2026-01-01T00:00:00Z')
    expect([again.status, takenIn(again)]).toEqual([200, '2026-01-01T00:00:00.000Z'])
    expect(takenIn(await ada.put('a', 'one'))).toBe('2026-01-01T00:00:00.000Z')
    expect(takenIn(await ada.put('a', 'two'))).toBeNull()
    const { files } = (await ada.request('/v1/trash')).body as { files: { id: string; takenAt: unknown }[] }
    expect(files[0]?.takenAt).toBe('2026-01-01T00:00:00.000Z')
    const restored = await ada.request(`/v1/trash/${files[0]?.id}/restore?onConflict=rename`, { method: 'POST' })
    expect(takenIn(restored)).toBe('2026-01-01T00:00:00.000Z')
  })

  it('comes in a form, before the file or after it', async () => {
    const ada = await member(await sharedApp())
    const date = { name: 'takenAt', content: '2026-11-22T10:30:00+02:00' }
    const file = { name: 'file', filename: 'a.jpg', content: 'a' }
    const post = (parts: Parameters<typeof form>[0]) => ada.request('/v1/files', { method: 'POST', ...form(parts) })
    const [before, after] = [await post([date, file]), await post([{ ...file, filename: 'b.jpg' }, date])]
    expect([before, after].map(takenIn)).toEqual(Array(2).fill('2026-11-22T10:30:00.000+02:00'))
    expect(await post([{ ...date, content: 'yesterday' }, file])).toBeProblem(400, 'invalid-request')
    expect(await post([date, date, file])).toBeProblem(400, 'malformed-multipart')
    const again = await post([{ ...date, content: '2020-01-01T00:00:00Z' }, file])
    expect([again.status, takenIn(again)]).toEqual([200, '2020-01-01T00:00:00.000Z'])
  })

  it('comes with an upload that can be resumed, of both protocols', async () => {
    const ada = await member(await sharedApp())
    const disposition = { 'content-disposition': 'attachment; filename="ietf.jpg"', 'upload-complete': '?1' }
    const query = 'takenAt=2026-11-22T10:30:00%2B02:00'
    const ietf = await ada.request(`/v1/uploads?${query}`, { method: 'POST', headers: disposition, body: 'a' })
    expect(takenIn(ietf)).toBe('2026-11-22T10:30:00.000+02:00')
    const transparent = await ada.request(`/v1/files/put.jpg?${query}`, {
      ...{ method: 'PUT', headers: { 'upload-draft-interop-version': '6', 'upload-complete': '?0' }, body: 'a' },
    })
    const rest = await ada.request(String(transparent.headers.location), {
      method: 'PATCH',
      headers: {
        ...{ 'upload-draft-interop-version': '6', 'upload-complete': '?1', 'upload-offset': '1' },
        'content-type': 'application/partial-upload',
      },
      body: 'b',
    })
    expect([rest.status, takenIn(rest)]).toEqual([201, '2026-11-22T10:30:00.000+02:00'])
    const meta = { filename: 'tus.jpg', takenAt: '2026-11-22T10:30:00+02:00' }
    const encoded = Object.entries(meta).map(([key, value]) => `${key} ${Buffer.from(value).toString('base64')}`)
    const tus = { 'tus-resumable': '1.0.0', 'content-type': 'application/offset+octet-stream', 'upload-length': '1' }
    const create = (metadata: string) =>
      ada.request('/v1/uploads', { method: 'POST', headers: { ...tus, 'upload-metadata': metadata }, body: 'c' })
    expect((await create(encoded.join(','))).status).toBe(201)
    const { files } = (await ada.request('/v1/files?prefix=tus')).body as { files: { takenAt: string }[] }
    expect(files.map(({ takenAt }) => takenAt)).toEqual(['2026-11-22T10:30:00.000+02:00'])
    const wrong = `filename YQ==,takenAt ${Buffer.from('yesterday').toString('base64')}`
    expect(await create(wrong)).toBeProblem(400, 'invalid-request')
    const { uploads } = (await ada.request('/v1/uploads')).body as { uploads: unknown[] }
    expect(uploads).toEqual([])
  })

  it('is set, replaced and removed later, with the name or alone, and leaves the rest as it is', async () => {
    const ada = await member(await sharedApp())
    const file = (await ada.put('a', 'a')).body as Record<string, unknown>
    const dated = await edit(ada, 'a', { takenAt: '2026-11-22T10:30:00+02:00' })
    expect(dated.body).toEqual({ ...file, takenAt: '2026-11-22T10:30:00.000+02:00' })
    const both = await edit(ada, 'a', { name: 'b', takenAt: '2020-01-01T00:00:00Z' })
    expect(both.body).toEqual({ ...file, name: 'b', takenAt: '2020-01-01T00:00:00.000Z' })
    expect(takenIn(await edit(ada, 'b', { name: 'c' }))).toBe('2020-01-01T00:00:00.000Z')
    expect(takenIn(await edit(ada, 'c', { takenAt: null }))).toBeNull()
    for (const wrong of [
      {},
      { name: null },
      { takenAt: 5 },
      { takenAt: 'now' },
      { takenAt: '2020-01-01T00:00:00 01:00' },
    ]) {
      expect(await edit(ada, 'c', wrong)).toBeProblem(400, 'invalid-request')
    }
    await ada.put('taken', 'x')
    expect(await edit(ada, 'c', { name: 'taken', takenAt: '2020-01-01T00:00:00Z' })).toBeProblem(409, 'file-exists')
    const headers = { ...json, 'if-match': '"other"' }
    const body = JSON.stringify({ takenAt: '2020-01-01T00:00:00Z' })
    const failed = await ada.request('/v1/files/c', { method: 'PATCH', headers, body })
    expect(failed).toBeProblem(412, 'precondition-failed')
    const { files } = (await ada.request('/v1/files?prefix=c')).body as { files: { takenAt: unknown }[] }
    expect(files.map(({ takenAt }) => takenAt)).toEqual([null])
  })

  it('orders the list by the instant, page by page, and by the creation without one', async () => {
    const ada = await member(await sharedApp())
    // 10:00+05:00 is before 09:00+01:00.
    const dates = { b: '2020-01-01T09:00:00%2B01:00', a: '2020-01-01T10:00:00%2B05:00', c: '2050-01-01T00:00:00Z' }
    for (const [name, date] of Object.entries(dates)) await putTaken(ada, name, name, date)
    await ada.put('now', 'now')
    const read = async (order: string) => {
      const names: string[] = []
      for (let cursor = ''; ; ) {
        const { body } = await ada.request(`/v1/files?sort=takenAt&order=${order}&limit=1${cursor}`)
        const { files, nextCursor } = body as { files: { name: string }[]; nextCursor: string | null }
        names.push(...files.map(({ name }) => name))
        if (nextCursor === null) return names
        cursor = `&cursor=${nextCursor}`
      }
    }
    expect(await read('asc')).toEqual(['a', 'b', 'now', 'c'])
    expect(await read('desc')).toEqual(['c', 'now', 'b', 'a'])
    const { body } = await ada.request('/v1/files?sort=takenAt&prefix=n')
    expect((body as { files: { name: string }[] }).files.map(({ name }) => name)).toEqual(['now'])
  })

  it('is the time of the file in an export, and stands in account.json', async () => {
    const ada = await member(await sharedApp())
    await putTaken(ada, 'eve.jpg', 'a', '1999-12-31T23:30:00-05:00')
    await putTaken(ada, 'old.jpg', 'b', '1950-01-01T00:00:00Z')
    const entries = await unzip(Buffer.from((await ada.request('/v1/me/export')).bytes))
    const eve = entries.find(({ path }) => path === 'files/eve.jpg')?.entry
    expect(eve?.getLastModDate().getTime()).toBe(Date.UTC(2000, 0, 1, 4, 30))
    // A reader that knows no time zones shows the photo on its day.
    const shown = eve?.getLastModDate({ forceDosFormat: true, timezone: 'UTC' }).getTime()
    expect(shown).toBe(Date.UTC(1999, 11, 31, 23, 30))
    const old = entries.find(({ path }) => path === 'files/old.jpg')?.entry
    expect(old?.getLastModDate().getTime()).toBe(Date.UTC(1950, 0))
    const account = JSON.parse(String(entries.find(({ path }) => path === 'account.json')?.bytes)) as {
      files: { takenAt: string }[]
    }
    expect(account.files[0]?.takenAt).toBe('1999-12-31T23:30:00.000-05:00')
  })
})
