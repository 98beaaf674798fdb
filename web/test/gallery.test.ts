/** The arithmetic of the gallery: where files stand, which sections are read, and what a change moves. */
import type { StoredFile } from '@minikeepsafe/client'
import { describe, expect, it } from 'vitest'
import { between, follow, heightAt, MOST_PIXELS, placeAll, scrollFor, shareAt } from '../src/gallery/geometry.ts'
import { cut, enter, gridFor, guessedDays, layoutOf, spotOf, stepFrom } from '../src/gallery/layout.ts'
import { marksOf, monthAt } from '../src/gallery/marks.ts'
import { BY_DATE, BY_NAME } from '../src/gallery/order.ts'
import {
  evict,
  fill,
  outdated,
  put,
  recount,
  refiltered,
  SECTION_FILES,
  type Section,
  section,
  sectionsOf,
  sectionsOfPage,
  take,
} from '../src/gallery/sections.ts'

const GRID = { columns: 4, cell: 100, gap: 4, header: 40 }
const ALL = () => true

const file = (takenAt: string, id = takenAt, contentType = 'image/jpeg'): StoredFile => ({
  ...{ id, name: `${id}.jpg`, size: 1, contentType, sha256: '', thumbnail: null },
  ...{ createdAt: '2026-11-22T08:30:00.000Z', updatedAt: '2026-11-22T08:30:00.000Z', takenAt },
})
/** Files of one month, the newest first, some on each day. */
const monthOf = (month: string, days: number[], aDay = 1) =>
  days.flatMap((day) =>
    Array.from({ length: aDay }, (_, n) => file(`${month}-${String(day).padStart(2, '0')}T12:00:0${9 - n}.000Z`)),
  )
const idsOf = (sections: Section[]) => sections.map(({ files }) => files?.map(({ id }) => id) ?? null)
const month = (month: string, files: number) => ({ month, files, cursor: `before ${month}` })
const page = (files: StoredFile[], nextCursor: string | null = null) => ({ files, nextCursor })

describe('layout', () => {
  it('has 3 columns on a phone and 12 in a wide window', () => {
    expect(gridFor(360)).toMatchObject({ columns: 3, cell: 118 })
    expect(gridFor(1620).columns).toBe(12)
    expect(gridFor(10).cell).toBeGreaterThan(0)
  })

  it('puts short days beside each other, and long ones below each other', () => {
    const days = [2, 2, 1, 9, 3].map((count, n) => ({ day: String(n), count }))
    const { blocks, height, count } = layoutOf(days, GRID)
    expect(blocks.map(({ top, column }) => [top, column])).toEqual([
      [0, 0],
      [0, 2],
      [144, 0],
      [288, 0],
      [640, 0],
    ])
    expect([height, count]).toEqual([784, 17])
  })

  it('finds the place of a file, and the files between two heights', () => {
    const layout = layoutOf([{ day: 'a', count: 9 }], GRID)
    expect(spotOf(layout, 0, GRID)).toEqual({ x: 0, y: 40 })
    expect(spotOf(layout, 5, GRID)).toEqual({ x: 104, y: 144 })
    const [block] = layout.blocks
    if (!block) throw new Error('no block')
    expect(cut(block, 0, 50, GRID)).toEqual({ from: 0, to: 4 })
    expect(cut(block, 150, 200, GRID)).toEqual({ from: 4, to: 8 })
    expect(cut(block, 250, 9000, GRID)).toEqual({ from: 8, to: 9 })
    expect(cut(block, 400, 500, GRID)).toBeNull()
  })

  it('moves with arrow keys by what is seen', () => {
    const layout = layoutOf(
      [2, 2, 9].map((count, n) => ({ day: String(n), count })),
      GRID,
    )
    expect(stepFrom(layout, 0, 'left', GRID)).toBeNull()
    expect(stepFrom(layout, 0, 'right', GRID)).toBe(1)
    expect(stepFrom(layout, 3, 'down', GRID)).toBe(7)
    expect(stepFrom(layout, 11, 'down', GRID)).toBe(12)
    expect(stepFrom(layout, 12, 'down', GRID)).toBeNull()
    expect(stepFrom(layout, 6, 'up', GRID)).toBe(2)
    expect(enter(layout, 'down', 208, GRID)).toBe(2)
    expect(enter(layout, 'up', 208, GRID)).toBe(12)
    expect(enter(layout, 'left', 0, GRID)).toBe(12)
  })

  it('guesses days that have all files of a month', () => {
    for (const count of [1, 7, 20, 331]) {
      expect(guessedDays(count, true).reduce((sum, day) => sum + day.count, 0)).toBe(count)
    }
  })
})

