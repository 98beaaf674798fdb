/** Deleting blobs that no row names any more. */
import type { Ports } from '../ports.ts'

export type Collect = (garbage: string[]) => Promise<void>

/**
 * Deletes blobs that are booked as garbage, unless somebody holds all blobs: then they wait for the sweeper. Looking for a
 * hold comes after the booking, so whoever takes one in between sees rows that do not name these blobs.
 */
export function garbageCollector({ blobs, ledger, clock }: Ports): Collect {
  return async (garbage) => {
    if (garbage.length === 0 || (await ledger.held(clock()))) return
    await blobs.delete(garbage)
    await ledger.forgetGarbage(garbage)
  }
}
