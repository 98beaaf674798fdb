import { expect, it } from 'vitest'
import { cryptographicChance, tokenHash } from '../../src/vault/secrets.ts'

it('makes PINs of four digits, leading zeros included', () => {
  const pins = Array.from({ length: 20_000 }, cryptographicChance.pin)
  expect(pins.every((pin) => /^\d{4}$/.test(pin))).toBe(true)
  expect(pins.some((pin) => pin.startsWith('00'))).toBe(true)
})

it('draws PINs uniformly', () => {
  const counts = new Array<number>(10).fill(0)
  const draws = 50_000
  for (let n = 0; n < draws; n += 1) {
    const first = Number(cryptographicChance.pin()[0])
    counts[first] = (counts[first] ?? 0) + 1
  }
  const chiSquared = counts.reduce((sum, count) => sum + (count - draws / 10) ** 2 / (draws / 10), 0)
  // 9 degrees of freedom: a fair source passes 60 about once in a hundred million runs.
  expect(chiSquared).toBeLessThan(60)
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
