/** Making, hashing and comparing secrets. A PIN or a 256-bit token needs no slow hash: a keyed or a fast one does. */
import { createHash, createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { nanoid } from 'nanoid'
import type { Chance } from '../../ports/ports.ts'
import type { PendingPin, PinGrant } from '../../ports/sign-in.ts'
import { hkdf } from './hkdf.ts'

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

/**
 * How devices are shown to one device of their user: it sees its own id, and for any other a label, since device ids are secrets.
 * A label is `~`, which no device id has, and eight characters: 48 bits of HMAC-SHA-256 under a key of the user's vault. It is
 * always the same for a device of the user, and nothing about the id follows from it.
 */
export function deviceNames(vaultKey: Buffer, ownDeviceId: string): (deviceId: string) => string {
  const key = hkdf(vaultKey, '', 'minikeepsafe device label 1', 32)
  return (deviceId) => {
    if (deviceId === ownDeviceId) return deviceId
    return `~${createHmac('sha256', key).update(deviceId).digest('base64url').slice(0, 8)}`
  }
}

/** A PIN or a code as it was issued, however a person typed it: codes in any case, in groups. */
export function asIssued(typed: string): string {
  return typed.replace(/[\s-]/g, '').toUpperCase()
}

/** What somebody who typed this meant to type. */
export function kindOf(secret: string): PendingPin['kind'] {
  return secret.length === CODE_CHARACTERS ? 'code' : 'pin'
}

/**
 * HMAC-SHA-256 of a PIN under the server's key, and of all that is kept with it: whoever can write to the store of pending
 * PINs, which may be a server of its own, cannot make one open what it was not issued for. No part holds a NUL.
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
