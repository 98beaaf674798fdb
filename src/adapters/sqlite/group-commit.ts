/**
 * Several requests' writes in one transaction: a commit costs one sync however many acts it holds, so those that come
 * in one turn of the event loop share it. Each act has a savepoint of its own, so one that throws undoes only itself.
 */
import type { Database } from 'better-sqlite3'

/** Runs the act with the next commit. Nothing settles before that commit is durable; where it fails, all its acts do. */
export type Act = <T>(act: () => T) => Promise<T>

/** `rescue` may run a commit that failed once more. */
export function groupCommit(db: Database, rescue = (commit: () => void) => commit()): Act {
  const inSavepoint = db.transaction((work: () => void) => work())
  const inTransaction = db.transaction((work: () => void) => work()).immediate
  let waiting: Waiting[] = []

  return (act) =>
    new Promise((resolve, reject) => {
      if (waiting.length === 0) setImmediate(commitAll)
      waiting.push({ act, resolve: resolve as (answer: unknown) => void, reject })
    })

  function commitAll() {
    const group = waiting
    waiting = []
    const settle: (() => void)[] = []
    try {
      const commit = () => {
        settle.length = 0
        for (const { act, resolve, reject } of group) {
          try {
            inSavepoint(() => {
              const answer = act()
              settle.push(() => resolve(answer))
            })
          } catch (error) {
            // A fault that has ended the whole transaction is everybody's.
            if (!db.inTransaction) throw error
            settle.push(() => reject(error))
          }
        }
      }
      rescue(() => inTransaction(commit))
    } catch (error) {
      for (const { reject } of group) reject(error)
      return
    }
    for (const settled of settle) settled()
  }
}

interface Waiting {
  act: () => unknown
  resolve: (answer: unknown) => void
  reject: (error: unknown) => void
}
