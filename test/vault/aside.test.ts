import { expect, it } from 'vitest'
import type { VaultRules } from '../../src/ports/ports.ts'
import { openAside } from '../../src/vault/aside.ts'
import { openBackgroundWork } from '../../src/vault/background.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { AT_ONCE } from '../support/app.ts'

const LONG = { least: 1_000_000, most: 1_000_000 }

function setUp(asideMs: VaultRules['asideMs']) {
  const alarms: string[] = []
  const alarm = (error: unknown, doing: string) => void alarms.push(`${doing}: ${(error as Error).message}`)
  const background = openBackgroundWork({ ports: { alarm } })
  const aside = openAside({
    ports: { alarm, chance: cryptographicChance },
    rules: { asideMs } as VaultRules,
    background: background.run,
  })
  return { aside, alarms, settled: background.settled }
}

it('does one job at a time, and goes on after one that fails', async () => {
  const { aside, alarms, settled } = setUp(AT_ONCE)
  let underWay = 0
  const done: number[] = []
  for (let n = 0; n < 5; n += 1) {
    aside.take('working', async () => {
      underWay += 1
      expect(underWay).toBe(1)
      await new Promise(setImmediate)
      underWay -= 1
      if (n === 2) throw new Error('job 2')
      done.push(n)
    })
  }
  expect(done).toEqual([])
  await settled()
  expect(done).toEqual([0, 1, 3, 4])
  expect(alarms).toEqual(['working: job 2'])
})

it('takes a thousand jobs and drops more, of which the operator hears once', async () => {
  const { aside, alarms, settled } = setUp(LONG)
  let done = 0
  const job = async () => {
    done += 1
  }
  const taken = Array.from({ length: 1500 }, () => aside.take('working', job)).filter((took) => took)
  expect(taken).toHaveLength(1000)
  expect(alarms).toEqual(['working: 1000 wait already; new ones are dropped'])
  await new Promise(setImmediate)
  expect(done).toBe(0)
  // The server closes: nothing waits for its moment any more.
  aside.hurry()
  await settled()
  expect(done).toBe(1000)
  expect(aside.take('working', job)).toBe(true)
  await settled()
  expect(done).toBe(1001)
})
