/** Blobs of this process whose storing or commit failed without an answer. */
import type { Needs } from '../context.ts'
import { deleteUnlessHeld } from './garbage.ts'

export interface DoubtfulBlobs {
  /**
   * The store was asked to keep this blob and did not say that it does, or the database was asked to name it, and failed.
   * By then the database has decided, and a row may name the blob, so only `giveUp` may delete it.
   */
  add(blob: string): void
  /** Deletes those that no row names, and from then on none can. While somebody holds all blobs, they stay in doubt. */
  giveUp(): Promise<void>
}

export function openDoubtfulBlobs({ ports }: Needs<'ledger' | 'blobs' | 'clock'>): DoubtfulBlobs {
  const doubtful = new Set<string>()
  return {
    add: (blob) => void doubtful.add(blob),

    async giveUp() {
      const judged = [...doubtful]
      if (judged.length === 0 || !(await deleteUnlessHeld(ports, await ports.ledger.renounce(judged)))) return
      for (const blob of judged) doubtful.delete(blob)
    },
  }
}
