/**
 * The list of the gallery as sections: a month is one, and a month with very many files is several. A section knows how many files
 * it has before it is loaded, and after it was evicted. All functions return a new list, and keep what has not changed.
 */
import type { ListPage, StoredFile } from '@minikeepsafe/client'
import type { Order, Place } from './order.ts'

/** The maximum of files of a section that is read. */
export const SECTION_FILES = 1000

/** Files of one day that stand together. */
export interface Day {
  day: string
  count: number
}

export interface Section {
  /** Of this section only, and always the same. */
  key: string
  /** `2026-07`. */
  month: string
  /** The files that the server has here, with those that the filter hides. */
  count: number
  /** Begins this section in the list; `undefined` if it is not known yet: the section cannot be read again. */
  cursor: string | null | undefined
  /** The last file, where another section of the same month follows. */
  until: Place | null
  /** The files that the filter shows; `null` if they are not loaded. */
  files: StoredFile[] | null
  /** The days of these files; they are kept when the files are evicted. */
  days: Day[] | null
  /** The files are shown until the section is read again. */
  isStale: boolean
}

export type Filter = (file: StoredFile) => boolean

export interface Month {
  month: string
  files: number
  cursor: string | null
}

export const section = (known: Pick<Section, 'key' | 'month' | 'count' | 'cursor'> & Partial<Section>): Section => ({
  ...{ until: null, files: null, days: null, isStale: false },
  ...known,
})

export const sectionsOf = (months: Month[]): Section[] =>
  months.map(({ month, files, cursor }) => section({ key: month, month, count: files, cursor }))

export const isWanted = ({ files, isStale, cursor }: Section): boolean =>
  (files === null || isStale) && cursor !== undefined

function withFiles(old: Section, files: StoredFile[], order: Order): Section {
  return { ...old, files, days: daysOf(files, order) }
}

function daysOf(files: StoredFile[], { dayOf }: Order): Day[] {
  const days: Day[] = []
  for (const file of files) {
    const day = dayOf(file)
    const last = days.at(-1)
    if (last?.day === day) last.count += 1
    else days.push({ day, count: 1 })
  }
  return days
}

let made = 0
/** A key for what is left of a section. */
function restKey({ month }: Section): string {
  made += 1
  return `${month}+${made}`
}

/**
 * Puts a page of the list into the section that it was read for, and into those after it as far as it reaches. A section that the
 * page does not end is cut in two.
 */
export function fill(all: readonly Section[], key: string, page: ListPage, order: Order, filter: Filter): Section[] {
  const first = all.findIndex((one) => one.key === key)
  if (first < 0) return [...all]
  const filled: Section[] = []
  let from = 0
  let at = first
  for (; at < all.length; at += 1) {
    const old = all[at] as Section
    if (at > first && (from >= page.files.length || !isWanted(old))) break
    // A month that is not known yet comes with the next look at the months.
    while (from < page.files.length && isOfNewerMonth(page.files[from] as StoredFile, old, order)) from += 1
    const end = endOf(page.files, from, old, order)
    const read = page.files.slice(from, end)
    const shown = withFiles({ ...old, count: read.length, isStale: false }, read.filter(filter), order)
    const last = read.at(-1)
    // The number of a search's results is not known before its end.
    const isCounted = old.month !== '' && read.length >= old.count
    const isEnd = end < page.files.length || page.nextCursor === null
    const isWhole = isEnd || isCounted || isSame(last, old.until, order)
    from = end
    if (isWhole) {
      if (read.length > 0) filled.push(shown)
      continue
    }
    if (last) filled.push({ ...shown, until: order.placeOf(last) })
    const count = Math.max(1, old.count - read.length)
    filled.push(
      section({ ...old, key: restKey(old), count, cursor: page.nextCursor, files: null, days: null, isStale: false }),
    )
    at += 1
    break
  }
  return joined([...all.slice(0, first), ...filled, ...all.slice(at)], order)
}

const isOfNewerMonth = (file: StoredFile, { month }: Section, { monthOf }: Order) => monthOf(file) > month

function endOf(files: StoredFile[], from: number, { month, until }: Section, order: Order): number {
  const end = files.findIndex((file, index) => {
    if (index < from) return false
    return order.monthOf(file) !== month || (until !== null && order.isBefore(until, order.placeOf(file)))
  })
  return end < 0 ? files.length : end
}

function isSame(file: StoredFile | undefined, place: Place | null, { placeOf }: Order): boolean {
  if (!file || !place) return false
  const { at, id } = placeOf(file)
  return at === place.at && id === place.id
}

/** Neighbours of one month are one section again if they are small: a day is not torn at the place where a page ended. */
function joined(all: Section[], order: Order): Section[] {
  const result: Section[] = []
  for (const one of all) {
    const before = result.at(-1)
    const isOne = before?.month === one.month && before.files && one.files && before.count + one.count <= SECTION_FILES
    if (!isOne || !before?.files || !one.files) result.push(one)
    else {
      const { key, cursor } = before
      const both = { ...one, key, cursor, count: before.count + one.count, isStale: before.isStale || one.isStale }
      result[result.length - 1] = withFiles(both, [...before.files, ...one.files], order)
    }
  }
  return result
}

