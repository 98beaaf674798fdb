/** The date of a photo, at the place of the camera. */
import type { StoredFile } from '@minikeepsafe/client'
import { shortDay } from '../gallery/day-names.ts'
import { inOwnZone, ownOffset } from '../pictures/taken-at.ts'
import { formatClock, formatDay } from '../words/formats.ts'

const TO_SECONDS = 'YYYY-MM-DDTHH:MM:SS'.length
const TO_MINUTES = 'YYYY-MM-DDTHH:MM'.length

type Dated = Pick<StoredFile, 'takenAt' | 'createdAt'>

/** Tuesday, 14 July 2026, 14:05: by the camera's clock, or when the file was added. */
export const takenText = (file: Dated): string => textOf(file, formatDay)

/** Tue, 14 Jul, 14:05: fits beside the buttons on a phone. */
export const takenInShort = (file: Dated): string => textOf(file, shortDay)

function textOf({ takenAt, createdAt }: Dated, dayText: (day: string) => string): string {
  const local = (takenAt ?? inOwnZone(new Date(createdAt))).slice(0, TO_SECONDS)
  return `${dayText(local.slice(0, 10))}, ${formatClock(local)}`
}

/** What a field for date and time shows, and the offset that belongs to it. */
export function fieldsOf(takenAt: string | null): { local: string; offset: string | null } {
  if (takenAt === null) return { local: '', offset: null }
  const offset = /(Z|[+-]\d\d:\d\d)$/.exec(takenAt)?.[0] ?? 'Z'
  return { local: takenAt.slice(0, TO_SECONDS), offset: offset === 'Z' ? '+00:00' : offset }
}

/** RFC 3339 of what the field shows: with the offset that the date had before, else the browser's own at that time. */
export function takenAtFrom(local: string, offset: string | null): string {
  const seconds = local.length === TO_MINUTES ? `${local}:00` : local
  return `${seconds}${offset ?? ownOffset(new Date(seconds))}`
}
