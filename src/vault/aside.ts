/**
 * Jobs after a response. A job must not reveal what it is about, because a client that sends many quick requests can
 * measure when the server is busy. So each job begins at a random moment, and one job runs at a time. It does the same
 * work whatever it finds.
 */
import { setMaxListeners } from 'node:events'
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { Needs } from './context.ts'

/** Jobs that wait, of about 1 KiB each. */
const MOST_WAITING = 1000

/** The number of values of four random bytes. */
const RANGE = 2 ** 32

export interface Aside {
  /**
   * Takes a job. False if too many jobs wait; then the job is not taken. That is logged once, until half of the jobs
   * are done.
   */
  take(doing: string, job: () => Promise<void>): boolean
  /** From now on jobs start without a delay. */
  hurry(): void
}

export function openAside({
  ports: { alarm, chance },
  rules: { asideMs },
  background,
}: Needs<'alarm' | 'chance', 'rules' | 'background'>): Aside {
  const hurrying = new AbortController()
  // Each waiting job adds a listener.
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
