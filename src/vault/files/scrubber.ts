/**
 * Reads everything back within `scrubMs`, in small pieces, so that damage is found while a backup or a phone still has the
 * file. The time of the last read-back of each file is its only state, so a restart goes on where it was.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { Caller } from '../../ports/accounts.ts'
import type { ReadBack } from '../../ports/files.ts'
import type { Needs } from '../context.ts'

const SECOND_MS = 1000
const DAY_MS = 24 * 60 * 60 * SECOND_MS
const KiB = 1024
const MiB = 1024 * KiB

/** One round through everything takes this part of `scrubMs`. The rest is for times when the server does not run. */
const ROUND = 0.8
/** A file is not read back again before this part of `scrubMs`. */
const REST = 0.1
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
const PAGE = 20
/** The clocks of two servers may differ by this. A later time was recorded before the clock was set back. */
const AHEAD_MS = 60 * 60 * SECOND_MS

/** The caller in the activity list of an account. */
const SERVER: Caller = { address: '', userAgent: 'the server, which reads files back', requestId: '' }

export interface Scrubber {
  /**
   * Reads back what is due, as much as the time since the last call allows. If another call runs, waits for its end. Damage
   * is logged, and noted once in the activity list of its owner. Then the file is left alone like any other, until it is due
   * again.
   */
  scrub(): Promise<void>
  /** Ends the running call. */
  stop(): Promise<void>
}

/** What this process has read since it began its present round. A round ends when every file was read back since its start. */
interface Round {
  startedAt: number
  files: number
  bytes: number
  /** Files that did not open. */
  damaged: number
}

export function openScrubber({
  ports,
  rules: { scrubMs, readOnly },
  keys,
  activity,
  readBacks,
  observe,
}: Needs<
  'users' | 'keySlots' | 'files' | 'ledger' | 'clock' | 'alarm' | 'notice',
  'rules' | 'keys' | 'activity' | 'readBacks' | 'observe'
>): Scrubber {
  const { users, keySlots, files, ledger, clock, alarm, notice } = ports
  const stopping = new AbortController()
  let running: Promise<void> | null = null
  let lastAt: number | null = null
  let warnedAt = Number.NEGATIVE_INFINITY
  /** The cost of what may be read now. A large file leaves a debt. At the start one file may be read. */
  let credit = 1
  let owedMs = 0
  let round = newRound()

  return {
    scrub() {
      if (readOnly || scrubMs === 0 || stopping.signal.aborted) return Promise.resolve()
      running ??= slice()
        .catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ECANCELED') alarm(error, 'reading files back')
        })
        .finally(() => {
          running = null
        })
      return running
    },

    async stop() {
      stopping.abort()
      await running
    },
  }

  async function slice(): Promise<void> {
    const now = clock()
    const passedMs = Math.min(Math.max(0, now - (lastAt ?? now)), MOST_SAVED_MS)
    lastAt = now
    const rate = await rateAt(now)
    credit = Math.min(credit + rate * passedMs, Math.max(1, rate * MOST_SAVED_MS))
    if (credit > 0 && (await due()).length > 0) await ledger.takeTurn(readDue, 'reading-back')
    await endRound()
  }

  function newRound(): Round {
    return { startedAt: clock(), files: 0, bytes: 0, damaged: 0 }
  }

  async function endRound(): Promise<void> {
    if (round.files === 0 || (await files.readBack({ from: 0, before: round.startedAt }, 1)).length > 0) return
    const { startedAt, ...read } = round
    notice({ ...read, startedAt: new Date(startedAt).toISOString() }, 'read everything back')
    round = newRound()
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

  async function readDue(): Promise<void> {
    while (credit > 0) {
      const page = await due()
      if (page.length === 0) {
        credit = 1
        return
      }
      try {
        for (const file of page) {
          if (credit <= 0) break
          await readBack(file)
          credit -= file.file.sizeBytes + FILE_COST
        }
      } finally {
        // Otherwise the next page would have the same files.
        await readBacks.record()
      }
    }
  }

  /** The files that have waited longest. New ones come before them as long as no read-back is late. */
  async function due(): Promise<ReadBack[]> {
    const now = clock()
    const ranges = [
      { from: 1, before: now - ROUND * scrubMs },
      { from: 0, before: 1 },
      { from: now + AHEAD_MS, before: Number.MAX_SAFE_INTEGER },
      { from: 1, before: now - REST * scrubMs },
    ]
    for (const range of ranges) {
      const page = range.before > range.from ? await files.readBack(range, PAGE) : []
      if (page.length > 0) return page
    }
    return []
  }

  async function readBack({ owner, file, failed }: ReadBack): Promise<void> {
    const [slot] = await keySlots.find(owner)
    // The file of a removed user, or of one whose master key is not given.
    if (!slot || !keys.keyIds.includes(slot.keyId)) return readBacks.note(file, false)
    const result = await readBacks.inspect({ owner, file }, paced)
    round.files += 1
    round.bytes += file.sizeBytes
    if (result instanceof Error) round.damaged += 1
    const outcome = result instanceof Error ? 'damaged' : result
    observe({ kind: 'read-back', outcome, sizeBytes: file.sizeBytes })
    if (!(result instanceof Error)) return
    observe({ kind: 'damage', found: 'scrubber' })
    alarm(result, 'reading a file back')
    if (!failed) activity.note(owner, 'damaged-read', SERVER, { fileId: file.id })
  }

  async function paced(bytes: number): Promise<void> {
    owedMs += bytes / PACE_BYTES_PER_MS
    if (owedMs < LEAST_PAUSE_MS && !stopping.signal.aborted) return
    const ms = owedMs
    owedMs = 0
    await pause(ms, undefined, { signal: stopping.signal }).catch((cause) => {
      throw Object.assign(new Error('the server closes', { cause }), { code: 'ECANCELED' })
    })
  }
}
