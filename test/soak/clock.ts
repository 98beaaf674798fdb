/** The clock of the servers and commands. The phones go by it, too. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const DAY_MS = 24 * 60 * 60 * 1000
const PRELOAD = join(import.meta.dirname, 'shifted-clock.mjs')
/** Longer than `shifted-clock.mjs` takes to see it. */
const SEEN_MS = 50

export interface Clock {
  /** For the environment of a process. */
  settings: Record<string, string>
  now(): number
  /** The days that have passed by `advance`. */
  days(): number
  advance(days: number): Promise<void>
}

export function clockIn(folder: string): Clock {
  const file = join(folder, 'clock')
  let days = 0
  writeFileSync(file, '0')
  return {
    settings: { NODE_OPTIONS: `--import=${PRELOAD}`, SHIFTED_CLOCK: file },
    now: () => Date.now() + days * DAY_MS,
    days: () => days,
    async advance(more) {
      days += more
      writeFileSync(file, String(days * DAY_MS))
      await pause(SEEN_MS)
    },
  }
}
