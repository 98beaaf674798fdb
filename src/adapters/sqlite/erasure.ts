/**
 * Erases the remains of deleted rows. `secure_delete` overwrites a row in its page. But the write-ahead log still has the
 * row, and if SQLite had moved the row to another page, the unused space of the former page may have it too.
 */
import type { Database } from 'better-sqlite3'

/** A checkpoint holds the write lock while it waits for readers, so it gives up earlier than a write does. */
const WAIT_MS = 100

/** A larger database is not rewritten: other requests would wait too long. */
const SMALL_BYTES = 16 * 1024 * 1024

/**
 * Erases all removed and replaced keys and, in a small database, every deleted row. False while another process is reading.
 * Throws if there is no room for it.
 */
export function erase(db: Database): boolean {
  // While another process reads, rewriting would only make the log longer.
  if (!emptyLog(db)) return false
  rewrite(db)
  return emptyLog(db)
}

/** Moves the whole log into the database and empties the log. False if another process is reading. */
export function emptyLog(db: Database): boolean {
  const [log] = withShortWait(db, () => db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])
  return log?.busy === 0
}

function rewrite(db: Database): void {
  const setting = (name: string) => db.pragma(name, { simple: true }) as number
  const isSmall = setting('page_count') * setting('page_size') <= SMALL_BYTES
  // The rewritten rows must not get into a temporary file.
  db.pragma('temp_store = MEMORY')
  withShortWait(db, () => (isSmall ? db.exec('VACUUM') : rewriteKeySlots(db)))
}

/** An emptied table frees all its pages, and freed pages are overwritten completely. */
function rewriteKeySlots(db: Database): void {
  const steps = [
    'CREATE TEMP TABLE kept AS SELECT * FROM main.key_slots',
    'DELETE FROM main.key_slots',
    'INSERT INTO main.key_slots SELECT * FROM kept ORDER BY user_id, kind',
    'DROP TABLE kept',
  ]
  db.transaction(() => {
    for (const step of steps) db.exec(step)
  }).immediate()
}

function withShortWait<T>(db: Database, work: () => T): T {
  const usualWait = db.pragma('busy_timeout', { simple: true }) as number
  db.pragma(`busy_timeout = ${Math.min(WAIT_MS, usualWait)}`)
  try {
    return work()
  } finally {
    db.pragma(`busy_timeout = ${usualWait}`)
  }
}
