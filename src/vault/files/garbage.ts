/** Deletes blobs that no row names any more. */
import type { Ports } from '../../ports/ports.ts'
import type { Needs } from '../context.ts'

export type Collect = (garbage: string[]) => Promise<void>

/**
 * Deletes blobs that are recorded as garbage. During a hold they wait for the sweeper. The hold is checked after the
 * blobs were recorded: a later hold sees rows that do not name these blobs. An error is logged and does not reach the
 * caller, because the sweeper retries the deletion.
 */
export function openGarbageCollector({ ports }: Needs<'blobs' | 'ledger' | 'clock' | 'alarm'>): Collect {
  const { ledger, alarm } = ports
  return async (garbage) => {
    try {
      if (garbage.length === 0 || !(await deleteUnlessHeld(ports, garbage))) return
      await ledger.forgetGarbage(garbage)
    } catch (error) {
      alarm(error, 'deleting blobs that no file has any more')
    }
  }
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
