/** Making, hashing and comparing secrets. A PIN or a 256-bit token needs no slow hash: a keyed or a fast one does. */
import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { nanoid } from 'nanoid'
import type { Chance } from '../ports.ts'

/** RFC 4648, section 6. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const CODE_CHARACTERS = 16
const TOKEN = /^mks_[A-Za-z0-9_-]{43,128}$/

/** Chance from the operating system's cryptographic source. */
export const cryptographicChance: Chance = {
  id: () => nanoid(),
  pin: () => String(randomInt(10_000)).padStart(4, '0'),
  code: () => Array.from(randomBytes(CODE_CHARACTERS), (byte) => BASE32[byte % 32]).join(''),
  token: () => `mks_${randomBytes(32).toString('base64url')}`,
  bytes: (count) => randomBytes(count),
}

/** SHA-256 of a session token: all of it that is ever stored. `null` for what cannot be a token. */
export function tokenHash(token: string): Buffer | null {
  return TOKEN.test(token) ? createHash('sha256').update(token).digest() : null
}

/** Where guesses at the PINs of an address are counted: HMAC-SHA-256, so that the counters tell no address. */
export function addressDigest(key: Buffer, email: string): Buffer {
  return createHmac('sha256', key).update(email).digest()
}

/** A PIN or a code as it was issued, however a person typed it: codes in any case, in groups. */
export function asIssued(typed: string): string {
  return typed.replace(/[\s-]/g, '').toUpperCase()
}

/** HMAC-SHA-256 of a PIN under the server's key, bound to its device. A device id holds no NUL. */
export function pinDigest(key: Buffer, deviceId: string, pin: string): Buffer {
  return createHmac('sha256', key).update(`${deviceId}\0${pin}`).digest()
}

/** Compares two digests of equal length in constant time. */
export function sameDigest(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(a, b)
}
