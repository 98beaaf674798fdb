/**
 * Work that comes after an answer and must not tell what it is about: whoever sends many quick requests feels when the server is
 * busy. Each job begins at a random moment, so nobody knows which requests to compare, and jobs go one at a time. A job does the
 * same work whatever it finds.
 */
import { setMaxListeners } from 'node:events'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Needs } from './context.ts'

/** Jobs that wait, about 1 KiB each. */
const MOST_WAITING = 1000

/** A whole number of four random bytes. */
const RANGE = 2 ** 32

export interface Aside {
  /** Takes a job, unless too many wait. The operator hears of that once, until half of them are done. */
  take(doing: string, job: () => Promise<void>): boolean
  /** From now on no job waits for its moment. */
  hurry(): void
}

export function openAside({
  ports: { alarm, chance },
  rules: { asideMs },
  background,
}: Needs<'alarm' | 'chance', 'rules' | 'background'>): Aside {
  const hurrying = new AbortController()
  // Each job that waits listens.
  setMaxListeners(0, hurrying.signal)
  let waiting = 0
  let refusing = false
  let before: Promise<void> = Promise.resolve()

  return {
    take(doing, job) {
      if (waiting >= MOST_WAITING) {
        if (!refusing) alarm(new Error(`${MOST_WAITING} wait already; new ones are dropped`), doing)
        refusing = true
        return false
      }
      waiting += 1
      background(doing, inTurn(job))
      return true
    },

    hurry: () => hurrying.abort(),
  }

  async function inTurn(job: () => Promise<void>): Promise<void> {
    try {
      await moment()
      const turn = before.then(job)
      before = turn.catch(() => {})
      await turn
    } finally {
      waiting -= 1
      refusing &&= waiting > MOST_WAITING / 2
    }
  }

  async function moment(): Promise<void> {
    const { least, most } = asideMs
    const ms = least + ((most - least) * chance.bytes(4).readUInt32BE()) / RANGE
    await (ms > 0 ? pause(ms, undefined, { signal: hurrying.signal }).catch(() => {}) : nextTurn())
  }
}
