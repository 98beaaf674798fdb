/** Work that no request waits for. The process waits for it before it closes. */
import type { Needs } from './context.ts'

/** Registers work in the background and logs its error; `doing` names the work in the log. */
export type Background = (doing: string, work: Promise<void>) => void

/**
 * Repeats a step as long as it returns true. False if it ended early because the process closes: the step must be one that
 * the sweeper of a later start goes on with.
 */
export type Repeat = (step: () => Promise<boolean>) => Promise<boolean>

export interface BackgroundWork {
  run: Background
  repeat: Repeat
  /** Resolves once no work is running. */
  settled(): Promise<void>
  /** The same, and no step is repeated any more. */
  end(): Promise<void>
}

export function openBackgroundWork({ ports: { alarm } }: Needs<'alarm'>): BackgroundWork {
  const running = new Set<Promise<void>>()
  let ending = false
  return {
    run(doing, work) {
      const followed = work.catch((error: unknown) => alarm(error, doing)).finally(() => running.delete(followed))
      running.add(followed)
    },
    async repeat(step) {
      while (!ending) if (!(await step())) return true
      return false
    },
    settled,
    end() {
      ending = true
      return settled()
    },
  }

  async function settled() {
    while (running.size > 0) await Promise.all(running)
  }
}
