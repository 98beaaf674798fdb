import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openAttempts } from '../../src/vault/files/attempts.ts'

const RACING = 50

/** A compare-and-swap: of all that saw the same version, one wins. */
function racing() {
  let [version, attempts] = [0, 0]
  const attempt = async () => {
    attempts += 1
    const seen = version
    await turn()
    if (seen !== version) return null
    version += 1
    return version
  }
  return { attempt, attempts: () => attempts }
}

describe('attempts', () => {
  it('of many that race are few in all, and each of them wins once', async () => {
    const { repeat } = openAttempts()
    const { attempt, attempts } = racing()
    const won = await Promise.all(Array.from({ length: RACING }, () => repeat('one', attempt)))
    expect(won.toSorted((a, b) => a - b)).toEqual(Array.from({ length: RACING }, (_, n) => n + 1))
    // All at once each time, they would be more than a thousand.
    expect(attempts()).toBeLessThan(3 * RACING)
  })

  it('go on where one before them fails', async () => {
    const { repeat } = openAttempts()
    let tries = 0
    const failing = repeat('one', async () => {
      tries += 1
      if (tries === 1) return null
      throw new Error('the disk is full')
    })
    const { attempt } = racing()
    const others = Array.from({ length: 3 }, () => repeat('one', attempt))
    await expect(failing).rejects.toThrow('the disk is full')
    expect((await Promise.all(others)).toSorted()).toEqual([1, 2, 3])
  })
})
