/** Work that no request waits for, and that the process does not leave behind when it closes. */
import type { Alarm } from '../ports/ports.ts'

/** Follows the work to its end; `doing` says to the operator what failed. */
export type Background = (doing: string, work: Promise<void>) => void

export function backgroundWork(alarm: Alarm): { run: Background; settled(): Promise<void> } {
  const running = new Set<Promise<void>>()
  return {
    run(doing, work) {
      const followed = work.catch((error: unknown) => alarm(error, doing)).finally(() => running.delete(followed))
      running.add(followed)
    },
    /** Resolves once nothing is under way. */
    async settled() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
