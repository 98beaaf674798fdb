/** Names in the vault for files of folders. */
import { hexOf } from './encoding.ts'
import { sha256 } from './sha256.ts'

const MOST_BYTES = 255
const HASH_DIGITS = 8

const encoder = new TextEncoder()
const bytesOf = (text: string) => encoder.encode(text).length

/**
 * A name in the vault is one path segment, so folders are joined with ` - `: `2026/trip/beach.jpg` is `2026 - trip - beach.jpg`.
 * `path` is relative, with `/`. A name that would be too long begins with a hash of the path, and ends as the path ends.
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
  return hexOf(hash.digest())
}
