/**
 * Retries compare-and-swaps. If many change one name, one of them succeeds each time. If all others retried at once, their work would
 * grow with the square of their number.
 */
export interface Attempts {
  /** Repeats `attempt` until its result is not `null`. Attempts of one key that have failed once run one after the other. */
  repeat<Result>(key: string, attempt: () => Promise<Result | null>): Promise<Result>
}

export function openAttempts(): Attempts {
  /** The last one in the line of each key. */
  const lines = new Map<string, Promise<unknown>>()

  return {
    async repeat(key, attempt) {
      const first = await attempt()
      if (first !== null) return first
      const own = behind(lines.get(key), attempt)
      lines.set(key, own)
      try {
        return await own
      } finally {
        if (lines.get(key) === own) lines.delete(key)
      }
    },
  }
}

async function behind<Result>(
  before: Promise<unknown> | undefined,
  attempt: () => Promise<Result | null>,
): Promise<Result> {
  await before?.catch(() => {})
  for (;;) {
    const result = await attempt()
    if (result !== null) return result
  }
}
