/** Deletes what no row names: the blobs of replaced files, and whatever a crash left of unfinished uploads. */
import type { Ports } from '../ports.ts'

const BATCH = 500

/**
 * One round. A run that has ended can commit nothing any more, so whichever of its blobs no row names by then never
 * will be named; the clock plays no part. `doubtful` are blobs of this run whose commit failed without an answer. Safe to
 * break off anywhere and to repeat.
 */
export async function sweep({ ledger, blobs }: Ports, run: string, doubtful: Set<string>): Promise<void> {
  for (const ended of await ledger.endOtherRuns(run)) {
    await deleteUnnamed(await blobs.list(ended))
    await blobs.closeRun(ended)
    await ledger.forgetRun(ended)
  }
  const judged = [...doubtful]
  await deleteUnnamed(judged)
  for (const blob of judged) doubtful.delete(blob)
  for (;;) {
    const garbage = await ledger.garbage(BATCH)
    if (garbage.length === 0) return
    await blobs.delete(garbage)
    await ledger.forgetGarbage(garbage)
  }

  async function deleteUnnamed(found: string[]): Promise<void> {
    for (let at = 0; at < found.length; at += BATCH) {
      const batch = found.slice(at, at + BATCH)
      const named = new Set(await ledger.named(batch))
      await blobs.delete(batch.filter((blob) => !named.has(blob)))
    }
  }
}