describe('sections', () => {
  it('has files of dates at both ends of the calendar, wherever they were taken, and all files between', () => {
    const files = [
      file('9999-12-31T23:00:00.000-05:00'),
      ...monthOf('2026-07', [4]),
      file('0000-01-01T00:00:00.000+05:00'),
    ]
    const all = sectionsOf([month('9999-12', 1), month('2026-07', 1), month('0000-01', 1)])
    const filled = fill(all, '9999-12', page(files), BY_DATE, ALL)
    expect(filled.map(({ month, files }) => [month, files?.length])).toEqual([
      ['9999-12', 1],
      ['2026-07', 1],
      ['0000-01', 1],
    ])
  })

  it('puts a page into the months that it reaches, and cuts the one that it does not end', () => {
    const all = sectionsOf([month('2026-07', 2), month('2026-06', 1), month('2026-05', 3)])
    const files = [...monthOf('2026-07', [4, 3]), ...monthOf('2026-06', [9]), ...monthOf('2026-05', [8])]
    const filled = fill(all, '2026-07', page(files, 'next'), BY_DATE, ALL)
    expect(filled.map(({ month, count, cursor, files }) => [month, count, cursor, files?.length])).toEqual([
      ['2026-07', 2, 'before 2026-07', 2],
      ['2026-06', 1, 'before 2026-06', 1],
      ['2026-05', 1, 'before 2026-05', 1],
      ['2026-05', 2, 'next', undefined],
    ])
    const rest = filled.at(-1)?.key ?? ''
    const whole = fill(filled, rest, page(monthOf('2026-05', [7, 6])), BY_DATE, ALL)
    expect(whole.map(({ key, count }) => [key, count])).toEqual([
      ['2026-07', 2],
      ['2026-06', 1],
      ['2026-05', 3],
    ])
    expect(whole[2]?.days).toEqual(['2026-05-08', '2026-05-07', '2026-05-06'].map((day) => ({ day, count: 1 })))
  })

  it('reads a part of a very large month again after it was evicted, and no file twice', () => {
    const [first, second] = [monthOf('2026-05', [20, 19]), monthOf('2026-05', [18, 17])]
    const large = section({ key: 'm', month: '2026-05', count: SECTION_FILES + 2, cursor: null })
    const cutInTwo = fill([large], 'm', page(first, 'middle'), BY_DATE, ALL)
    const gone = evict(cutInTwo, [cutInTwo[0] as Section], 0)
    expect(gone[0]).toMatchObject({ files: null, days: cutInTwo[0]?.days, count: 2 })
    const again = fill(gone, 'm', page([...first, ...second], 'later'), BY_DATE, ALL)
    expect(idsOf(again)).toEqual([[...first, ...second].map(({ id }) => id), null])
    expect(again[1]).toMatchObject({ cursor: 'later', count: SECTION_FILES - 2 })
  })

  it('shows the first page before the months are known', () => {
    const files = [...monthOf('2026-07', [4, 3]), ...monthOf('2026-06', [9])]
    const shown = sectionsOfPage(page(files, 'next'), BY_DATE, ALL)
    expect(shown.map(({ month, count, cursor }) => [month, count, cursor])).toEqual([
      ['2026-07', 2, undefined],
      ['2026-06', 1, undefined],
    ])
    expect(sectionsOfPage(page([]), BY_DATE, ALL)).toEqual([])
  })

  it('puts a new file in its place, moves one that has another date, and takes one away', () => {
    const all = fill(sectionsOf([month('2026-07', 2)]), '2026-07', page(monthOf('2026-07', [4, 2])), BY_DATE, ALL)
    const more = put(all, file('2026-07-03T10:00:00.000Z', 'new'), BY_DATE, ALL)
    expect(idsOf(more)[0]?.[1]).toBe('new')
    expect(more[0]?.count).toBe(3)
    const moved = put(more, file('2025-01-01T10:00:00.000Z', 'new'), BY_DATE, ALL)
    expect(moved.map(({ month, count, cursor }) => [month, count, cursor])).toEqual([
      ['2026-07', 2, 'before 2026-07'],
      ['2025-01', 1, undefined],
    ])
    expect(take(moved, 'new', BY_DATE)).toHaveLength(1)
    expect(take(moved, 'another', BY_DATE)).toEqual(moved)
    const replaced = put(more, { ...file('2026-07-03T10:00:00.000Z', 'new'), thumbnail: 'tag' }, BY_DATE, ALL)
    expect(replaced[0]).toMatchObject({ count: 3, files: [{}, { id: 'new', thumbnail: 'tag' }, {}] })
  })

  it('leaves a month that is not loaded to the next count', () => {
    const all = sectionsOf([month('2026-07', 2)])
    expect(put(all, file('2026-07-03T10:00:00.000Z'), BY_DATE, ALL)).toEqual(all)
  })

  it('takes over what the months have become', () => {
    const all = fill(
      sectionsOf([month('2026-07', 2), month('2026-06', 1), month('2026-05', 5)]),
      '2026-07',
      page([...monthOf('2026-07', [4, 3]), ...monthOf('2026-06', [9])], 'next'),
      BY_DATE,
      ALL,
    )
    const now = recount(all, [month('2026-08', 1), month('2026-07', 3), month('2026-06', 1)])
    expect(now.map(({ month, count, isStale, files }) => [month, count, isStale, files?.length])).toEqual([
      ['2026-08', 1, false, undefined],
      ['2026-07', 3, true, 2],
      ['2026-06', 1, false, 1],
    ])
    expect(outdated(now).map(({ isStale }) => isStale)).toEqual([false, true, true])
  })

  it('shows a narrower filter at once, and reads again for another one', () => {
    const films = [file('2026-07-03T10:00:00.000Z', 'film', 'video/mp4')]
    const isFilm = ({ contentType }: StoredFile) => contentType === 'video/mp4'
    const whole = page([...monthOf('2026-07', [4]), ...films])
    const all = fill(sectionsOf([month('2026-07', 2)]), '2026-07', whole, BY_DATE, ALL)
    const narrow = refiltered(all, BY_DATE, isFilm, true)
    expect(idsOf(narrow)).toEqual([['film']])
    expect(narrow[0]?.count).toBe(2)
    expect(refiltered(narrow, BY_DATE, ALL, false)[0]).toMatchObject({ files: null, days: null, count: 2 })
  })

  it('evicts the farthest sections, and never one that cannot be read again', () => {
    const files = [...monthOf('2026-07', [4, 3]), ...monthOf('2026-06', [9, 8])]
    const all = fill(sectionsOf([month('2026-07', 2), month('2026-06', 2)]), '2026-07', page(files), BY_DATE, ALL)
    const [near, far] = all as [Section, Section]
    expect(idsOf(evict(all, [far, near], 2)).map((ids) => ids?.length)).toEqual([2, undefined])
    expect(evict(all, [far, near], 4)).toBe(all)
    const fixed = all.map((one) => ({ ...one, cursor: undefined }))
    expect(evict(fixed, fixed, 0)).toBe(fixed)
  })

  it('puts the pages of a search together', () => {
    const found = ['a', 'b', 'c', 'd'].map((name) => ({ ...file('2026-07-03T10:00:00.000Z', name), name }))
    const all = [section({ key: 's', month: '', count: 100, cursor: null })]
    const first = fill(all, 's', page(found.slice(0, 2), 'next'), BY_NAME, ALL)
    const both = fill(first, first[1]?.key ?? '', page(found.slice(2)), BY_NAME, ALL)
    expect(idsOf(both)).toEqual([['a', 'b', 'c', 'd']])
    expect(fill(all, 's', page([]), BY_NAME, ALL)).toEqual([])
  })

  it('sorts names as the server does', () => {
    const names = ['a', 'aa', 'a（', 'a😀', 'a😀b', 'a🙂', 'b']
    const places = names.map((name) => BY_NAME.placeOf({ ...file('2026-07-03T10:00:00.000Z', name), name }))
    for (const [n, one] of places.entries())
      expect(places.map((other) => BY_NAME.isBefore(one, other))).toEqual(places.map((_, at) => n < at))
  })

  it('keeps a photo on the day of its own place', () => {
    expect(BY_DATE.dayOf(file('2026-07-01T00:30:00.000+02:00'))).toBe('2026-07-01')
    expect(BY_DATE.monthOf(file('2026-07-01T00:30:00.000+02:00'))).toBe('2026-06')
  })
})

