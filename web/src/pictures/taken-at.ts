/** When a photo or video was taken, from the file itself. Nothing else of its metadata is kept: the place never leaves the parser. */
import { madeAtOf } from './film-date.ts'

const HEAD_BYTES = 256 * 1024
/** In these files the metadata may be behind the picture: WebP, and HEIC and AVIF. Larger ones are not read to the end. */
const WHOLE_AT_MOST_BYTES = 32 * 1024 * 1024

/** Photography begins; an older date is a mistake. */
const FIRST_YEAR = 1826
const DAY_MS = 24 * 60 * 60 * 1000

/**
 * The camera's date in the head of a photo (EXIF), or the date of an MP4 or MOV, as RFC 3339 with an offset. `null` if there is none,
 * or an impossible one. Many cameras write no offset: then it is the one that the browser's own zone had at that local time.
 */
export async function takenAtOf(file: Blob, now = Date.now()): Promise<string | null> {
  try {
    const start = new Uint8Array(await file.slice(0, 12).arrayBuffer())
    const container = containerOf(start)
    if (container === 'film') return plausible(await madeAtOf(file), now)
    const inHead = await exifDate(file.slice(0, HEAD_BYTES))
    if (inHead !== null || container === 'head first' || file.size > WHOLE_AT_MOST_BYTES) return plausible(inHead, now)
    return plausible(await exifDate(file), now)
  } catch {
    return null
  }
}

function containerOf(start: Uint8Array): 'head first' | 'anywhere' | 'film' {
  const text = String.fromCharCode(...start)
  if (text.startsWith('RIFF') && text.endsWith('WEBP')) return 'anywhere'
  if (text.slice(4, 8) !== 'ftyp') return 'head first'
  return /^(hei|hev|mif1|msf1|avi)/.test(text.slice(8)) ? 'anywhere' : 'film'
}

async function exifDate(file: Blob): Promise<string | null> {
  const { load } = await import('exifreader')
  try {
    const exif = ['DateTimeOriginal', 'OffsetTimeOriginal', 'SubSecTimeOriginal']
    // Without the other groups the parser does not look at them: neither the place nor the maker's notes.
    const { exif: tags } = load(await file.arrayBuffer(), { expanded: true, includeTags: { exif } })
    return tags?.DateTimeOriginal
      ? withOffset(
          textOf(tags.DateTimeOriginal),
          textOf(tags.SubSecTimeOriginal as Tag),
          textOf(tags.OffsetTimeOriginal as Tag),
        )
      : null
  } catch {
    return null
  }
}

type Tag = { value: unknown } | undefined

function textOf(tag: Tag): string {
  const value = Array.isArray(tag?.value) ? tag.value[0] : tag?.value
  return typeof value === 'string' ? value.trim() : ''
}

/** `2026:07:14 12:30:00` of EXIF as RFC 3339; `null` if it is no date. */
export function withOffset(date: string, subSeconds = '', offset = ''): string | null {
  const parts = /^(\d{4})[:\-/](\d\d)[:\-/](\d\d)[ T](\d\d):(\d\d):(\d\d)/.exec(date)?.slice(1).map(Number)
  if (!parts) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
  const utc = new Date(Date.UTC(year, month - 1, day, hour, minute, second))
  const local = `${date.slice(0, 10).replace(/[:/]/g, '-')}T${date.slice(11, 19)}`
  // Month 00 or 30 February.
  if (!utc.toISOString().startsWith(local)) return null
  const ms = /^\d+/.exec(subSeconds)?.[0].slice(0, 3).padEnd(3, '0') ?? '000'
  const isOffset = /^[+-](0\d|1[0-4]):[0-5]\d$/.test(offset)
  return `${local}.${ms}${isOffset ? offset : offset === 'Z' ? 'Z' : ownOffset(new Date(local))}`
}

/** The offset of the browser's zone at that time: `+02:00`. */
export function ownOffset(time: Date): string {
  const minutes = -Math.round(time.getTimezoneOffset())
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
  return `${minutes < 0 ? '-' : '+'}${String(hours).padStart(2, '0')}:${String(rest).padStart(2, '0')}`
}

/** The instant as RFC 3339 in the browser's zone. */
export function inOwnZone(time: Date): string {
  const shifted = new Date(time.getTime() - Math.round(time.getTimezoneOffset()) * 60_000)
  return shifted.toISOString().replace('Z', ownOffset(time))
}

function plausible(takenAt: string | null, now: number): string | null {
  if (takenAt === null || Number(takenAt.slice(0, 4)) < FIRST_YEAR) return null
  return Date.parse(takenAt) > now + DAY_MS ? null : takenAt
}
