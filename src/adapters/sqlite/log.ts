/** The write-ahead log still has what was overwritten in the database: former keys among it. */
import type { Database } from 'better-sqlite3'

/** It waits for readers with the right to write in its hand, so it must not wait for as long as a server's writes do. */
const WAIT_MS = 100

/** Moves all of the log into the database and leaves nothing in it. False where another process is reading. */
export function emptyLog(db: Database): boolean {
  const patience = db.pragma('busy_timeout', { simple: true }) as number
  db.pragma(`busy_timeout = ${Math.min(WAIT_MS, patience)}`)
  try {
    const [log] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[]
    return log?.busy === 0
  } finally {
    db.pragma(`busy_timeout = ${patience}`)
  }
}