describe('geometry', () => {
  const known = new WeakMap()
  const place = (sections: Section[]) => placeAll(sections, GRID, known)
  const months = sectionsOf([month('2026-07', 40), month('2026-06', 8), month('2026-05', 12)])

  it('keeps what is on the screen where it is when a month above it is loaded', () => {
    const before = place(months)
    const loaded = fill(months, '2026-07', page(monthOf('2026-07', [9, 8, 7, 6, 5], 8)), BY_DATE, ALL)
    const after = place(loaded)
    const y = (before.placed[2]?.top ?? 0) + 30
    expect(after.placed[2]?.top).not.toBe(before.placed[2]?.top)
    expect(follow(before, after, y) - (after.placed[2]?.top ?? 0)).toBe(30)
  })

  it('keeps a file where it is when another one is stored above it', () => {
    const loaded = fill(
      sectionsOf([month('2026-07', 40)]),
      '2026-07',
      page(monthOf('2026-07', [9, 8, 7], 8)),
      BY_DATE,
      ALL,
    )
    const before = place(loaded)
    const after = place(put(loaded, file('2026-07-20T12:00:00.000Z'), BY_DATE, ALL))
    expect(follow(before, after, 300)).toBe(300 + 144)
    expect(follow(before, after, 0)).toBe(0)
  })

  it('finds what is near, and goes from a share of the files to a height and back', () => {
    const geometry = place(months)
    expect(between(geometry, 0, 10).map(({ section }) => section.key)).toEqual(['2026-07'])
    const height = heightAt(geometry, 0.75)
    expect(between(geometry, height, height + 1).map(({ section }) => section.key)).toEqual(['2026-06'])
    expect(shareAt(geometry, height)).toBeCloseTo(0.75)
    expect(shareAt(place([]), 0)).toBe(0)
  })

  it('scrolls a million files within the height that browsers allow', () => {
    const million = place([section({ key: 'm', month: '2026-07', count: 1_000_000, cursor: null })])
    expect(million.height).toBeGreaterThan(MOST_PIXELS)
    const end = scrollFor(million.height - 800, million.height, 800)
    expect(end.scroll).toBe(MOST_PIXELS - 800)
    expect(end.scroll + end.shift).toBe(million.height - 800)
    expect(scrollFor(5000, 90_000, 800)).toEqual({ scroll: 5000, shift: 0 })
  })

  it('writes years on the track where they have room', () => {
    const all = sectionsOf([month('2026-07', 50), month('2025-12', 1), month('2024-02', 1), month('2023-01', 50)])
    const marks = marksOf(all)
    expect(marks.map(({ isYear }) => isYear)).toEqual([true, true, false, false])
    expect(monthAt(marks, 0)).toBe(0)
    expect(monthAt(marks, 0.5)).toBe(2)
    expect(monthAt(marks, 1)).toBe(3)
    expect(marksOf([section({ key: 's', month: '', count: 3, cursor: null })])).toEqual([])
  })
})
