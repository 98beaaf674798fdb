/** The contract of every store of pending PINs. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/ports/ports.ts'
import type { PendingPin, PendingPinStore, Put } from '../../src/ports/sign-in.ts'
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

const MOST = { mostUsers: 16, mostCompared: 32 }

/** Stores a PIN beside all other pending PINs of the device. */
export async function keep(store: PendingPinStore, pin: PendingPin): Promise<Put> {
  const first = await store.put(pin, { compared: [], ...MOST })
  return first.as === 'unlike' ? store.put(pin, { compared: idsOf(first.others), ...MOST }) : first
}

const idsOf = (pins: PendingPin[]) => pins.map(({ id }) => id)

export function pendingPinsContract(name: string, make: (clock: Clock) => Promise<PendingPinStore>) {
  describe(`${name} keeps pending PINs`, () => {
    const clock = testClock()
    const pin = (fields: Partial<PendingPin> = {}) => pendingPin(clock, fields)

    it.each(['', '\0', 'a\0b', '\u{10ffff}', '\ud800', 'x'.repeat(4096), ' ', '{}'])(
      'takes extreme values as any other, such as the device %j',
      async (deviceId) => {
        const store = await make(clock)
        expect(await store.guess(deviceId, 'pin', 5)).toEqual([])
        const lasting = pin({ deviceId, expiresAt: Number.MAX_SAFE_INTEGER })
        expect(await store.spend(lasting)).toBe(false)
        await store.put(pin({ deviceId, expiresAt: 0 }), { compared: [], ...MOST })
        expect(await store.guess(deviceId, 'pin', 5)).toEqual([])
        await store.put(lasting, { compared: [], ...MOST })
        expect(await store.guess(deviceId, 'pin', 0)).toEqual([])
        expect(await store.guess(deviceId, 'pin', Number.MAX_SAFE_INTEGER)).toEqual([lasting])
        expect(await store.spend({ ...lasting, id: '' })).toBe(false)
        expect(await store.spend(lasting)).toBe(true)
      },
    )

    it('answers nothing for a device that has none', async () => {
      const store = await make(clock)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([])
    })

    it('answers the PIN as it was put', async () => {
      const store = await make(clock)
      const put = pin({
        grant: { kind: 'registration', userId: 'u', name: 'Ada', email: 'a@b.org', confirmedBy: 'response' },
      })
      await keep(store, put)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([put])
    })

    it('replaces the older PIN of the same device and origin', async () => {
      const store = await make(clock)
      const newer = pin()
      await keep(store, pin())
      await keep(store, newer)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([newer])
    })

    it('keeps a vouched PIN beside an open one, and neither replaces the other', async () => {
      const store = await make(clock)
      const vouched = pin({ origin: 'vouched' })
      const open = pin()
      await keep(store, vouched)
      await keep(store, open)
      expect(new Set(await store.guess('device-1', 'pin', 5))).toEqual(new Set([vouched, open]))
    })

    const of = (userId: string, fields: Partial<PendingPin> = {}) =>
      pin({ origin: 'vouched', grant: { kind: 'user', userId, vouchedBy: null }, ...fields })

    it('keeps one vouched PIN for each user, and none replaces another user’s', async () => {
      const store = await make(clock)
      const [older, ben, open, ada] = [of('ada'), of('ben'), pin(), of('ada')]
      for (const one of [older, ben, open, ada]) await keep(store, one)
      expect(new Set(await store.guess('device-1', 'pin', 5))).toEqual(new Set([ben, open, ada]))
      expect(await store.spend(older)).toBe(false)
      expect(await store.spend(ben)).toBe(true)
      expect(new Set(await store.guess('device-1', 'pin', 5))).toEqual(new Set([open, ada]))
    })

    it('keeps none before it was compared with all others of the device', async () => {
      const store = await make(clock)
      const [ada, ben, open] = [of('ada'), of('ben'), pin()]
      await keep(store, ada)
      await keep(store, pin({ deviceId: 'device-2' }))
      expect(await store.put(ben, { compared: ['unknown'], ...MOST })).toEqual({ as: 'unlike', others: [ada] })
      expect(await store.guess('device-1', 'pin', 5)).toEqual([ada])
      expect(await store.put(ben, { compared: [ada.id], ...MOST })).toEqual({ as: 'kept' })
      expect(await store.put(open, { compared: [ada.id], ...MOST })).toMatchObject({ as: 'unlike' })
      // The new PIN replaces the earlier PIN of ada, so these two need not differ.
      expect(await store.put(of('ada'), { compared: [ben.id], ...MOST })).toEqual({ as: 'kept' })
    })

    it('keeps no two that were not compared, however many race', async () => {
      const store = await make(clock)
      const puts = Array.from({ length: 10 }, (_, n) => store.put(of(`user-${n}`), { compared: [], ...MOST }))
      expect((await Promise.all(puts)).filter(({ as }) => as === 'kept')).toHaveLength(1)
    })

    it('takes so many users for a device, and then one when another’s PIN is over', async () => {
      const store = await make(clock)
      const begun = clock()
      for (let n = 0; n < 16; n += 1) {
        await keep(store, of(`user-${n}`))
        clock.turn(1)
      }
      const [further, known, open] = [of('ada'), of('user-3'), pin()]
      expect(await keep(store, further)).toEqual({ as: 'full', until: begun + 5 * MINUTE })
      expect(await keep(store, known)).toEqual({ as: 'kept' })
      expect(await keep(store, open)).toEqual({ as: 'kept' })
      expect(await store.guess('device-1', 'pin', 5)).toHaveLength(17)
      clock.turn(begun + 5 * MINUTE - clock())
      expect(await keep(store, further)).toEqual({ as: 'kept' })
    })

    it('compares a PIN with so many later ones of its device, and then takes no other until it is over, spent or replaced', async () => {
      const store = await make(clock)
      const [open, until] = [pin(), clock() + 5 * MINUTE]
      await keep(store, open)
      clock.turn(MINUTE)
      for (let n = 0; n < 32; n += 1) expect(await keep(store, of('ada'))).toEqual({ as: 'kept' })
      expect(await keep(store, of('ada'))).toEqual({ as: 'full', until })
      expect(await keep(store, of('ben'))).toEqual({ as: 'full', until })
      expect(await keep(store, of('ada', { deviceId: 'device-2' }))).toEqual({ as: 'kept' })
      expect(await store.guess('device-1', 'pin', 5)).toHaveLength(2)
      expect(await keep(store, pin())).toEqual({ as: 'kept' })
      for (let n = 0; n < 32; n += 1) expect(await keep(store, of('ada'))).toEqual({ as: 'kept' })
      expect(await keep(store, of('ada'))).toMatchObject({ as: 'full' })
      clock.turn(5 * MINUTE)
      expect(await keep(store, of('ada'))).toEqual({ as: 'kept' })
      const latest = pin()
      await keep(store, latest)
      for (let n = 0; n < 32; n += 1) await keep(store, of('ada'))
      await store.spend(latest)
      expect(await keep(store, of('ada'))).toEqual({ as: 'kept' })
      // The open PIN is compared with, and so are all those of users.
      for (let n = 0; n < 32; n += 1) expect(await keep(store, pin())).toEqual({ as: 'kept' })
      expect(await keep(store, pin())).toMatchObject({ as: 'full' })
    })

    it('compares no PIN with more, however many race', async () => {
      const store = await make(clock)
      const open = pin()
      await keep(store, open)
      const compared = { compared: [open.id], ...MOST }
      const puts = await Promise.all(Array.from({ length: 50 }, () => store.put(of('ada'), compared)))
      expect(puts.filter(({ as }) => as === 'kept')).toHaveLength(32)
    })

    it('counts the guesses at each PIN by itself', async () => {
      const store = await make(clock)
      const [ada, ben] = [of('ada'), of('ben')]
      await keep(store, ada)
      for (let n = 0; n < 3; n += 1) await store.guess('device-1', 'pin', 5)
      await keep(store, ben)
      for (let n = 0; n < 2; n += 1) await store.guess('device-1', 'pin', 5)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([ben])
    })

    it('shows a PIN to so many guesses and no more', async () => {
      const store = await make(clock)
      await keep(store, pin())
      const seen = []
      for (let guess = 1; guess <= 7; guess += 1) seen.push((await store.guess('device-1', 'pin', 5)).length)
      expect(seen).toEqual([1, 1, 1, 1, 1, 0, 0])
    })

    it('shows a code to any number of guesses', async () => {
      const store = await make(clock)
      const code = pin({ kind: 'code', address: randomBytes(32) })
      await keep(store, code)
      for (let guess = 1; guess <= 20; guess += 1) expect(await store.guess('device-1', 'code', 5)).toEqual([code])
    })

    it('answers no PIN to a guess at a code, and counts the guess against none, of any origin', async () => {
      const store = await make(clock)
      const [ada, open] = [of('ada'), pin({ address: randomBytes(32) })]
      await keep(store, ada)
      await keep(store, open)
      for (let guess = 1; guess <= 6; guess += 1) expect(await store.guess('device-1', 'code', 5)).toEqual([])
      for (let guess = 1; guess <= 5; guess += 1) {
        expect(new Set(await store.guess('device-1', 'pin', 5))).toEqual(new Set([ada, open]))
      }
      expect(await store.guess('device-1', 'pin', 5)).toEqual([])
    })

    it('shows a code to no guess at a PIN, and a PIN beside it to no guess at a code', async () => {
      const store = await make(clock)
      const [ada, code] = [of('ada'), pin({ kind: 'code', address: randomBytes(32) })]
      await keep(store, ada)
      await keep(store, code)
      for (let guess = 1; guess <= 6; guess += 1) {
        expect(await store.guess('device-1', 'pin', 5)).toEqual(guess <= 5 ? [ada] : [])
        expect(await store.guess('device-1', 'code', 5)).toEqual([code])
      }
    })

    it('counts exactly when guesses race', async () => {
      const store = await make(clock)
      await keep(store, pin())
      const answers = await Promise.all(Array.from({ length: 50 }, () => store.guess('device-1', 'pin', 5)))
      expect(answers.filter((answer) => answer.length === 1)).toHaveLength(5)
    })

    it('gives a new PIN all its guesses', async () => {
      const store = await make(clock)
      await keep(store, pin())
      for (let guess = 1; guess <= 6; guess += 1) await store.guess('device-1', 'pin', 5)
      await keep(store, pin())
      expect(await store.guess('device-1', 'pin', 5)).toHaveLength(1)
    })

    it('lets exactly one of many spend a PIN', async () => {
      const store = await make(clock)
      const put = pin()
      await keep(store, put)
      const answers = await Promise.all(Array.from({ length: 50 }, () => store.spend(put)))
      expect(answers.filter((spent) => spent)).toHaveLength(1)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([])
    })

    it('does not spend a PIN that was replaced', async () => {
      const store = await make(clock)
      const older = pin()
      const newer = pin()
      await keep(store, older)
      await keep(store, newer)
      expect(await store.spend(older)).toBe(false)
      expect(await store.spend(newer)).toBe(true)
    })

    it('forgets a PIN at its end, and what came before with the next put', async () => {
      const store = await make(clock)
      await keep(store, pin())
      clock.turn(5 * MINUTE)
      expect(await store.guess('device-1', 'pin', 5)).toEqual([])
      const other = pin({ deviceId: 'device-2' })
      await keep(store, other)
      expect(await store.guess('device-2', 'pin', 5)).toEqual([other])
      expect(await store.guess('device-1', 'pin', 5)).toEqual([])
    })
  })
}
