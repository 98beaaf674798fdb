/**
 * Commits the transactions of several requests together. A commit costs one sync, however many transactions it contains.
 * So all transactions of one iteration of the event loop share a commit. Each has its own savepoint, so one that throws undoes
 * only itself. Large transactions are spread over several iterations, because all other requests wait for a commit. Small ones do
 * not wait for them.
 */
import type { Database } from 'better-sqlite3'

/**
 * Runs `work` as a transaction in the next commit. The promise settles only after that commit is durable. If the commit
 * fails, all its transactions fail. `bytes` is about what the transaction writes, if that is much.
 */
export type InTransaction = <T>(work: () => T, bytes?: number) => Promise<T>

/** After this many bytes, no other large transaction is added to a commit. */
export const MOST_BYTES = 256 * 1024

/** `rescue` may run a failed commit once more. */
export function groupCommit(db: Database, rescue = (commit: () => void) => commit()): InTransaction {
  const inSavepoint = db.transaction((work: () => void) => work())
  const inOneCommit = db.transaction((work: () => void) => work()).immediate
  const waiting: Waiting[] = []

  return (work, bytes = 0) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(commitAll)
      waiting.push({ work, bytes, resolve: resolve as (answer: unknown) => void, reject })
    })

  function commitAll() {
    const { group, others } = divided(waiting)
    waiting.splice(0, waiting.length, ...others)
    if (waiting.length > 0) setImmediate(commitAll)
    const settle: (() => void)[] = []
    try {
      const commit = () => {
        settle.length = 0
        for (const { work, resolve, reject } of group) {
          try {
            inSavepoint(() => {
              const answer = work()
              settle.push(() => resolve(answer))
            })
          } catch (error) {
            // This error has ended the shared transaction, so all transactions of the group fail.
            if (!db.inTransaction) throw error
            settle.push(() => reject(error))
          }
        }
      }
      rescue(() => inOneCommit(commit))
    } catch (error) {
      for (const { reject } of group) reject(unlessBusy(error))
      return
    }
    for (const settled of settle) settled()
  }
}

/** Without the lock for writing, the shared transaction has not begun. */
function unlessBusy(error: unknown): unknown {
  if ((error as { code?: string }).code !== 'SQLITE_BUSY') return error
  return Object.assign(new Error('another process is writing to the database', { cause: error }), { code: 'EAGAIN' })
}

/** The transactions of the next commit: the small ones, and the first large ones. */
function divided(waiting: Waiting[]): { group: Waiting[]; others: Waiting[] } {
  let bytes = 0
  const [group, others]: [Waiting[], Waiting[]] = [[], []]
  for (const one of waiting) {
    const isNext = one.bytes === 0 || bytes < MOST_BYTES
    bytes += one.bytes
    if (isNext) group.push(one)
    else others.push(one)
  }
  return { group, others }
}

interface Waiting {
  work: () => unknown
  bytes: number
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}
