/**
 * Compare-and-swaps that may have to be tried again. Of many at one name only one wins each time. If all others tried again at once,
 * their work would grow with the square of their number.
 */
export interface Attempts {
  /** Repeats `attempt` until its result is not `null`. Those of one key that have failed once run one after the other. */
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
