/** The contract of every counter of events and requests. */
import { describe, expect, it } from 'vitest'
import type { EventCounter, RequestCounter } from '../../src/ports/counters.ts'
import type { Clock } from '../../src/ports/ports.ts'
import { DAY, MINUTE, SECOND, testClock } from '../support/app.ts'

const many = Array.from({ length: 50 })

export function actCounterContract(name: string, make: (clock: Clock) => Promise<EventCounter>) {
  describe(`${name} counts acts`, () => {
    it('and lets so many pass within a window, and no more', async () => {
      const counter = await make(testClock())
      const answers = []
      for (let event = 1; event <= 5; event += 1) answers.push(await counter.take('ada', 3, MINUTE))
      expect(answers).toEqual([true, true, true, false, false])
    })

    it('and none, or any number, where that is what may pass', async () => {
      const counter = await make(testClock())
      expect([await counter.take('', 0, 1), await counter.take('', Number.MAX_SAFE_INTEGER, 1)]).toEqual([false, true])
    })

    it('exactly when they race', async () => {
      const counter = await make(testClock())
      const answers = await Promise.all(many.map(() => counter.take('ada', 20, MINUTE)))
      expect(answers.filter((passed) => passed)).toHaveLength(20)
    })

    it('each key by itself', async () => {
      const counter = await make(testClock())
      await counter.take('ada', 1, MINUTE)
      expect([await counter.take('ada', 1, MINUTE), await counter.take('ben', 1, MINUTE)]).toEqual([false, true])
    })

    it('anew once the window is over', async () => {
      const clock = testClock()
      const counter = await make(clock)
      await counter.take('ada', 1, MINUTE)
      clock.turn(MINUTE - 1)
      expect(await counter.take('ada', 1, MINUTE)).toBe(false)
      clock.turn(1)
      expect(await counter.take('ada', 1, MINUTE)).toBe(true)
    })

    it('without end where there is no limit', async () => {
      const counter = await make(testClock())
      const answers = await Promise.all(many.map(() => counter.take('ada', Number.POSITIVE_INFINITY, MINUTE)))
      expect(answers).not.toContain(false)
    })
  })
}

export function requestCounterContract(name: string, make: (clock: Clock) => Promise<RequestCounter>) {
  describe(`${name} counts requests`, () => {
    it.each(['', '\0', '\u{10ffff}', '\ud800', 'x'.repeat(4096)])(
      'takes any text, such as the caller %j',
      async (caller) => {
        const counter = await make(testClock())
        const windowMs = 10_000 * DAY
        expect(await counter.count('', caller, windowMs)).toEqual({ count: 1, leftMs: windowMs })
        expect(await counter.count('', caller, windowMs)).toEqual({ count: 2, leftMs: windowMs })
        expect(await counter.count(caller, '', 1)).toEqual({ count: 1, leftMs: 1 })
      },
    )

    it('and tells how many there were, and how long the window stays open', async () => {
      const clock = testClock()
      const counter = await make(clock)
      expect(await counter.count('sign-in', 'ada', MINUTE)).toEqual({ count: 1, leftMs: MINUTE })
      clock.turn(20 * SECOND)
      expect(await counter.count('sign-in', 'ada', MINUTE)).toEqual({ count: 2, leftMs: 40 * SECOND })
      clock.turn(40 * SECOND)
      expect(await counter.count('sign-in', 'ada', MINUTE)).toEqual({ count: 1, leftMs: MINUTE })
    })

    it('and counts one as so many as it costs', async () => {
      const clock = testClock()
      const counter = await make(clock)
      expect(await counter.count('requests', 'ada', MINUTE, 20)).toEqual({ count: 20, leftMs: MINUTE })
      expect(await counter.count('requests', 'ada', MINUTE, 3)).toEqual({ count: 23, leftMs: MINUTE })
      expect(await counter.count('requests', 'ada', MINUTE)).toEqual({ count: 24, leftMs: MINUTE })
    })

    it('in a window that is no longer for a clock that is set back', async () => {
      const clock = testClock()
      const counter = await make(clock)
      await counter.count('sign-in', 'ada', MINUTE)
      await counter.count('sign-in', 'ben', MINUTE)
      clock.turn(-DAY)
      expect((await counter.count('sign-in', 'ada', MINUTE)).leftMs).toBeLessThanOrEqual(MINUTE)
      expect((await counter.count('sign-in', 'ben', MINUTE)).leftMs).toBeLessThanOrEqual(MINUTE)
    })

    it('giving each its own number when they race', async () => {
      const counter = await make(testClock())
      const answers = await Promise.all(many.map(() => counter.count('sign-in', 'ada', MINUTE)))
      expect(new Set(answers.map(({ count }) => count)).size).toBe(50)
    })

    it('each caller and each limit by itself', async () => {
      const counter = await make(testClock())
      await counter.count('sign-in', 'ada', MINUTE)
      expect((await counter.count('sign-in', 'ben', MINUTE)).count).toBe(1)
      expect((await counter.count('register', 'ada', MINUTE)).count).toBe(1)
    })

    it('of one caller on, however many others come', async () => {
      const counter = await make(testClock())
      await counter.count('sign-in', 'ada', MINUTE)
      for (let at = 0; at < 30_000; at += 50) {
        const others = Array.from({ length: 50 }, (_, n) => counter.count('sign-in', `other-${at + n}`, MINUTE))
        await Promise.all(others)
      }
      expect((await counter.count('sign-in', 'ada', MINUTE)).count).toBe(2)
    })
  })
}
