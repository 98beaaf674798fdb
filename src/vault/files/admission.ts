/** Whether there is room for uploads: what is left on a full disk is for deletes, which bring room back. */
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'

/** Resolves while bytes may be taken in. */
export type Admit = () => Promise<void>

/** Where uploads are taken in: the run under which their blobs are written. */
export interface Admission {
  admit: Admit
  /** The run of this process; another one after it turned out that others took it for dead and ended it. */
  run(): string
  /** Whether this run of ours was ended by others. Then the next upload begins another one. */
  isOver(run: string): Promise<boolean>
  /** The run turned out to be over. */
  end(run: string): void
}

/** Opens a run before it has its first blob, and again after a disk that was full at the start has room. */
export function openAdmission({
  ports: { room, ledger, clock, chance },
  keys,
}: Needs<'room' | 'ledger' | 'clock' | 'chance', 'keys'>): Admission {
  let run = chance.id()
  let opened = ''
  return {
    async admit() {
      await room()
      const current = run
      if (opened === current) return
      await ledger.openRun(current, clock(), keys.keyIds)
      opened = current
    },

    run: () => run,

    async isOver(one) {
      const over = !(await ledger.goesOn(one))
      if (over) end(one)
      return over
    },

    end,
  }

  function end(over: string) {
    // Many uploads may find out about one run.
    if (over === run) run = chance.id()
  }
}

/** For what was received under a run that is over. */
export function runEnded(cause?: unknown): Problem {
  const ended = new Error('another process took this one for dead and ended its run; it begins another', { cause })
  return problems.notReady('The server stood still for too long to store these bytes. Nothing was changed.', ended)
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
  return ['ENOSPC', 'EROFS', 'EAGAIN'].includes((error as { code?: string }).code ?? '')
}
