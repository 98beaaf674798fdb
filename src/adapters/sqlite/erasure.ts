/**
 * What stays behind of rows that are gone. `secure_delete` overwrites them where they stood; the write-ahead log still has
 * them, and where SQLite had moved one to another page, the slack of the former page may.
 */
import type { Database } from 'better-sqlite3'

/** Who empties the log waits for readers with the right to write in its hand, and must not for as long as a write does. */
const WAIT_MS = 100

/** Rewriting more takes longer than other requests should wait. */
const SMALL_BYTES = 16 * 1024 * 1024

/**
 * Leaves nothing of keys that were removed or replaced, and of a small database nothing of any row that is gone. False
 * while another process is reading. Throws where there is no room for it.
 */
export function erase(db: Database): boolean {
  // While somebody reads, what is rewritten would only make the log longer.
  if (!emptyLog(db)) return false
  rewrite(db)
  return emptyLog(db)
}

/** Moves all of the log into the database and leaves nothing in it. False where another process is reading. */
export function emptyLog(db: Database): boolean {
  const [log] = impatiently(db, () => db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])
  return log?.busy === 0
}

function rewrite(db: Database): void {
  const setting = (name: string) => db.pragma(name, { simple: true }) as number
  const isSmall = setting('page_count') * setting('page_size') <= SMALL_BYTES
  // What is rewritten must not lie in a temporary file meanwhile.
  db.pragma('temp_store = MEMORY')
  impatiently(db, () => (isSmall ? db.exec('VACUUM') : rewriteKeySlots(db)))
}

/** An emptied table lets go of all its pages, and those are overwritten as a whole. */
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

function impatiently<T>(db: Database, act: () => T): T {
  const patience = db.pragma('busy_timeout', { simple: true }) as number
  db.pragma(`busy_timeout = ${Math.min(WAIT_MS, patience)}`)
  try {
    return act()
  } finally {
    db.pragma(`busy_timeout = ${patience}`)
  }
}
