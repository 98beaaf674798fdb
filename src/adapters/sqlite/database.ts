/** One SQLite file, opened so that a commit survives a power cut, and brought up to the newest schema. */
import { accessSync, chmodSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { migrate } from './migrate.ts'

export type { Database } from 'better-sqlite3'

/**
 * Opens `minikeepsafe.db` in the folder, which is made where it is missing. Where the last process did not close it, it is
 * checked first, and `onCheck` is called before. Throws where it is damaged, or was written by a newer version of this
 * program.
 */
export function openDatabase(folder: string, onCheck = () => {}): Database.Database {
  makeFolder(folder)
  const path = join(folder, 'minikeepsafe.db')
  const leftOpen = hasLog(path)
  const db = new Database(path)
  try {
    chmodSync(path, 0o600)
    configure(db)
    if (leftOpen) {
      onCheck()
      checkIntegrity(db)
    }
    migrate(db)
  } catch (error) {
    db.close()
    throw error
  }
  return db
}

/** Throws while the database does not answer, or its folder takes no writes. */
export function databaseCheck(db: Database.Database, folder: string): () => Promise<void> {
  const ping = db.prepare('SELECT 1 FROM users')
  return async () => {
    ping.get()
    accessSync(folder, constants.W_OK | constants.X_OK)
  }
}

function configure(db: Database.Database): void {
  db.pragma('journal_mode = WAL')
  // better-sqlite3 is built so that WAL would mean NORMAL, which may lose the last commits in a power cut.
  db.pragma('synchronous = FULL')
  // Where the system has it (macOS), a sync then passes the drive's own cache too.
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = ON')
  // A key that was deleted is not to be found in what was its space.
  db.pragma('secure_delete = ON')
  db.pragma('trusted_schema = OFF')
  // 16 MiB: a page that many commits touch is copied into the database once, and the event loop waits less often.
  db.pragma('wal_autocheckpoint = 4000')
  // While it waits for another process's write, every request waits with it.
  db.pragma('busy_timeout = 250')
}

/** Whoever closes a database last writes its log into it and removes the log. */
function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
}

function checkIntegrity(db: Database.Database): void {
  const [fault] = db.pragma('integrity_check(1)') as { integrity_check: string }[]
  if (fault?.integrity_check !== 'ok') {
    throw new Error(`the database is damaged (${fault?.integrity_check}); restore a backup of it`)
  }
}

/**
 * Holds the folder for the life of the process, so that no second server sweeps what this one is writing: the lock is
 * SQLite's own on a file beside the database, and the system drops it however the process ends. Throws where another
 * server holds it.
 */
export function holdFolder(folder: string): () => void {
  makeFolder(folder)
  const path = join(folder, 'server.lock')
  const lock = new Database(path, { timeout: 0 })
  chmodSync(path, 0o600)
  try {
    // Holding takes no room on the disk.
    lock.pragma('journal_mode = MEMORY')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if ((cause as NodeJS.ErrnoException).code !== 'SQLITE_BUSY') throw cause
    throw new Error('another server is using it; stop that one first, or give this one a folder of its own', { cause })
  }
  return () => lock.close()
}

/** A folder for this user alone, whose entry survives a power cut. */
function makeFolder(folder: string): void {
  const made = mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (made === undefined) return
  const parent = openSync(dirname(made), 'r')
  fsyncSync(parent)
  closeSync(parent)
}
