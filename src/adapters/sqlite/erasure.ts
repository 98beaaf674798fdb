/**
 * Erases the remains of deleted rows. `secure_delete` overwrites a row in its page. But the write-ahead log still has the
 * row, and if SQLite had moved the row to another page, the unused space of the former page may have it too.
 */
import { statSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from 'better-sqlite3'
import { type InTransaction, MOST_BYTES } from './group-commit.ts'

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

/** After `erase`, the next one waits for this many times as long as it took. */
const REST = 10

/**
 * `erase` for many removals at the same time. All requests wait for an erasure, so removals that come soon after one share the
 * next.
 */
export function sharedErasure(db: Database): () => Promise<boolean> {
  let next: Promise<boolean> | null = null
  let earliestAt = 0
  return () => {
    next ??= pause(Math.max(0, earliestAt - performance.now())).then(() => {
      next = null
      const startedAt = performance.now()
      try {
        return erase(db)
      } finally {
        earliestAt = performance.now() + REST * (performance.now() - startedAt)
      }
    })
    return next
  }
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
  withShortWait(db, () => (isSmall ? db.exec('PRAGMA auto_vacuum = INCREMENTAL; VACUUM') : rewriteKeySlots(db)))
}

/** Unused pages that stay, so that a database whose rows come and go does not shrink and grow all the time. */
const SPARE_PAGES = 256
/** Pages that are returned in one transaction. All requests wait for it. */
const PAGES_AT_ONCE = 64

/**
 * Returns some unused pages to the disk. True if there are more. A database that was made without `auto_vacuum = INCREMENTAL` keeps
 * them, until it is small and is rewritten.
 */
export async function shrink(db: Database, inTransaction: InTransaction): Promise<boolean> {
  const setting = (name: string) => db.pragma(name, { simple: true }) as number
  const spare = () => setting('freelist_count') - SPARE_PAGES
  if (spare() > 0 && setting('auto_vacuum') === INCREMENTAL) {
    await inTransaction(() => db.pragma(`incremental_vacuum(${PAGES_AT_ONCE})`), MOST_BYTES)
    return true
  }
  // The file becomes shorter when the whole log is moved into it. If another process is reading, a later round does it.
  if (statSync(db.name).size > setting('page_count') * setting('page_size')) emptyLog(db)
  return false
}

/** The value of `auto_vacuum`. */
const INCREMENTAL = 2

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
