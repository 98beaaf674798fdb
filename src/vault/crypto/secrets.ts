/**
 * Makes, hashes and compares secrets. A PIN needs no slow hash, because its hash is keyed. A 256-bit token needs none
 * either: a fast one is enough.
 */
import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { nanoid } from 'nanoid'
import type { Chance } from '../../ports/ports.ts'
import type { PendingPin, PinGrant } from '../../ports/sign-in.ts'
import { hkdf } from './hkdf.ts'

/** RFC 4648, section 6. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const CODE_CHARACTERS = 16
const CODE = /^[A-Z2-7]{16}$/
const TOKEN = /^mks_[A-Za-z0-9_-]{43,128}$/

/** Randomness from the operating system's cryptographic source. */
export const cryptographicChance: Chance = {
  // Without a hyphen in front, because a command would take such an id or such a blob's path for an option.
  id: () => nanoid().replace(/^-/, '0'),
  pin: () => String(randomInt(10_000)).padStart(4, '0'),
  code: () => Array.from(randomBytes(CODE_CHARACTERS), (byte) => BASE32[byte % 32]).join(''),
  token: () => `mks_${randomBytes(32).toString('base64url')}`,
  bytes: (count) => randomBytes(count),
}

/** SHA-256 of a session token; the token itself is never stored. `null` for text that cannot be a token. */
export function tokenHash(token: string): Buffer | null {
  return TOKEN.test(token) ? createHash('sha256').update(token).digest() : null
}

/** The key of the counter of guesses at the PINs of an address: HMAC-SHA-256, so the counters do not reveal addresses. */
export function addressDigest(key: Buffer, email: string): Buffer {
  return createHmac('sha256', key).update(email).digest()
}

/**
 * How devices are shown to one device of their user. A device sees its own id, and for any other device a label,
 * because device ids are secrets. A label is `~`, which no device id has, and eight characters: 48 bits of HMAC-SHA-256
 * under a key of the user's vault. It never changes for a device of the user, and it reveals nothing about the id.
 */
export function deviceNames(vaultKey: Buffer, ownDeviceId: string): (deviceId: string) => string {
  const key = hkdf(vaultKey, '', 'minikeepsafe device label 1', 32)
  return (deviceId) => {
    if (deviceId === ownDeviceId) return deviceId
    return `~${createHmac('sha256', key).update(deviceId).digest('base64url').slice(0, 8)}`
  }
}

/** A typed PIN or code in the form in which it was issued: a person may type a code in any case and in groups. */
export function asIssued(typed: string): string {
  return typed.replace(/[\s-]/g, '').toUpperCase()
}

/** Whether the text was meant as a code. Any text that has not the form of a code counts as a guess at a PIN. */
export function kindOf(secret: string): PendingPin['kind'] {
  return CODE.test(secret) ? 'code' : 'pin'
}

/**
 * HMAC-SHA-256 under the server's key, over a PIN and all fields that are stored with it. The store of pending PINs may
 * be a separate server. A process that can write to it cannot make a PIN open anything else than it was issued for. No
 * part contains a NUL.
 */
export function pinDigest(key: Buffer, pin: Omit<PendingPin, 'digest'>, secret: string): Buffer {
  const { id, deviceId, origin, kind, address, grant, expiresAt } = pin
  const parts = [
    id,
    deviceId,
    origin,
    kind,
    address?.toString('hex') ?? '',
    expiresAt,
    grant.kind,
    ...partsOf(grant),
    secret,
  ]
  return createHmac('sha256', key).update(parts.join('\0')).digest()
}

function partsOf(grant: PinGrant): string[] {
  if (grant.kind === 'registration') return [grant.userId, grant.name, grant.email, grant.confirmedBy]
  return grant.kind === 'user' ? [grant.userId, grant.vouchedBy ?? ''] : []
}

/** Compares two digests of equal length in constant time. */
export function sameDigest(a: Buffer, b: Buffer): boolean {
  return timingSafeEqual(a, b)
}
