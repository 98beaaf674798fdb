/** Names in the vault for chosen files. */
import { sha256 } from '@minikeepsafe/client'

const MOST_BYTES = 255
const HASH_DIGITS = 8

const encoder = new TextEncoder()
const bytesOf = (text: string) => encoder.encode(text).length

/**
 * A name in the vault is one path segment, so folders are joined with ` - `, as `minikeepsafe-backup` does. `path` is relative,
 * with `/`. A name that would be too long begins with a hash of the path, and ends as the path ends.
 */
export function vaultName(path: string): string {
  const name = path
    .split('/')
    .join(' - ')
    .replace(/[\p{Cc}\\]/gu, '_')
    .normalize('NFC')
  if (/^\.{0,2}$/.test(name)) return '_'
  if (bytesOf(name) <= MOST_BYTES) return name
  let end = name
  while (bytesOf(end) > MOST_BYTES - HASH_DIGITS - 1) end = [...end].slice(1).join('')
  return `${hashOf(path).slice(0, HASH_DIGITS)}-${end}`
}

function hashOf(text: string): string {
  const hash = sha256()
  hash.update(encoder.encode(text))
  return [...hash.digest()].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Cameras and clipboards call every picture the same. */
const SAME_FOR_ALL = /^(?:image|photo|video|capturedimage)\.(\w+)$/i

/** `image.jpg` becomes `2026-07-14 14.05.09.jpg`. */
export function distinctName(name: string, time: number): string {
  const [, extension] = SAME_FOR_ALL.exec(name) ?? []
  if (extension === undefined) return name
  const [date = '', clock = ''] = localTime(time).split(/[T.+Z]/)
  return `${date} ${clock.replaceAll(':', '.')}.${extension}`
}

/** RFC 3339 with the offset of this place, so that a photo stays on its day. */
export function localTime(ms: number): string {
  const offset = -new Date(ms).getTimezoneOffset()
  const two = (number: number) => String(Math.trunc(number)).padStart(2, '0')
  const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1)
  return `${local}${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`
}
