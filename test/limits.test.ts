import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rulesOf } from '../src/compose/rules.ts'
import { ConfigError, readConfig } from '../src/config/config.ts'
import { amountOf, readLimits } from '../src/config/limits.ts'

const HOUR = 60 * 60_000

describe('RATE_LIMITS', () => {
  it('changes the limits that it names, and no other', () => {
    const { limits: usual } = readLimits()
    const { limits, errors } = readLimits(' sign-in=20/30s,register = 5/2d , exports-at-once=3, ')
    expect(errors).toEqual([])
    expect(limits).toEqual({
      ...usual,
      'sign-in': { ...usual['sign-in'], max: 20, windowMs: 30_000 },
      register: { ...usual.register, max: 5, windowMs: 48 * HOUR },
      'exports-at-once': { ...usual['exports-at-once'], max: 3 },
    })
  })

  it.each([
    ['sing-in=20/1m', 'there is no limit "sing-in" among register, pins, sign-in'],
    ['toString=20/1m', 'there is no limit "toString"'],
    ['sign-in', '"sign-in" must be like sign-in=10/1m'],
    ['sign-in=20', '"sign-in=20" must be like sign-in=10/1m'],
    ['sign-in=0/1m', 'must be like sign-in=10/1m'],
    ['sign-in=20/0m', 'must be like sign-in=10/1m'],
    ['sign-in=-1/1m', 'must be like sign-in=10/1m'],
    ['sign-in=1.5/1m', 'must be like sign-in=10/1m'],
    ['sign-in=20/1w', 'must be like sign-in=10/1m'],
    ['sign-in=20/1m/1m', 'must be like sign-in=10/1m'],
    ['sign-in=20/1m=3', 'must be like sign-in=10/1m'],
    ['exports-at-once=3/1h', '"exports-at-once=3/1h" must be like exports-at-once=2'],
    ['mails-overall=9/1d', '"mails-overall=9/1d" must be like mails-overall=1000/1h'],
  ])('cannot be %j', (RATE_LIMITS, message) => {
    expect(() => readConfig({ RATE_LIMITS })).toThrow(ConfigError)
    expect(() => readConfig({ RATE_LIMITS })).toThrow(message)
  })

  it('tells all its errors at once, on one line', () => {
    const read = () => readConfig({ PORT: 'x', RATE_LIMITS: 'a=1/1m,register=5/1h,exports=7' })
    expect(read).toThrow(/PORT is "x".*\n {2}RATE_LIMITS cannot be read: .*"a".*; "exports=7" must be .*\.$/)
  })
})

describe('the mails of the vault', () => {
  const mails = (settings: NodeJS.ProcessEnv) => rulesOf(readConfig(settings)).mails

  it('are limited by the hour', () => {
    expect(mails({})).toEqual({ perAccount: 30, overall: 1000 })
    expect(mails({ RATE_LIMITS: 'mails-per-account=3/1h,mails-overall=50/60m' })).toEqual({
      perAccount: 3,
      overall: 50,
    })
  })

  it('are not limited where nothing is', () => {
    const none = { perAccount: Number.POSITIVE_INFINITY, overall: Number.POSITIVE_INFINITY }
    expect(mails({ RATE_LIMIT: 'off', RATE_LIMITS: 'mails-overall=5/1h' })).toEqual(none)
  })
})

it('docs/operating.md has every limit as it is, and no other', () => {
  const text = readFileSync(join(import.meta.dirname, '..', 'docs', 'operating.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `([a-z-]+)` \| `([^`]+)` \|/gm)].map(([, name, amount]) => [name, amount])
  expect(rows).toEqual(Object.entries(readLimits().limits).map(([name, limit]) => [name, amountOf(limit)]))
})
