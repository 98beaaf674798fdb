/** Deleting blobs that no row names any more. */
import type { Ports } from '../../ports/ports.ts'
import type { Needs } from '../context.ts'

export type Collect = (garbage: string[]) => Promise<void>

/**
 * Deletes blobs that are booked as garbage, unless somebody holds all blobs: then they wait for the sweeper. Looking for a
 * hold comes after the booking, so whoever takes one in between sees rows that do not name these blobs. What fails is the
 * sweeper's as well, and no fault of the act that made the garbage.
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
 * Looks for a hold after the choice was made: whoever takes one later sees rows that do not name these blobs. False, and
 * nothing was deleted, while somebody holds all blobs.
 */
export async function deleteUnlessHeld(
  { ledger, blobs, clock }: Pick<Ports, 'ledger' | 'blobs' | 'clock'>,
  chosen: string[],
): Promise<boolean> {
  if (await ledger.held(clock())) return false
  await blobs.delete(chosen)
  return true
}
