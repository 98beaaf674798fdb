/** Deleting blobs that no row names any more. */
import type { Ports } from '../../ports/ports.ts'

export type Collect = (garbage: string[]) => Promise<void>

/**
 * Deletes blobs that are booked as garbage, unless somebody holds all blobs: then they wait for the sweeper. Looking for a
 * hold comes after the booking, so whoever takes one in between sees rows that do not name these blobs. What fails is the
 * sweeper's as well, and no fault of the act that made the garbage.
 */
export function garbageCollector({ blobs, ledger, clock, alarm }: Ports): Collect {
  return async (garbage) => {
    try {
      if (garbage.length === 0 || (await ledger.held(clock()))) return
      await blobs.delete(garbage)
      await ledger.forgetGarbage(garbage)
    } catch (error) {
      alarm(error, 'deleting blobs that no file has any more')
    }
  }
}
