/** Work that no request waits for, and that the process does not leave behind when it closes. */
import type { Needs } from './context.ts'

/** Follows the work to its end; `doing` says to the operator what failed. */
export type Background = (doing: string, work: Promise<void>) => void

export interface BackgroundWork {
  run: Background
  /** Resolves once nothing is under way. */
  settled(): Promise<void>
}

export function openBackgroundWork({ ports: { alarm } }: Needs<'alarm'>): BackgroundWork {
  const running = new Set<Promise<void>>()
  return {
    run(doing, work) {
      const followed = work.catch((error: unknown) => alarm(error, doing)).finally(() => running.delete(followed))
      running.add(followed)
    },
    async settled() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
