/** Whether there is room for uploads: what is left on a full disk is for deletes, which bring room back. */
import type { Ports } from '../ports.ts'

/** Resolves while bytes may be taken in. */
export type Admit = () => Promise<void>

/** Opens the run before it has its first blob, and again after a disk that was full at the start has room. */
export function admission({ room, ledger, clock }: Ports, run: string, keyIds: string[]): Admit {
  let opened = false
  return async () => {
    await room()
    if (opened) return
    await ledger.openRun(run, clock(), keyIds)
    opened = true
  }
}

/** The same batches, until there is no room for them any more: an upload under way takes nothing from the deletes. */
export async function* whileAdmitted<T>(batches: AsyncIterable<T>, admit: Admit): AsyncGenerator<T> {
  for await (const batch of batches) {
    await admit()
    yield batch
  }
}

/** Whether a port says of its fault that the act has not happened. */
export function changedNothing(error: unknown): boolean {
  return ['ENOSPC', 'EROFS'].includes((error as { code?: string }).code ?? '')
}
