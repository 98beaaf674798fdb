/**
 * The name in the vault of a file in a folder. A name there is one path segment, so folders are joined with ` - `:
 * `2026/trip/beach.jpg` is `2026 - trip - beach.jpg`.
 */
import { createHash } from 'node:crypto'

const MOST_BYTES = 255
const HASH_DIGITS = 8

/** `path` is relative, with `/`. A name that would be too long begins with a hash of the path, and ends as the path ends. */
export function vaultName(path: string): string {
  const name = path
    .split('/')
    .join(' - ')
    .replace(/[\p{Cc}\\]/gu, '_')
    .normalize('NFC')
  if (Buffer.byteLength(name) <= MOST_BYTES) return name
  const hash = createHash('sha256').update(path).digest('hex').slice(0, HASH_DIGITS)
  const end = Buffer.from(name)
    .subarray(-(MOST_BYTES - HASH_DIGITS - 1))
    .toString()
  // A character that was cut in two.
  return `${hash}-${end.replace(/^\ufffd+/, '')}`
}
