import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { PendingPin } from '../../src/ports/sign-in.ts'
import { cryptographicChance, deviceNames, pinDigest, tokenHash } from '../../src/vault/crypto/secrets.ts'

it('makes PINs of four digits, leading zeros included', () => {
  const pins = Array.from({ length: 20_000 }, cryptographicChance.pin)
  expect(pins.every((pin) => /^\d{4}$/.test(pin))).toBe(true)
  expect(pins.some((pin) => pin.startsWith('00'))).toBe(true)
})

it('draws PINs uniformly', () => {
  const counts = new Array<number>(10_000).fill(0)
  const each = 30
  for (let n = 0; n < each * counts.length; n += 1) {
    const pin = Number(cryptographicChance.pin())
    counts[pin] = (counts[pin] ?? 0) + 1
  }
  const chiSquared = counts.reduce((sum, count) => sum + (count - each) ** 2 / each, 0)
  // 9999 degrees of freedom, a standard deviation of 141: a fair source is beyond six of them once in a hundred million runs.
  expect(chiSquared).toBeLessThan(9999 + 6 * 141.4)
})

it('makes codes of 80 bits that never come twice', () => {
  const codes = Array.from({ length: 2000 }, cryptographicChance.code)
  expect(codes.every((code) => /^[A-Z2-7]{16}$/.test(code))).toBe(true)
  expect(new Set(codes).size).toBe(codes.length)
  // At each place all 32 characters come up.
  const places = Array.from({ length: 16 }, (_, at) => new Set(codes.map((code) => code[at])).size)
  expect(places).toEqual(new Array(16).fill(32))
})

it('draws no secret from Math.random', () => {
  const random = vi.spyOn(Math, 'random')
  onTestFinished(() => random.mockRestore())
  const { id, pin, code, token, bytes } = cryptographicChance
  for (const draw of [id, pin, code, token, () => bytes(32)]) draw()
  expect(random).not.toHaveBeenCalled()
})

it('makes ids that no command takes for an option', () => {
  const ids = Array.from({ length: 5000 }, cryptographicChance.id)
  expect(new Set(ids).size).toBe(5000)
  expect(ids.filter((id) => !/^\w[\w-]{20}$/.test(id))).toEqual([])
})

it('makes tokens of 256 bits that never come twice', () => {
  const tokens = new Set(Array.from({ length: 1000 }, cryptographicChance.token))
  expect(tokens.size).toBe(1000)
  expect([...tokens].every((token) => /^mks_[A-Za-z0-9_-]{43}$/.test(token))).toBe(true)
})

it.each(['', 'mks_', 'mks_short', `xxx_${'a'.repeat(43)}`, `mks_${'a'.repeat(42)}!`, `mks_${'a'.repeat(500)}`])(
  'does not look up %j, which cannot be a token',
  (token) => {
    expect(tokenHash(token)).toBeNull()
  },
)

describe('the digest of a PIN', () => {
  const key = Buffer.alloc(32, 7)
  const user = { kind: 'user' as const, userId: 'ada', vouchedBy: 'session' }
  const issued: Omit<PendingPin, 'digest'> = {
    id: 'id',
    deviceId: 'device',
    origin: 'open',
    kind: 'pin',
    address: Buffer.alloc(32, 1),
    grant: user,
    expiresAt: 1000,
  }
  const registration = { userId: 'ada', name: 'Ada', email: 'ada@example.org', confirmedBy: 'email' as const }

  it.each<Partial<PendingPin>>([
    { id: 'other' },
    { deviceId: 'other' },
    { origin: 'vouched' },
    { kind: 'code' },
    { address: null },
    { address: Buffer.alloc(32, 2) },
    { expiresAt: 1001 },
    { grant: { ...user, userId: 'eve' } },
    { grant: { ...user, vouchedBy: null } },
    { grant: { kind: 'nothing', userId: null } },
    { grant: { kind: 'registration', ...registration } },
    { grant: { kind: 'registration', ...registration, email: 'eve@example.org' } },
  ])('is another with %j: whoever can write to the store opens nothing', (changed) => {
    expect(pinDigest(key, { ...issued, ...changed }, '0427')).not.toEqual(pinDigest(key, issued, '0427'))
  })

  it('is another with another PIN or key, and the same with the same', () => {
    const digest = pinDigest(key, issued, '0427')
    expect(pinDigest(key, issued, '0428')).not.toEqual(digest)
    expect(pinDigest(Buffer.alloc(32, 8), issued, '0427')).not.toEqual(digest)
    expect(pinDigest(key, { ...issued }, '0427')).toEqual(digest)
  })
})

it('labels a device by the vault key, the same each time, and shows a device its own id', () => {
  const [one, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]
  const labelOf = deviceNames(one, 'device-of-ada')
  expect(labelOf('device-of-ada')).toBe('device-of-ada')
  expect(labelOf('device-of-ben')).toMatch(/^~[A-Za-z0-9_-]{8}$/)
  expect(deviceNames(one, 'device-of-cleo')('device-of-ben')).toBe(labelOf('device-of-ben'))
  expect(deviceNames(other, 'device-of-ada')('device-of-ben')).not.toBe(labelOf('device-of-ben'))
})
