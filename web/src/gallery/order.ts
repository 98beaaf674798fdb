/** The orders of the gallery: by date, the newest first, in months; and by name, for a search. */
import type { StoredFile } from '@minikeepsafe/client'
import { shownTime } from '../state/files.ts'

/** Where a file stands in an order. */
export interface Place {
  at: number | string
  id: string
}

export interface Order {
  placeOf(file: StoredFile): Place
  /** Whether the first place comes before the second. */
  isBefore(one: Place, other: Place): boolean
  /** The part of the order that a file belongs to: `2026-07`, in UTC as the server counts months. */
  monthOf(file: StoredFile): string
  /** The day of a file in the calendar of its own place: `2026-07-14`. */
  dayOf(file: StoredFile): string
}

/** The calendar of the server. With the offset of a place, an instant may lie outside of it, and counts for its first or last month. */
const FIRST_INSTANT = Date.parse('0000-01-01T00:00:00.000Z')
const LAST_INSTANT = Date.parse('9999-12-31T23:59:59.999Z')

const instantOf = (file: StoredFile) => Date.parse(shownTime(file))

/** The order of `sort=takenAt&order=desc`. */
export const BY_DATE: Order = {
  placeOf: (file) => ({ at: instantOf(file), id: file.id }),
  isBefore: (one, other) => one.at > other.at || (one.at === other.at && one.id > other.id),
  monthOf: (file) => {
    const instant = Math.min(LAST_INSTANT, Math.max(FIRST_INSTANT, instantOf(file)))
    return new Date(instant).toISOString().slice(0, 7)
  },
  dayOf: (file) => (file.takenAt ? file.takenAt.slice(0, 10) : localDay(file.createdAt)),
}

/** The order of `sort=name`. It has no days. */
export const BY_NAME: Order = {
  placeOf: ({ name, id }) => ({ at: name, id }),
  isBefore: (one, other) => isNameBefore(String(one.at), String(other.at)),
  monthOf: () => '',
  dayOf: () => '',
}

/** By code points: the server's order of bytes in UTF-8. In UTF-16, as `<` compares, an emoji stands before a wide bracket. */
function isNameBefore(one: string, other: string): boolean {
  let at = 0
  while (at < one.length && one[at] === other[at]) at += 1
  return (one.codePointAt(at) ?? -1) < (other.codePointAt(at) ?? -1)
}

/** A file without a date stands on the day of this browser on which it was stored. */
function localDay(time: string): string {
  const date = new Date(time)
  const two = (part: number) => String(part).padStart(2, '0')
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}
