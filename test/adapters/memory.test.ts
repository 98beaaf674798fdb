import { expect, it } from 'vitest'
import { memoryCounter } from '../../src/adapters/memory/counter.ts'
import { memoryPendingPins } from '../../src/adapters/memory/pending-pins.ts'
import { actCounterContract, requestCounterContract } from '../contracts/counter.ts'
import { pendingPinsContract } from '../contracts/pending-pins.ts'
import { MINUTE, testClock } from '../support/app.ts'

pendingPinsContract('memory', async (clock) => memoryPendingPins(clock))
actCounterContract('memory', async (clock) => memoryCounter(clock))
requestCounterContract('memory', async (clock) => memoryCounter(clock))

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
