/** Names in the vault for files of folders. */
import { hexOf } from './encoding.ts'
import { sha256 } from './sha256.ts'

const MOST_BYTES = 255
const HASH_DIGITS = 8

// Hermes, the engine of React Native, had neither an encoder nor \p{Cc} before 2024, and did not compile the client then.
const encoded = (text: string) => new TextEncoder().encode(text)
const bytesOf = (text: string) => encoded(text).length
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it replaces
const NOT_IN_NAMES = /[\u0000-\u001f\u007f-\u009f\\]/g

/**
 * A name in the vault is one path segment, so folders are joined with ` - `: `2026/trip/beach.jpg` is `2026 - trip - beach.jpg`.
 * `path` is relative, with `/`. A name that would be too long begins with a hash of the path, and ends as the path ends.
 */
export function vaultName(path: string): string {
  const name = path.split('/').join(' - ').replace(NOT_IN_NAMES, '_').normalize('NFC')
  if (/^\.{0,2}$/.test(name)) return '_'
  if (bytesOf(name) <= MOST_BYTES) return name
  let end = name
  while (bytesOf(end) > MOST_BYTES - HASH_DIGITS - 1) end = [...end].slice(1).join('')
  return `${hashOf(path).slice(0, HASH_DIGITS)}-${end}`
}

function hashOf(text: string): string {
  const hash = sha256()
  hash.update(encoded(text))
  return hexOf(hash.digest())
}
