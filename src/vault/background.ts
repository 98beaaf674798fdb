/** Work that no request waits for. The process waits for it before it closes. */
import type { Needs } from './context.ts'

/** Registers work in the background and logs its error; `doing` names the work in the log. */
export type Background = (doing: string, work: Promise<void>) => void

export interface BackgroundWork {
  run: Background
  /** Resolves once no work is running. */
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
