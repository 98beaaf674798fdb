/** The write-ahead log still has what was overwritten in the database: former keys among it. */
import type { Database } from 'better-sqlite3'

/** It waits for readers with the right to write in its hand, so it must not wait for as long as a server's writes do. */
const WAIT_MS = 100

/** Moves all of the log into the database and leaves nothing in it. False where another process is reading. */
export function emptyLog(db: Database): boolean {
  const [log] = impatiently(db, () => db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])
  return log?.busy === 0
}

/** Rewriting so much takes about as long as a request may wait for it. */
const SMALL_BYTES = 32 * 1024 * 1024

/**
 * Rewrites a small database, so that nothing is left in the slack of its pages: SQLite overwrites what is deleted, but not
 * the copies that stay behind where rows were moved to another page. Does without where that is not possible now.
 */
export function rewriteIfSmall(db: Database): void {
  const pages = db.pragma('page_count', { simple: true }) as number
  if (pages * (db.pragma('page_size', { simple: true }) as number) > SMALL_BYTES) return
  try {
    impatiently(db, () => db.exec('VACUUM'))
  } catch {
    // Somebody is reading, or the disk is full: what was deleted is gone from every row.
  }
}

function impatiently<T>(db: Database, act: () => T): T {
  const patience = db.pragma('busy_timeout', { simple: true }) as number
  db.pragma(`busy_timeout = ${Math.min(WAIT_MS, patience)}`)
  try {
    return act()
  } finally {
    db.pragma(`busy_timeout = ${patience}`)
  }
}
