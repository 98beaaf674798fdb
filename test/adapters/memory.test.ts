import { describe, expect, it } from 'vitest'
import { memoryChangeNotices } from '../../src/adapters/memory/change-notices.ts'
import { memoryCounter } from '../../src/adapters/memory/counter.ts'
import { memoryPendingPins } from '../../src/adapters/memory/pending-pins.ts'
import { changeNoticesContract } from '../contracts/change-notices.ts'
import { actCounterContract, requestCounterContract } from '../contracts/counter.ts'
import { keep, pendingPin, pendingPinsContract } from '../contracts/pending-pins.ts'
import { MINUTE, testClock } from '../support/app.ts'

pendingPinsContract('memory', async (clock) => memoryPendingPins(clock))
actCounterContract('memory', async (clock) => memoryCounter(clock))
requestCounterContract('memory', async (clock) => memoryCounter(clock))
changeNoticesContract('memory', async () => {
  const notices = memoryChangeNotices()
  return [notices, notices]
})

it('memory has places for so many callers, and those who come anew share some until a window is over', async () => {
  const clock = testClock()
  const counter = memoryCounter(clock)
  const callers = Array.from({ length: 100_000 }, (_, n) => `caller-${n}`)
  const first = async () => {
    const answers = await Promise.all(callers.map((caller) => counter.count('sign-in', caller, MINUTE)))
    return answers.filter(({ count }) => count === 1).length
  }

  expect(await first()).toBe(10_000 + 4096)
  expect(await first()).toBe(0)
  clock.turn(MINUTE)
  expect((await counter.count('sign-in', 'caller-99999', MINUTE)).count).toBe(1)
})

describe('memory is bounded', () => {
  const clock = testClock()
  const of = (userId: string, deviceId: string) =>
    pendingPin(clock, { deviceId, origin: 'vouched', grant: { kind: 'user', userId, vouchedBy: null } })

  it('and drops the oldest PINs that anybody asked for, never one that a session asked for', async () => {
    const store = memoryPendingPins(clock)
    await keep(store, of('ada', 'of-ada'))
    for (let n = 0; n <= 10_000; n += 1) await keep(store, pendingPin(clock, { deviceId: `device-${n}` }))
    expect(await store.guess('device-0', 'pin', 5)).toEqual([])
    expect(await store.guess('device-1', 'pin', 5)).toHaveLength(1)
    expect(await store.guess('device-10000', 'pin', 5)).toHaveLength(1)
    expect(await store.guess('of-ada', 'pin', 5)).toHaveLength(1)
  })

  it('and of those of one user drops the user’s own', async () => {
    const store = memoryPendingPins(clock)
    await keep(store, of('ada', 'device-0'))
    for (let n = 0; n <= 100; n += 1) await keep(store, of('ben', `device-${n}`))
    expect((await store.guess('device-0', 'pin', 5)).map(({ grant }) => grant.userId)).toEqual(['ada'])
    expect(await store.guess('device-1', 'pin', 5)).toHaveLength(1)
    await keep(store, of('ben', 'device-1'))
    await keep(store, of('ben', 'device-0'))
    expect(await store.guess('device-2', 'pin', 5)).toEqual([])
    expect(await store.guess('device-1', 'pin', 5)).toHaveLength(1)
  })

  it('and of those of all users drops one of a user with several, as long as there is one', async () => {
    const store = memoryPendingPins(clock)
    await keep(store, of('ada', 'of-ada'))
    for (let n = 0; n < 9999; n += 1) await keep(store, of(`user ${n % 200}`, `device-${n}`))
    const pending = async (...devices: string[]) => {
      const found = []
      for (const device of devices) found.push((await store.guess(device, 'pin', 5)).length)
      return found
    }
    await keep(store, of('user 1', 'one-more'))
    await keep(store, of('ben', 'of-ben'))
    expect(await pending('of-ada', 'of-ben', 'one-more', 'device-0', 'device-1', 'device-2')).toEqual([
      1, 1, 1, 0, 0, 1,
    ])
    // Once each user has one, the oldest is dropped.
    for (let n = 0; n < 9999; n += 1) await keep(store, of(`other ${n}`, `other-${n}`))
    expect(await pending('of-ada', 'of-ben', 'other-0', 'other-9998')).toEqual([0, 1, 1, 1])
  })
})
