/** Deletes the blobs of versions that no row names any more. */
import type { Ports } from '../../ports/ports.ts'
import type { Needs } from '../context.ts'

/** Blobs that are deleted at a time. */
const BATCH = 500
/** Takes turns with the owners. No user has this id. */
const SWEEPER = ''

/** `owner` is whose versions they are; `null` for those of several users, which the sweeper deletes. */
export type Collect = (owner: string | null, versions: string[]) => Promise<void>

/**
 * Deletes the blobs of versions that are recorded as garbage. During a hold they wait for the sweeper. The hold is
 * checked after the versions were recorded: a later hold sees rows that do not name them. An error is logged and does
 * not reach the caller, because the sweeper retries the deletion.
 */
export function openGarbageCollector({
  ports,
  turns,
}: Needs<'blobs' | 'ledger' | 'clock' | 'alarm', 'turns'>): Collect {
  return async (owner, versions) => {
    if (versions.length === 0) return
    try {
      do await turns.next(owner ?? SWEEPER)
      while (await deleteGarbage(ports, versions))
    } catch (error) {
      ports.alarm(error, 'deleting blobs that no file has any more')
    }
  }
}

/**
 * Deletes a batch of the garbage, of these versions or of all. False if nothing is left, or nothing can be deleted during
 * a hold.
 */
export async function deleteGarbage(
  ports: Pick<Ports, 'ledger' | 'blobs' | 'clock'>,
  versions?: string[],
): Promise<boolean> {
  const { ledger } = ports
  const garbage = await ledger.garbage(BATCH, versions)
  if (garbage.length === 0 || !(await deleteUnlessHeld(ports, garbage))) return false
  await ledger.forgetGarbage(garbage)
  return garbage.length === BATCH
}

/**
 * Checks for a hold after the blobs were chosen: a later hold sees rows that do not name these blobs. False, and
 * nothing was deleted, during a hold.
 */
export async function deleteUnlessHeld(
  { ledger, blobs, clock }: Pick<Ports, 'ledger' | 'blobs' | 'clock'>,
  chosen: string[],
): Promise<boolean> {
  if (await ledger.held(clock())) return false
  await blobs.delete(chosen)
  return true
}
