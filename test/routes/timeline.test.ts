/** Files counted by month, and the list that begins with a month. */
import { describe, expect, it } from 'vitest'
import { appForMany, type Member, member, testApp } from '../support/app.ts'

const sharedApp = appForMany()

interface Month {
  month: string
  files: number
  cursor: string
}

const putAt = (owner: Member, takenAt: string, name = takenAt.replaceAll(/[/+]/g, ' ')) =>
  owner.request(`/v1/files/${encodeURIComponent(name)}?takenAt=${encodeURIComponent(takenAt)}`, {
    method: 'PUT',
    body: name,
  })

async function page(owner: Member, query = '') {
  const answer = await owner.request(`/v1/timeline${query}`)
  expect(answer.status).toBe(200)
  return answer.body as { months: Month[]; nextCursor: string | null }
}

async function monthsOf(owner: Member, limit = 500): Promise<Month[]> {
  const months: Month[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { months: some, nextCursor } = await page(owner, `?limit=${limit}${cursor && `&cursor=${cursor}`}`)
    expect(some.length).toBeLessThanOrEqual(limit)
    months.push(...some)
    cursor = nextCursor
  }
  return months
}

const counts = (months: Month[]) => months.map(({ month, files }) => [month, files])

/** The names in the list by `takenAt`, from this cursor on. */
async function listed(owner: Member, cursor: string, limit: number): Promise<string[]> {
  const { body } = await owner.request(`/v1/files?sort=takenAt&order=desc&limit=${limit}&cursor=${cursor}`)
  return (body as { files: { name: string }[] }).files.map(({ name }) => name)
}

describe('the timeline', () => {
  it('has the live files of each month in UTC, the newest month first', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    for (const takenAt of [
      '2026-08-01T00:30:00+02:00',
      '2026-07-31T22:00:00Z',
      '2025-12-31T23:59:59.999Z',
      '2026-07-04T12:00:00Z',
    ])
      await putAt(ada, takenAt)
    await ada.put('undated', 'x')
    await putAt(ada, '2026-05-05T12:00:00Z', 'deleted')
    await ada.request('/v1/files/deleted', { method: 'DELETE' })
    await putAt(ben, '2020-01-01T12:00:00Z')
    expect(counts(await monthsOf(ada))).toEqual([
      ['2026-11', 1],
      ['2026-07', 3],
      ['2025-12', 1],
    ])
  })

  it('of an empty vault is empty', async () => {
    expect(await page(await member(await sharedApp()))).toEqual({ months: [], nextCursor: null })
  })

  it('has a cursor at which the list begins with the month', async () => {
    const ada = await member(await sharedApp())
    const all = [
      '2026-03-31T23:59:59.999Z',
      '2026-03-01T00:00:00.000Z',
      '2026-02-28T23:59:59.999Z',
      '2026-02-01T00:00:00.000Z',
      '2025-12-31T23:59:59.999Z',
    ]
    for (const takenAt of all) await putAt(ada, takenAt)
    const months = await monthsOf(ada)
    expect(counts(months)).toEqual([
      ['2026-03', 2],
      ['2026-02', 2],
      ['2025-12', 1],
    ])
    const found: string[] = []
    for (const { files, cursor } of months) found.push(...(await listed(ada, cursor, files)))
    expect(found).toEqual(all)
  })

  it.each([1, 2, 3, 4])('comes in pages of %i', async (limit) => {
    const ada = await member(await sharedApp())
    for (const month of ['2026-03', '2026-02', '2025-12', '2024-02'])
      for (const day of ['01', '28']) await putAt(ada, `${month}-${day}T12:00:00Z`)
    expect(counts(await monthsOf(ada, limit))).toEqual([
      ['2026-03', 2],
      ['2026-02', 2],
      ['2025-12', 2],
      ['2024-02', 2],
    ])
  })

  it('is the same however small the pieces are that are counted', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const takenAt of [
      '2026-03-03T00:00:00Z',
      '2026-03-02T00:00:00Z',
      '2026-03-01T00:00:00Z',
      '2026-02-01T00:00:00Z',
    ])
      await putAt(ada, takenAt)
    const whole = await page(ada)
    const { countByMonth } = app.ports.files
    for (const most of [
      { files: 1, months: 1 },
      { files: 2, months: 2 },
    ]) {
      app.ports.files.countByMonth = (owner, after) => countByMonth(owner, after, most)
      expect(await page(ada)).toEqual(whole)
      expect((await page(ada, '?limit=1')).months).toEqual(whole.months.slice(0, 1))
    }
  })

  it('has the dates at both ends of the calendar, and beyond it in another zone', async () => {
    const ada = await member(await sharedApp())
    const all = [
      '9999-12-31T23:59:59-12:00',
      '9999-12-01T00:00:00Z',
      '0001-02-03T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '0000-01-01T00:00:00+14:00',
    ]
    for (const takenAt of all) await putAt(ada, takenAt)
    const months = await monthsOf(ada)
    expect(counts(months)).toEqual([
      ['9999-12', 2],
      ['0001-02', 1],
      ['0000-01', 2],
    ])
    const found: string[] = []
    for (const { files, cursor } of months) found.push(...(await listed(ada, cursor, files)))
    expect(found).toEqual(all.map((takenAt) => takenAt.replace('+', ' ')))
  })

  it.each(['x', 'WyJ0aW1lbGluZSJd', Buffer.from('["other",1,"a"]').toString('base64url')])(
    'refuses the cursor %s',
    async (cursor) => {
      const ada = await member(await sharedApp())
      expect(await ada.request(`/v1/timeline?cursor=${cursor}`)).toBeProblem(400, 'invalid-cursor')
    },
  )

  it.each(['0', '1001', 'x', '1.5'])('refuses the limit %s', async (limit) => {
    const ada = await member(await sharedApp())
    expect(await ada.request(`/v1/timeline?limit=${limit}`)).toBeProblem(400, 'invalid-request')
  })

  it('needs a session', async () => {
    expect(await (await sharedApp()).request('/v1/timeline')).toBeProblem(401, 'unauthorized')
  })

  it('counts as much as the longest page against the limit of requests', async () => {
    const app = await testApp({ RATE_LIMIT: 'on' })
    const ada = await member(app)
    const left = async (path: string) =>
      Number(/r=(\d+)/.exec(String((await ada.request(path)).headers.ratelimit))?.[1])
    const before = await left('/v1/files?limit=1000')
    expect(before - (await left('/v1/timeline?limit=1'))).toBe(20)
  })
})
