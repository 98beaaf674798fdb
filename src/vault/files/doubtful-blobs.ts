/** Blobs of this process whose storing or commit failed without an answer. */
import type { Needs } from '../context.ts'
import { deleteUnlessHeld } from './garbage.ts'

export interface DoubtfulBlobs {
  /**
   * Adds a blob after the store did not answer whether it has the blob, or after a commit with the blob failed. A row
   * may name the blob, so only `giveUp` may delete it.
   */
  add(blob: string): void
  /**
   * Gives up all these blobs, so no row can name them later, and deletes those that no row names. During a hold they
   * stay doubtful.
   */
  giveUp(): Promise<void>
}

export function openDoubtfulBlobs({ ports }: Needs<'ledger' | 'blobs' | 'clock'>): DoubtfulBlobs {
  const doubtful = new Set<string>()
  return {
    add: (blob) => void doubtful.add(blob),

    async giveUp() {
      const candidates = [...doubtful]
      if (candidates.length === 0 || !(await deleteUnlessHeld(ports, await ports.ledger.renounce(candidates)))) return
      for (const blob of candidates) doubtful.delete(blob)
    },
  }
}
