import { it } from 'vitest'

/**
 * Declares tests that mostly wait, and runs all of them at the same time. The first test ends when all have ended, so what they
 * leave to `onTestFinished` stays until then. (In tests of `it.concurrent` that hook would belong to any of them.)
 */
export function atOnce(tests: Record<string, () => Promise<void>>): void {
  let started: Map<string, Promise<void>> | null = null
  const start = () => new Map(Object.entries(tests).map(([title, test]) => [title, test()]))

  for (const title of Object.keys(tests)) {
    it(title, async () => {
      started ??= start()
      await Promise.allSettled(started.values())
      await started.get(title)
    })
  }
}
