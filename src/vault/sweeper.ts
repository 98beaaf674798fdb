/** Deletes what no row names: the blobs of replaced files, and whatever a crash left of unfinished uploads. */
import type { Ports } from '../ports.ts'

const BATCH = 500

/**
 * One round. A run that has ended can commit nothing any more, so whichever of its blobs no row names by then never
 * will be named; the clock plays no part. Safe to break off anywhere and to repeat.
 */
export async function sweep({ ledger, blobs }: Ports, run: string): Promise<void> {
  for (const ended of await ledger.endOtherRuns(run)) {
    const found = await blobs.list(ended)
    for (let at = 0; at < found.length; at += BATCH) {
      const batch = found.slice(at, at + BATCH)
      const named = new Set(await ledger.named(batch))
      await blobs.delete(batch.filter((blob) => !named.has(blob)))
    }
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  for (;;) {
    const garbage = await ledger.garbage(BATCH)
    if (garbage.length === 0) return
    await blobs.delete(garbage)
    await ledger.forgetGarbage(garbage)
  }
}
