/** Knows when an engine, a server, a disk or the machine is out of order: then errors are allowed. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Stalls } from './stalls.ts'

export interface Outages {
  /** Runs `fault`, and then waits until every server is ready again. */
  during<T>(fault: () => Promise<T>): Promise<T>
  /** No outage now, nor shortly before. */
  isCalm(): boolean
  /** Resolves when it is calm. */
  calm(): Promise<void>
}

/** Responses to requests of the outage, and retries of connections, may come this much later. */
const AFTER_MS = 1500
const POLL_MS = 100

export function openOutages(untilReady: () => Promise<void>, stalls: Stalls): Outages {
  let running = 0
  let endedAt = Number.NEGATIVE_INFINITY
  const isCalm = () => running === 0 && performance.now() - endedAt > AFTER_MS && !stalls.within(AFTER_MS)
  return {
    isCalm,
    async during(fault) {
      running += 1
      try {
        const result = await fault()
        await untilReady()
        return result
      } finally {
        running -= 1
        endedAt = performance.now()
      }
    },
    async calm() {
      while (!isCalm()) await pause(POLL_MS)
    },
  }
}
