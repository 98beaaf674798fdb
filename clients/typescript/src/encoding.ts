/** Bytes as text, without what only some platforms have. */
import { VaultError } from './errors.ts'

export function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Base64 of bytes in hex. */
export function base64OfHex(hex: string): string {
  const bytes = (hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16))
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.slice(i, i + 3)
    const word = (a << 16) | (b << 8) | c
    const digits = [18, 12, 6, 0].map((shift) => ALPHABET[(word >> shift) & 63])
    text += digits.slice(0, bytes.length - i + 1).join('') + '='.repeat(Math.max(0, 3 - (bytes.length - i)))
  }
  return text
}

/** The sha-256 in a `Repr-Digest` (RFC 9530), in hex; `null` without one. */
export function sha256In(reprDigest: string | null): string | null {
  const base64 = /(?:^|[\s,])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(reprDigest ?? '')?.[1]
  if (base64 === undefined) return null
  const bits = Array.from(base64.slice(0, 43), (digit) => ALPHABET.indexOf(digit).toString(2).padStart(6, '0')).join('')
  return (bits.slice(0, 256).match(/.{4}/g) ?? []).map((nibble) => Number.parseInt(nibble, 2).toString(16)).join('')
}

export const reprDigest = (sha256: string): string => `sha-256=:${base64OfHex(sha256)}:`

/** `Content-Disposition` with a name of any characters (RFC 6266, RFC 8187). */
export function disposition(name: string): string {
  const value = encoded(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  return `attachment; filename*=UTF-8''${value}`
}

/** For a part of a URL. Half of a surrogate pair is no text. */
export function encoded(text: string | number): string {
  try {
    return encodeURIComponent(text)
  } catch (error) {
    throw new VaultError('invalid-name', 'The name has half of a surrogate pair.', { cause: error })
  }
}

/** A date of a camera may be none. As JSON it would be `null`, which removes the date of a file. */
export function textOfDate<Other>(given: Date | Other): string | Other {
  if (!(given instanceof Date)) return given
  if (Number.isNaN(given.getTime())) throw new VaultError('invalid-request', 'takenAt is not a valid date.')
  return given.toISOString()
}
