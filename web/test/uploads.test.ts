import { VaultError } from '@minikeepsafe/client'
import { expect, it } from 'vitest'
import { distinctName, localTime } from '../src/uploads/names.ts'
import { openRate } from '../src/uploads/rate.ts'
import { reasonOf } from '../src/uploads/reasons.ts'

it('gives pictures of cameras and clipboards a name of their own', () => {
  const time = new Date(2026, 6, 14, 14, 5, 9).getTime()
  expect(distinctName('image.png', time)).toBe('2026-07-14 14.05.09.png')
  expect(distinctName('IMG_1.png', time)).toBe('IMG_1.png')
})

it('writes a local time with its offset', () => {
  const ms = Date.UTC(2026, 6, 14, 12, 0, 0, 7)
  expect(localTime(ms)).toMatch(/^2026-07-1\dT\d\d:\d\d:00\.007[+-]\d\d:\d\d$/)
  expect(Date.parse(localTime(ms))).toBe(ms)
})

it('says how long the rest takes', () => {
  const rate = openRate()
  rate.note(0, 0)
  expect(rate.remainingMs(1000)).toBeNull()
  rate.note(500, 5000)
  expect(rate.remainingMs(1000)).toBe(10_000)
  // Only the last 20 seconds count.
  rate.note(600, 24_000)
  expect(rate.remainingMs(100)).toBe(19_000)
  rate.reset()
  expect(rate.remainingMs(1)).toBeNull()
})

const file = new Blob(['hello'])
const refusal = (code: VaultError['code'], status: number | null, retryAfter: number | null = null) =>
  reasonOf(new VaultError(code, 'A detail.', { status, retryAfter }), file)

it.each([
  ['quota-exceeded', 507, 'quota'],
  ['insufficient-storage', 507, 'full'],
  ['read-only', 503, 'read-only'],
  ['file-too-large', 413, 'too-large'],
  // A proxy's.
  ['unexpected-response', 413, 'too-large'],
  ['unsupported-media-type', 415, 'type'],
  ['invalid-name', 400, 'name'],
  ['digest-mismatch', 400, 'changed'],
  ['network-error', null, 'network'],
  ['unexpected-response', 502, 'network'],
  ['unauthorized', 401, 'unauthorized'],
  ['file-exists', 409, 'conflict'],
] as const)('explains %s (%s) as %s', async (code, status, reason) => {
  expect((await refusal(code, status)).code).toBe(reason)
})

it('waits as long as a busy server asks', async () => {
  expect(await refusal('too-many-requests', 429, 40)).toEqual({ code: 'busy', seconds: 40 })
})

it('gives an unknown refusal in the words of the server', async () => {
  expect(await refusal('invalid-request', 400)).toEqual({ code: 'other', detail: 'A detail.' })
})
