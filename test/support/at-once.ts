import { it, type TestContext } from 'vitest'

type Skip = (why?: string) => never
type Scenario = (context: { skip: Skip }) => Promise<void>

/**
 * Declares tests that mostly wait, and runs all of them at the same time. The first test ends when all have ended, so what they
 * leave to `onTestFinished` stays until then. (In tests of `it.concurrent` that hook would belong to any of them.)
 */
export function atOnce(scenarios: Record<string, Scenario>): void {
  let started: Map<string, Promise<void>> | null = null
  const start = () => new Map(Object.entries(scenarios).map(([title, run]) => [title, run({ skip })]))

  for (const title of Object.keys(scenarios)) {
    it(title, async (context) => {
      started ??= start()
      await Promise.allSettled(started.values())
      await started.get(title)?.catch((error) => skipOrThrow(error, context))
    })
  }
}

class Skipped extends Error {}

function skip(why?: string): never {
  throw new Skipped(why)
}

function skipOrThrow(error: unknown, context: TestContext): void {
  if (!(error instanceof Skipped)) throw error
  context.skip(error.message)
}
