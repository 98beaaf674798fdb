/**
 * Deletes blobs that no row names: those of replaced and removed files, and those that a crash left of unfinished
 * uploads.
 */
import type { Ports } from '../../ports/ports.ts'
import type { Needs } from '../context.ts'
import { deleteGarbage, deleteUnlessHeld } from './garbage.ts'
import { fillInTags } from './tags.ts'

const BATCH = 500

/** Dates that are deleted in one transaction. Other requests wait for it. */
const DATES_BATCH = 100

export interface Sweeper {
  /**
   * One round: first the steps that make garbage, then the garbage. This process always gives up its own doubtful
   * blobs; the other steps are done by one server at a time. `run` is the run of this process, or `null`. False if the
   * other steps were not done, because another server does them or the database cannot be reached.
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
  uploads,
  accounts,
  activity,
}: Needs<
  SweeperPorts,
  'keys' | 'doubtfulBlobs' | 'sessions' | 'trash' | 'uploads' | 'accounts' | 'activity'
>): Sweeper {
  return {
    async sweep(run) {
      const steps = {
        'forgetting sessions': sessions.forgetEnded,
        'forgetting what happened long ago': activity.expire,
        'emptying the trash': trash.expire,
        'removing expired uploads': uploads.expire,
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

  /** An error of one step is logged, and the other steps run. */
  async function attempt(doing: string, step: () => Promise<void>) {
    await step().catch((error) => ports.alarm(error, doing))
  }
}

/**
 * One round. A run that has ended can commit nothing any more. So a blob of it that no row names now will never be
 * named; the clock does not matter. The round may stop anywhere, be repeated, and run in several processes at once.
 * During a hold nothing is deleted; a later round does it.
 */
async function sweepBlobs(ports: Pick<Ports, 'ledger' | 'blobs' | 'clock'>, run: string | null): Promise<void> {
  const { ledger, blobs } = ports
  for (const ended of await ledger.endedRuns(run)) {
    for await (const found of blobs.list(ended)) if (!(await deleteUnnamed(found))) return
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  await deleteGarbage(ports)

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
