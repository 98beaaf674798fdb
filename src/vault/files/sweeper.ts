/** Deletes what no row names: the blobs of replaced and removed files, and whatever a crash left of unfinished uploads. */
import type { Ports } from '../../ports/ports.ts'
import type { account } from '../accounts/account.ts'
import type { activity } from '../accounts/activity.ts'
import type { Keyring } from '../crypto/keyring.ts'
import type { sessions } from '../sign-in/sessions.ts'
import { fillInTags } from './tags.ts'
import type { trash } from './trash.ts'

const BATCH = 500

/** Dates that are forgotten in one transaction: other requests wait for it. */
const DATES_BATCH = 100

export interface Sources {
  sessions: Pick<ReturnType<typeof sessions>, 'forgetEnded'>
  trash: Pick<ReturnType<typeof trash>, 'expire'>
  account: Pick<ReturnType<typeof account>, 'finishRemovals'>
  activity: Pick<ReturnType<typeof activity>, 'expire'>
}

/**
 * First what makes garbage, then the garbage; what this process alone knows of in any case, all else in turn with other
 * servers. False where that was not done, since another one is at it, or the database is away.
 */
export async function sweepRound(
  ports: Ports,
  run: string | null,
  doubtful: Set<string>,
  keys: Keyring,
  { sessions, trash, account, activity }: Sources,
): Promise<boolean> {
  const steps = {
    'forgetting sessions': sessions.forgetEnded,
    'forgetting what happened long ago': activity.expire,
    'emptying the trash': trash.expire,
    'finishing removals of users': account.finishRemovals,
    'forgetting dates of vacated names': () => forgetVacated(ports),
    'sweeping blobs': () => sweep(ports, run),
    'giving files their tags': () => fillInTags(ports, keys),
  }
  await attempt('giving up uploads in doubt', () => renounce(ports, doubtful))
  let done = false
  await attempt('sweeping', async () => {
    done = await ports.ledger.takeTurn(async () => {
      for (const [doing, step] of Object.entries(steps)) await attempt(doing, step)
    })
  })
  return done

  /** None waits for what ails another. */
  async function attempt(doing: string, step: () => Promise<void>) {
    await step().catch((error) => ports.alarm(error, doing))
  }
}

/** `doubtful` are blobs of this process whose storing or commit failed without an answer. */
async function renounce(ports: Ports, doubtful: Set<string>): Promise<void> {
  const judged = [...doubtful]
  if (judged.length === 0 || !(await deleteAll(ports, await ports.ledger.renounce(judged)))) return
  for (const blob of judged) doubtful.delete(blob)
}

/**
 * One round. A run that has ended can commit nothing any more, so whichever of its blobs no row names by then never
 * will be named; the clock plays no part. Safe to break off anywhere and to repeat, and for several at once. While
 * somebody holds all blobs, nothing is deleted: the next round does it.
 */
async function sweep(ports: Ports, run: string | null): Promise<void> {
  const { ledger, blobs } = ports
  for (const ended of await ledger.endedRuns(run)) {
    for await (const found of blobs.list(ended)) if (!(await deleteUnnamed(found))) return
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  for (;;) {
    const garbage = await ledger.garbage(BATCH)
    if (garbage.length === 0 || !(await deleteAll(ports, garbage))) return
    await ledger.forgetGarbage(garbage)
  }

  async function deleteUnnamed(found: string[]): Promise<boolean> {
    for (let at = 0; at < found.length; at += BATCH) {
      const batch = found.slice(at, at + BATCH)
      const named = new Set(await ledger.named(batch))
      const unnamed = batch.filter((blob) => !named.has(blob))
      if (!(await deleteAll(ports, unnamed))) return false
    }
    return true
  }
}

async function forgetVacated({ files, clock }: Ports): Promise<void> {
  const now = clock()
  while ((await files.forgetVacated(now, DATES_BATCH)) === DATES_BATCH);
}

/** Looks for a hold after the choice was made: whoever takes one later sees rows that do not name these blobs. */
async function deleteAll({ ledger, blobs, clock }: Ports, chosen: string[]): Promise<boolean> {
  if (await ledger.held(clock())) return false
  await blobs.delete(chosen)
  return true
}
