/** Deletes what no row names: the blobs of replaced and removed files, and whatever a crash left of unfinished uploads. */
import type { Ports } from '../../ports/ports.ts'
import type { Needs } from '../context.ts'
import { deleteUnlessHeld } from './garbage.ts'
import { fillInTags } from './tags.ts'

const BATCH = 500

/** Dates that are forgotten in one transaction: other requests wait for it. */
const DATES_BATCH = 100

export interface Sweeper {
  /**
   * One round: first what makes garbage, then the garbage; what this process alone knows of in any case, all else in turn
   * with other servers. `run` is the run of this process, if it has one. False where that was not done, since another one is
   * at it, or the database is away.
   */
  sweep(run: string | null): Promise<boolean>
}

type SweeperPorts = 'files' | 'keySlots' | 'ledger' | 'blobs' | 'clock' | 'alarm'

export function openSweeper({
  ports,
  keys,
  doubtfulBlobs,
  sessions,
  trash,
  accounts,
  activity,
}: Needs<SweeperPorts, 'keys' | 'doubtfulBlobs' | 'sessions' | 'trash' | 'accounts' | 'activity'>): Sweeper {
  return {
    async sweep(run) {
      const steps = {
        'forgetting sessions': sessions.forgetEnded,
        'forgetting what happened long ago': activity.expire,
        'emptying the trash': trash.expire,
        'finishing removals of users': accounts.finishRemovals,
        'forgetting dates of vacated names': () => forgetVacated(ports),
        'sweeping blobs': () => sweepBlobs(ports, run),
        'giving files their tags': () => fillInTags(ports, keys),
      }
      await attempt('giving up uploads in doubt', doubtfulBlobs.giveUp)
      let done = false
      await attempt('sweeping', async () => {
        done = await ports.ledger.takeTurn(async () => {
          for (const [doing, step] of Object.entries(steps)) await attempt(doing, step)
        })
      })
      return done
    },
  }

  /** None waits for what ails another. */
  async function attempt(doing: string, step: () => Promise<void>) {
    await step().catch((error) => ports.alarm(error, doing))
  }
}

/**
 * One round. A run that has ended can commit nothing any more, so whichever of its blobs no row names by then never
 * will be named; the clock plays no part. Safe to break off anywhere and to repeat, and for several at once. While
 * somebody holds all blobs, nothing is deleted: the next round does it.
 */
async function sweepBlobs(ports: Pick<Ports, 'ledger' | 'blobs' | 'clock'>, run: string | null): Promise<void> {
  const { ledger, blobs } = ports
  for (const ended of await ledger.endedRuns(run)) {
    for await (const found of blobs.list(ended)) if (!(await deleteUnnamed(found))) return
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  for (;;) {
    const garbage = await ledger.garbage(BATCH)
    if (garbage.length === 0 || !(await deleteUnlessHeld(ports, garbage))) return
    await ledger.forgetGarbage(garbage)
  }

  async function deleteUnnamed(found: string[]): Promise<boolean> {
    for (let at = 0; at < found.length; at += BATCH) {
      const batch = found.slice(at, at + BATCH)
      const named = new Set(await ledger.named(batch))
      const unnamed = batch.filter((blob) => !named.has(blob))
      if (!(await deleteUnlessHeld(ports, unnamed))) return false
    }
    return true
  }
}

async function forgetVacated({ files, clock }: Pick<Ports, 'files' | 'clock'>): Promise<void> {
  const now = clock()
  while ((await files.forgetVacated(now, DATES_BATCH)) === DATES_BATCH);
}
