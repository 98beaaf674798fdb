/**
 * Reads everything back within `scrubMs`, in small pieces, so that damage is found while a backup or a phone still has the
 * file. The time of the last read-back of each file is its only state, so a restart goes on where it was.
 */
import type { Caller } from '../../ports/accounts.ts'
import type { ReadBack } from '../../ports/files.ts'
import type { Needs } from '../context.ts'
import { openScrubBudget, ROUND } from './scrub-budget.ts'

/** A file is not read back again before this part of `scrubMs`. */
const REST = 0.1
const PAGE = 20
/** The clocks of two servers may differ by this. A later time was recorded before the clock was set back. */
const AHEAD_MS = 60 * 60 * 1000

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

/** The counts of the present round of this process. A round ends when every file was read back since its start. */
interface Round {
  startedAt: number
  files: number
  bytes: number
  /** Files that did not open. */
  damaged: number
}

export function openScrubber({
  ports,
  rules,
  keys,
  activity,
  readBacks,
  observe,
}: Needs<
  'users' | 'keySlots' | 'files' | 'ledger' | 'clock' | 'alarm' | 'notice',
  'rules' | 'keys' | 'activity' | 'readBacks' | 'observe'
>): Scrubber {
  const { keySlots, files, ledger, clock, alarm, notice } = ports
  const { scrubMs, readOnly } = rules
  const stopping = new AbortController()
  const budget = openScrubBudget({ ports, rules, stopping: stopping.signal })
  let running: Promise<void> | null = null
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
    await budget.grow()
    if (budget.isLeft() && (await due()).length > 0) await ledger.takeTurn(readDue, 'reading-back')
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

  async function readDue(): Promise<void> {
    while (budget.isLeft()) {
      const page = await due()
      if (page.length === 0) {
        budget.reset()
        return
      }
      try {
        for (const file of page) {
          if (!budget.isLeft()) break
          await readBack(file)
          budget.spend(file.file.sizeBytes)
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
    const result = await readBacks.inspect({ owner, file }, budget.pace)
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
}
