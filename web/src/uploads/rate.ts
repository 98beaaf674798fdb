/** How long the rest will take, roughly. */

const WINDOW_MS = 20_000
/** Before this the rate says nothing. */
const LEAST_MS = 3000

export interface Rate {
  /** `stored` of all bytes are stored now. */
  note(stored: number, now: number): void
  /** `null` as long as it cannot be known. */
  remainingMs(rest: number): number | null
  reset(): void
}

/** Counts what was stored within the last 20 seconds. */
export function openRate(): Rate {
  let samples: { at: number; stored: number }[] = []
  return {
    note(stored, now) {
      const last = samples.at(-1)
      if (last && now - last.at < 250) return
      samples = [...samples.filter(({ at }) => now - at <= WINDOW_MS), { at: now, stored }]
    },
    remainingMs(rest) {
      const [first, last] = [samples[0], samples.at(-1)]
      if (!first || !last || last.at - first.at < LEAST_MS || last.stored <= first.stored) return null
      return (rest * (last.at - first.at)) / (last.stored - first.stored)
    },
    reset() {
      samples = []
    },
  }
}
