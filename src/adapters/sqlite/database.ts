/** One SQLite file, opened so that a commit survives a power cut, and brought up to the newest schema. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { migrate } from './migrate.ts'

export type { Database } from 'better-sqlite3'

/**
 * Opens `minikeepsafe.db` in the folder, which is made where it is missing. Throws where the file was written by a
 * newer version of this program.
 */
export function openDatabase(folder: string): Database.Database {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, 'minikeepsafe.db')
  const db = new Database(path)
  chmodSync(path, 0o600)
  db.pragma('journal_mode = WAL')
  // better-sqlite3 is built so that WAL would mean NORMAL, which may lose the last commits in a power cut.
  db.pragma('synchronous = FULL')
  // Where the system has it (macOS), a sync then passes the drive's own cache too.
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = ON')
  db.pragma('trusted_schema = OFF')
  db.pragma('busy_timeout = 5000')
  migrate(db)
  return db
}

/**
 * Holds the folder for the life of the process, so that no second server sweeps what this one is writing: the lock is
 * SQLite's own on a file beside the database, and the system drops it however the process ends. Throws where another
 * server holds it.
 */
export function holdFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const lock = new Database(join(folder, 'server.lock'), { timeout: 0 })
  try {
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    throw new Error(`Another server is using ${folder}: stop it first, or give this one its own DATA_DIR.`, { cause })
  }
  return () => lock.close()
}
