/** Knows when the machine itself stands still, because other work has its processors or its disk. */
import { setTimeout as pause } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/** The servers wait for an engine for 0.45 to 1.5 s, so a machine that needs less makes nothing fail. */
const STALL_MS = 300
const PROBE_MS = 100

export interface Stalls {
  count: number
  /** A stall now, or one that ended within the last `ms`. */
  within(ms: number): boolean
}

/** `commit` is one in the engine of the servers, past the lines that can fail. */
export function watchStalls(commit: () => Promise<unknown>): Stalls {
  let isOver = false
  let begunAt = performance.now()
  let endedAt = Number.NEGATIVE_INFINITY
  const lasts = () => performance.now() - begunAt > PROBE_MS + STALL_MS
  const stalls = { count: 0, within: (ms: number) => lasts() || performance.now() - endedAt <= ms }
  const probing = probe()
  onTestFinished(async () => {
    isOver = true
    await probing
  })
  return stalls

  async function probe() {
    while (!isOver) {
      begunAt = performance.now()
      await Promise.all([pause(PROBE_MS), commit()])
      if (!lasts()) continue
      stalls.count += 1
      endedAt = performance.now()
    }
  }
}
