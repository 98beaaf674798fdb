/** What every store of pending PINs promises. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Clock, PendingPin, PendingPinStore } from '../../src/ports.ts'
import { MINUTE, testClock } from '../support/app.ts'

export function pendingPin(clock: Clock, fields: Partial<PendingPin> = {}): PendingPin {
  return {
    id: randomBytes(8).toString('hex'),
    deviceId: 'device-1',
    origin: 'open',
    kind: 'pin',
    address: null,
    digest: randomBytes(32),
    grant: { kind: 'user', userId: 'ada', vouchedBy: null },
    expiresAt: clock() + 5 * MINUTE,
    ...fields,
  }
}

export function pendingPinsContract(name: string, make: (clock: Clock) => Promise<PendingPinStore>) {
  describe(`${name} keeps pending PINs`, () => {
    const clock = testClock()
    const pin = (fields: Partial<PendingPin> = {}) => pendingPin(clock, fields)

    it.each(['', '\0', 'a\0b', '\u{10ffff}', '\ud800', 'x'.repeat(4096), ' ', '{}'])(
      'takes extreme values as any other, such as the device %j',
      async (deviceId) => {
        const store = await make(clock)
        expect(await store.guess(deviceId, 5)).toEqual([])
        const lasting = pin({ deviceId, expiresAt: Number.MAX_SAFE_INTEGER })
        expect(await store.spend(lasting)).toBe(false)
        await store.put(pin({ deviceId, expiresAt: 0 }))
        expect(await store.guess(deviceId, 5)).toEqual([])
        await store.put(lasting)
        expect(await store.guess(deviceId, 0)).toEqual([])
        expect(await store.guess(deviceId, Number.MAX_SAFE_INTEGER)).toEqual([lasting])
        expect(await store.spend({ ...lasting, id: '' })).toBe(false)
        expect(await store.spend(lasting)).toBe(true)
      },
    )

    it('answers nothing for a device that has none', async () => {
      const store = await make(clock)
      expect(await store.guess('device-1', 5)).toEqual([])
    })

    it('answers the PIN as it was put', async () => {
      const store = await make(clock)
      const put = pin({
        grant: { kind: 'registration', userId: 'u', name: 'Ada', email: 'a@b.org', confirmedBy: 'response' },
      })
      await store.put(put)
      expect(await store.guess('device-1', 5)).toEqual([put])
    })

    it('replaces the older PIN of the same device and origin', async () => {
      const store = await make(clock)
      const newer = pin()
      await store.put(pin())
      await store.put(newer)
      expect(await store.guess('device-1', 5)).toEqual([newer])
    })

    it('keeps a vouched PIN beside an open one, and neither replaces the other', async () => {
      const store = await make(clock)
      const vouched = pin({ origin: 'vouched' })
      const open = pin()
      await store.put(vouched)
      await store.put(open)
      expect(new Set(await store.guess('device-1', 5))).toEqual(new Set([vouched, open]))
    })

    it('shows a PIN to so many guesses and no more', async () => {
      const store = await make(clock)
      await store.put(pin())
      const seen = []
      for (let guess = 1; guess <= 7; guess += 1) seen.push((await store.guess('device-1', 5)).length)
      expect(seen).toEqual([1, 1, 1, 1, 1, 0, 0])
    })

    it('shows a code to any number of guesses', async () => {
      const store = await make(clock)
      const code = pin({ kind: 'code', address: randomBytes(32) })
      await store.put(code)
      for (let guess = 1; guess <= 20; guess += 1) expect(await store.guess('device-1', 5)).toEqual([code])
    })

    it('counts exactly when guesses race', async () => {
      const store = await make(clock)
      await store.put(pin())
      const answers = await Promise.all(Array.from({ length: 50 }, () => store.guess('device-1', 5)))
      expect(answers.filter((answer) => answer.length === 1)).toHaveLength(5)
    })

    it('gives a new PIN all its guesses', async () => {
      const store = await make(clock)
      await store.put(pin())
      for (let guess = 1; guess <= 6; guess += 1) await store.guess('device-1', 5)
      await store.put(pin())
      expect(await store.guess('device-1', 5)).toHaveLength(1)
    })

    it('lets exactly one of many spend a PIN', async () => {
      const store = await make(clock)
      const put = pin()
      await store.put(put)
      const answers = await Promise.all(Array.from({ length: 50 }, () => store.spend(put)))
      expect(answers.filter((spent) => spent)).toHaveLength(1)
      expect(await store.guess('device-1', 5)).toEqual([])
    })

    it('does not spend a PIN that was replaced', async () => {
      const store = await make(clock)
      const older = pin()
      const newer = pin()
      await store.put(older)
      await store.put(newer)
      expect(await store.spend(older)).toBe(false)
      expect(await store.spend(newer)).toBe(true)
    })

    it('forgets a PIN at its end, and what came before with the next put', async () => {
      const store = await make(clock)
      await store.put(pin())
      clock.turn(5 * MINUTE)
      expect(await store.guess('device-1', 5)).toEqual([])
      const other = pin({ deviceId: 'device-2' })
      await store.put(other)
      expect(await store.guess('device-2', 5)).toEqual([other])
      expect(await store.guess('device-1', 5)).toEqual([])
    })
  })
}
