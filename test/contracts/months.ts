/** The contract of every database for counting files by month. */
import { describe, expect, it } from 'vitest'
import type { DatedPlace, FileRepository } from '../../src/ports/files.ts'
import { newFile, type Repositories, withOwners } from './rows.ts'

const MOST = { files: 1000, months: 1000 }

const taken = (takenAt: string | number) => ({ ...newFile(`${takenAt}`), takenAt: new Date(takenAt).getTime() })

/** All months, counted piece by piece. */
async function counted(files: FileRepository, owner: string, most = MOST): Promise<[month: string, files: number][]> {
  const found = new Map<string, number>()
  let after: DatedPlace | null = null
  do {
    const piece = await files.countByMonth(owner, after, most)
    expect(piece.months.length).toBeLessThanOrEqual(most.months)
    expect(piece.months.reduce((sum, { files }) => sum + files, 0)).toBeLessThanOrEqual(most.files)
    for (const { month, files } of piece.months) {
      const name = new Date(month).toISOString()
      found.set(name, (found.get(name) ?? 0) + files)
    }
    after = piece.last
  } while (after)
  return [...found]
}

export function monthsContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} counts files by month`, () => {
    it('of the instant that they are listed by, in UTC, the newest first', async () => {
      const { files, ana, ben } = await withOwners(make)
      const [deleted, undated] = [taken('2026-07-14T12:00:00Z'), newFile('undated')]
      for (const file of [
        taken('2026-07-31T23:59:59.999Z'),
        taken('2026-08-01T00:00:00.000Z'),
        taken('2026-07-01T00:00:00.000Z'),
        taken('2026-06-30T23:59:59.999Z'),
        taken('1969-12-31T23:59:59.999Z'),
        taken('1970-01-01T00:00:00.000Z'),
        taken('2024-02-29T12:00:00.000Z'),
        { ...undated, createdAt: Date.parse('2026-07-02T00:00:00Z') },
        deleted,
      ])
        await files.commit(ana, file, null, null)
      await files.discard(ana, deleted, 1)
      await files.commit(ben, taken('2020-01-01T00:00:00Z'), null, null)
      expect(await counted(files, ana)).toEqual([
        ['2026-08-01T00:00:00.000Z', 1],
        ['2026-07-01T00:00:00.000Z', 3],
        ['2026-06-01T00:00:00.000Z', 1],
        ['2024-02-01T00:00:00.000Z', 1],
        ['1970-01-01T00:00:00.000Z', 1],
        ['1969-12-01T00:00:00.000Z', 1],
      ])
    })

    it.each([
      { files: 1, months: 1 },
      { files: 2, months: 9 },
      { files: 3, months: 2 },
      { files: 9, months: 1 },
    ])('in pieces of at most %j, and counts none twice', async (most) => {
      const { files, ana } = await withOwners(make)
      const march = Date.UTC(2026, 2, 15)
      // Five of one instant, so that pieces end between ids.
      for (let n = 0; n < 5; n += 1) await files.commit(ana, { ...taken(march), name: `same ${n}` }, null, null)
      for (let n = 1; n < 4; n += 1) await files.commit(ana, taken(march + n), null, null)
      for (const day of ['2026-04-30', '2026-04-01', '2025-12-31']) await files.commit(ana, taken(day), null, null)
      expect(await counted(files, ana, most)).toEqual([
        ['2026-04-01T00:00:00.000Z', 2],
        ['2026-03-01T00:00:00.000Z', 8],
        ['2025-12-01T00:00:00.000Z', 1],
      ])
    })

    it('from a place on, whether a file is there or not', async () => {
      const { files, ana } = await withOwners(make)
      for (const day of ['2026-04-30', '2026-03-31', '2026-03-01']) await files.commit(ana, taken(day), null, null)
      const from = async (key: number, id: string) =>
        (await files.countByMonth(ana, { key, id }, MOST)).months.map(({ month, files }) => [month, files])
      const [march, april] = [Date.UTC(2026, 2), Date.UTC(2026, 3)]
      expect(await from(april, '')).toEqual([[march, 2]])
      expect(await from(Date.UTC(2026, 2, 20), '-')).toEqual([[march, 1]])
      expect(await from(march, '')).toEqual([])
      expect(await from(Date.UTC(2026, 4), '')).toEqual([
        [april, 1],
        [march, 2],
      ])
    })

    it('also far from our time, and the instants beyond the calendar in its first and last month', async () => {
      const { files, ana } = await withOwners(make)
      const [first, last] = [Date.parse('0000-01-01T00:00:00.000Z'), Date.parse('9999-12-31T23:59:59.999Z')]
      const { MIN_SAFE_INTEGER: least, MAX_SAFE_INTEGER: most } = Number
      const far = [least, first - 1, first, Date.parse('0001-03-04'), Date.parse('0099-12-31'), last, last + 1, most]
      for (const takenAt of far) await files.commit(ana, { ...newFile(`${takenAt}`), takenAt }, null, null)
      const expected = [
        ['9999-12-01T00:00:00.000Z', 3],
        ['0099-12-01T00:00:00.000Z', 1],
        ['0001-03-01T00:00:00.000Z', 1],
        ['0000-01-01T00:00:00.000Z', 3],
      ]
      expect(await counted(files, ana)).toEqual(expected)
      expect(await counted(files, ana, { files: 1, months: 1 })).toEqual(expected)
      expect(await counted(files, 'nobody')).toEqual([])
    })
  })
}
