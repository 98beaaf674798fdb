/** Whether uploads are accepted. On a full disk the remaining space is for deletes, which free space. */
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'

/** Resolves while uploads are accepted. */
export type Admit = () => Promise<void>

/** Admits uploads, and has the run under which their blobs are written. */
export interface Admission {
  admit: Admit
  /** The run of this process. After another process has ended it, the process has a new run. */
  run(): string
  /** True if another process has ended this run of ours. Then the next upload opens a new run. */
  isOver(run: string): Promise<boolean>
  /** Records that this run has ended. */
  end(run: string): void
}

/** Opens a run before its first blob. If the disk was full at the start, it opens the run once there is space. */
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
    // Several uploads may report the end of the same run.
    if (over === run) run = chance.id()
  }
}

/** The 503 for an upload whose run was ended. */
export function runEnded(cause?: unknown): Problem {
  const ended = new Error('another process took this one for dead and ended its run; it begins another', { cause })
  return problems.notReady('The server stood still for too long to store these bytes. Nothing was changed.', ended)
}

/** The same batches. Throws before a batch if there is no space any more, because the remaining space is for deletes. */
export async function* whileAdmitted<T>(batches: AsyncIterable<T>, admit: Admit): AsyncGenerator<T> {
  for await (const batch of batches) {
    await admit()
    yield batch
  }
}

/** True if the port promises for this error that the operation changed nothing. */
export function changedNothing(error: unknown): boolean {
  return ['ENOSPC', 'EROFS', 'EAGAIN'].includes((error as { code?: string }).code ?? '')
}
