/** How much the scrubber may read: at a constant rate, so that one round through everything takes `ROUND` of `scrubMs`. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ReadBack } from '../../ports/files.ts'
import type { Needs } from '../context.ts'

const SECOND_MS = 1000
const DAY_MS = 24 * 60 * 60 * SECOND_MS
const KiB = 1024
const MiB = 1024 * KiB

/** One round through everything takes this part of `scrubMs`. The rest is for times when the server does not run. */
export const ROUND = 0.8
/** From this part of `scrubMs` on a read-back is late, and the rate is raised. */
const LATE = 0.9
const HURRY = 4
/** The highest rate of a server. */
const MOST_BYTES_PER_MS = (16 * MiB) / SECOND_MS
/** While a file is read. Twice the highest rate, because the time of reading itself is not counted. */
const PACE_BYTES_PER_MS = 2 * MOST_BYTES_PER_MS
const LEAST_PAUSE_MS = 10
/** The cost of opening any file, as bytes. */
const FILE_COST = 64 * KiB
/** Time without calls counts up to this, so that a server that stood still does not read for hours. */
const MOST_SAVED_MS = 10 * 60 * SECOND_MS

export interface ScrubBudget {
  /** Adds what the time since the last call allows. If that is not enough, it is logged, at most once a day. */
  grow(): Promise<void>
  /** Whether another file may be read. */
  isLeft(): boolean
  /** Takes the cost of a file. A large one leaves a debt. */
  spend(sizeBytes: number): void
  /** Nothing was due. One file may be read once there is one. */
  reset(): void
  /** Pauses after so many bytes, so that a large file is not read at full speed. Throws `ECANCELED` if the server stops. */
  pace(bytes: number): Promise<void>
}

export function openScrubBudget({
  ports: { users, files, ledger, clock, alarm },
  rules: { scrubMs },
  stopping,
}: Needs<'users' | 'files' | 'ledger' | 'clock' | 'alarm', 'rules'> & { stopping: AbortSignal }): ScrubBudget {
  let lastAt: number | null = null
  let warnedAt = Number.NEGATIVE_INFINITY
  /** The cost of what may be read now. At the start one file may be read. */
  let credit = 1
  let owedMs = 0

  return {
    async grow() {
      const now = clock()
      const passedMs = Math.min(Math.max(0, now - (lastAt ?? now)), MOST_SAVED_MS)
      lastAt = now
      const rate = await rateAt(now)
      credit = Math.min(credit + rate * passedMs, Math.max(1, rate * MOST_SAVED_MS))
    },

    isLeft: () => credit > 0,

    spend(sizeBytes) {
      credit -= sizeBytes + FILE_COST
    },

    reset() {
      credit = 1
    },

    async pace(bytes) {
      owedMs += bytes / PACE_BYTES_PER_MS
      if (owedMs < LEAST_PAUSE_MS && !stopping.aborted) return
      const ms = owedMs
      owedMs = 0
      await pause(ms, undefined, { signal: stopping }).catch((cause) => {
        throw Object.assign(new Error('the server closes', { cause }), { code: 'ECANCELED' })
      })
    },
  }

  /** In bytes of cost for each millisecond. Each server reads its share. */
  async function rateAt(now: number): Promise<number> {
    const { files: live, trashFiles, bytes } = await users.total()
    const [oldest] = await files.readBack({ from: 1, before: now - LATE * scrubMs }, 1)
    const servers = Math.max(1, (await ledger.livingRuns()).length)
    const needed = (bytes + FILE_COST * (live + trashFiles)) / (ROUND * scrubMs)
    const wanted = needed * (oldest ? HURRY : 1)
    warn(now, needed, oldest)
    return Math.min(wanted, MOST_BYTES_PER_MS) / servers
  }

  /** At most once a day. */
  function warn(now: number, needed: number, oldest: ReadBack | undefined): void {
    const isOverdue = oldest !== undefined && oldest.at < now - scrubMs
    if ((needed <= MOST_BYTES_PER_MS && !isOverdue) || now - warnedAt < DAY_MS) return
    warnedAt = now
    const MiBs = ((needed * SECOND_MS) / MiB).toFixed(1)
    const last = isOverdue ? `; one was last read back at ${new Date(oldest.at).toISOString()}` : ''
    const why = new Error(`files must be read at ${MiBs} MiB/s for this, and at most 16 are read${last}`)
    alarm(why, 'reading all files back within SCRUB_DAYS')
  }
}