/** What is shown before the months are known. */
export function sectionsOfPage(page: ListPage, order: Order, filter: Filter): Section[] {
  const months = new Map<string, number>()
  for (const file of page.files) months.set(order.monthOf(file), (months.get(order.monthOf(file)) ?? 0) + 1)
  // Nothing of it can be read again: the cursors of the months are not known.
  const all = [...months].map(([month, count]) => section({ key: month, month, count, cursor: null }))
  const [first] = all
  const shown = first ? fill(all, first.key, { ...page, nextCursor: null }, order, filter) : []
  return shown.map((one) => ({ ...one, cursor: undefined }))
}

/**
 * A file was stored or changed. A section that is not loaded stays as it is: the next count of the months says how many files it
 * has.
 */
export function put(all: readonly Section[], file: StoredFile, order: Order, filter: Filter): Section[] {
  const left = take(all, file.id, order, true)
  const place = order.placeOf(file)
  const month = order.monthOf(file)
  const target = left.find((one) => one.month === month && (!one.until || !order.isBefore(one.until, place)))
  if (target?.files) {
    const files = withOne(target.files, file, order, filter)
    return emptyDropped(replaced(left, target, { ...withFiles(target, files, order), count: target.count + 1 }))
  }
  if (target) return emptyDropped(left)
  const made = withFiles(section({ key: month, month, count: 1, cursor: undefined }), [file].filter(filter), order)
  const after = left.findIndex((one) => one.month < month)
  return emptyDropped(after < 0 ? [...left, made] : [...left.slice(0, after), made, ...left.slice(after)])
}

const emptyDropped = (all: Section[]) =>
  all.some(({ count }) => count < 1) ? all.filter(({ count }) => count > 0) : all

function withOne(files: StoredFile[], file: StoredFile, order: Order, filter: Filter): StoredFile[] {
  if (!filter(file)) return files
  const place = order.placeOf(file)
  const at = files.findIndex((other) => order.isBefore(place, order.placeOf(other)))
  return at < 0 ? [...files, file] : [...files.slice(0, at), file, ...files.slice(at)]
}

/** A file is gone. */
export function take(all: readonly Section[], id: string, order: Order, keepsEmpty = false): Section[] {
  const holder = all.find(({ files }) => files?.some((file) => file.id === id))
  if (!holder?.files) return [...all]
  const files = holder.files.filter((file) => file.id !== id)
  const left = replaced(all, holder, { ...withFiles(holder, files, order), count: holder.count - 1 })
  return keepsEmpty ? left : emptyDropped(left)
}

const replaced = (all: readonly Section[], old: Section, now: Section) => all.map((one) => (one === old ? now : one))

/** The months were counted again. A month with another number of files is read again when it is near. */
export function recount(all: readonly Section[], months: Month[]): Section[] {
  const known = new Map<string, Section[]>()
  for (const one of all) known.set(one.month, [...(known.get(one.month) ?? []), one])
  return months.flatMap(({ month, files, cursor }) => {
    const own = known.get(month) ?? []
    const [first] = own
    if (!first) return [section({ key: month, month, count: files, cursor })]
    const isSame = own.reduce((sum, { count }) => sum + count, 0) === files
    if (isSame) return own.map((one) => (one === first ? { ...one, cursor } : one))
    if (own.length === 1 && first.files) return [{ ...first, count: files, cursor, isStale: true }]
    return [section({ key: first.key, month, count: files, cursor })]
  })
}

/** Another device may have renamed or replaced files: all is read again when it is near, and shown until then. */
export const outdated = (all: readonly Section[]): Section[] =>
  all.map((one) => (one.files && one.cursor !== undefined ? { ...one, isStale: true } : one))

/** Another filter. A narrower one shows at once what is loaded; for any other the files must be read again. */
export function refiltered(all: readonly Section[], order: Order, filter: Filter, isNarrower: boolean): Section[] {
  return all.map((one) => {
    if (one.files && (isNarrower || one.cursor === undefined)) return withFiles(one, one.files.filter(filter), order)
    return { ...one, files: null, days: null }
  })
}

/** Forgets the files of sections, beginning with the last of `farthest`, until at most `most` files are in memory. */
export function evict(all: readonly Section[], farthest: readonly Section[], most: number): Section[] {
  let loaded = all.reduce((sum, { files }) => sum + (files?.length ?? 0), 0)
  const gone = new Set<Section>()
  for (const one of farthest) {
    if (loaded <= most) break
    if (!one.files?.length || one.cursor === undefined) continue
    loaded -= one.files.length
    gone.add(one)
  }
  return gone.size === 0 ? (all as Section[]) : all.map((one) => (gone.has(one) ? { ...one, files: null } : one))
}
