/**
 * Commits the transactions of several requests together. A commit costs one sync, however many transactions it contains.
 * So all transactions of one turn of the event loop share a commit. Each has its own savepoint, so one that throws undoes
 * only itself.
 */
import type { Database } from 'better-sqlite3'

/**
 * Runs `work` as a transaction in the next commit. The promise settles only after that commit is durable. If the commit
 * fails, all its transactions fail.
 */
export type InTransaction = <T>(work: () => T) => Promise<T>

/** `rescue` may run a failed commit once more. */
export function groupCommit(db: Database, rescue = (commit: () => void) => commit()): InTransaction {
  const inSavepoint = db.transaction((work: () => void) => work())
  const inOneCommit = db.transaction((work: () => void) => work()).immediate
  let waiting: Waiting[] = []

  return (work) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(commitAll)
      waiting.push({ work, resolve: resolve as (answer: unknown) => void, reject })
    })

  function commitAll() {
    const group = waiting
    waiting = []
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
      for (const { reject } of group) reject(error)
      return
    }
    for (const settled of settle) settled()
  }
}

interface Waiting {
  work: () => unknown
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}
