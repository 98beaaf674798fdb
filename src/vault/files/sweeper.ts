/**
 * Regular work that no request waits for. Its steps delete expired rows, finish removals of users, delete blobs that no row names
 * (those of replaced and removed files, and those that a crash left), give old files their tags, and return unused space of the
 * database.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Needs } from '../context.ts'
import { forgetChanges } from './change-feed.ts'
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

type SweeperPorts = 'files' | 'changes' | 'keySlots' | 'ledger' | 'shrink' | 'blobs' | 'clock' | 'alarm'

export function openSweeper(
  context: Needs<
    SweeperPorts,
    'keys' | 'repeat' | 'doubtfulBlobs' | 'sessions' | 'trash' | 'uploads' | 'accounts' | 'activity' | 'rules'
  >,
): Sweeper {
  const { ports, repeat, doubtfulBlobs, sessions, trash, uploads, accounts, activity } = context
  return {
    async sweep(run) {
      const steps = {
        'forgetting sessions': sessions.forgetEnded,
        'forgetting what happened long ago': activity.expire,
        'emptying the trash': trash.expire,
        'removing expired uploads': uploads.expire,
        'finishing removals of users': accounts.finishRemovals,
        'forgetting dates of vacated names': () => forgetVacated(context),
        'forgetting old changes': () => forgetChanges(context),
        'sweeping blobs': () => sweepBlobs(context, run),
        'giving files their tags': () => fillInTags(context),
        'returning unused space of the database': async () => void (await repeat(shrinkInTurns)),
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

  /** Requests that wait run before the next step. */
  async function shrinkInTurns(): Promise<boolean> {
    const hasMore = await ports.shrink()
    await nextTurn()
    return hasMore
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
async function sweepBlobs(
  { ports, repeat }: Needs<'ledger' | 'blobs' | 'clock', 'repeat'>,
  run: string | null,
): Promise<void> {
  const { ledger, blobs } = ports
  for (const ended of await ledger.endedRuns(run)) {
    for await (const found of blobs.list(ended)) if (!(await deleteUnnamed(found))) return
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  await repeat(() => deleteGarbage(ports))

  async function deleteUnnamed(found: string[]): Promise<boolean> {
    let at = 0
    let allowed = true
    const finished = await repeat(async () => {
      const batch = found.slice(at, at + BATCH)
      const named = new Set(await ledger.named(batch))
      const unnamed = batch.filter((blob) => !named.has(blob))
      allowed = await deleteUnlessHeld(ports, unnamed)
      at += BATCH
      return allowed && at < found.length
    })
    return finished && allowed
  }
}

async function forgetVacated({ ports: { files, clock }, repeat }: Needs<'files' | 'clock', 'repeat'>): Promise<void> {
  const now = clock()
  await repeat(async () => (await files.forgetVacated(now, DATES_BATCH)) === DATES_BATCH)
}
