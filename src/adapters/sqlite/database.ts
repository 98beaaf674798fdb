/** One SQLite file, opened so that a commit survives a power cut, and brought up to the newest schema. */
import { accessSync, chmodSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { checkSchema, migrate } from './migrate.ts'

export type { Database } from 'better-sqlite3'

export const DATABASE = 'minikeepsafe.db'
const LOCK = 'server.lock'
/** While it waits for another process's write, every request waits with it. */
const SERVER_WAIT_MS = 250
/** Nobody waits for an operator's command but the operator. */
const OPERATOR_WAIT_MS = 5000
/** An operator's command that looks for a server holds the folder for a moment. */
const HOLD_WAIT_MS = 1000
const TRY_WAIT_MS = 100

/**
 * Opens `minikeepsafe.db` in the folder, which is made where it is missing. Where the last process did not close it, it is
 * checked first, and `onCheck` is called before. Throws where it is damaged, or was written by a newer version of this
 * program.
 */
export function openDatabase(folder: string, onCheck = () => {}): Database.Database {
  makeFolder(folder)
  const path = join(folder, DATABASE)
  const leftOpen = hasLog(path)
  const db = new Database(path)
  try {
    chmodSync(path, 0o600)
    settle(db, SERVER_WAIT_MS)
    if (leftOpen) {
      onCheck()
      checkIntegrity(db)
    }
    migrate(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/**
 * Opens the database beside a server that may be using it. Throws where there is none, and where it has another schema
 * than this program's: neither is for this process to change.
 */
export function openBeside(folder: string): Database.Database {
  const path = join(folder, DATABASE)
  if (!statSync(path, { throwIfNoEntry: false })) throw new Error(`there is no vault in ${folder}`)
  const db = new Database(path, { fileMustExist: true, timeout: OPERATOR_WAIT_MS })
  try {
    checkSchema(db, folder)
    settle(db, OPERATOR_WAIT_MS)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** The same for a server that changes nothing: no statement of this connection does. */
export function openReadOnly(folder: string): Database.Database {
  const db = openBeside(folder)
  db.pragma('query_only = ON')
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

function settle(db: Database.Database, waitMs: number): void {
  db.pragma('journal_mode = WAL')
  // better-sqlite3 is built so that WAL would mean NORMAL, which may lose the last commits in a power cut.
  db.pragma('synchronous = FULL')
  // Where the system has it (macOS), a sync then passes the drive's own cache too.
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = ON')
  // A key that was deleted is not to be found in what was its space.
  db.pragma('secure_delete = ON')
  db.pragma('trusted_schema = OFF')
  // 4 MiB: a checkpoint runs in the event loop, and one of 16 MiB held it for 100 ms and more.
  db.pragma('wal_autocheckpoint = 1000')
  db.pragma(`busy_timeout = ${waitMs}`)
}

/** Whoever closes a database last writes its log into it and removes the log. */
function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
}

export function checkIntegrity(db: Database.Database): void {
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
  const release = holdFor(folder, HOLD_WAIT_MS)
  if (release) return release
  throw new Error('another server is using it; stop that one first, or give this one a folder of its own')
}

/**
 * Keeps servers that write from the folder for the life of the process, in company of others that only read. `null` where
 * one is there.
 */
export function shareFolder(folder: string): (() => void) | null {
  return lockFile(join(folder, LOCK), HOLD_WAIT_MS, 'BEGIN; SELECT 1 FROM sqlite_master')
}

/** Holds the folder where no server does, for a moment only: a server that starts meanwhile waits no longer. */
export function tryHoldFolder(folder: string): (() => void) | null {
  return holdFor(folder, TRY_WAIT_MS)
}

function holdFor(folder: string, waitMs: number): (() => void) | null {
  makeFolder(folder)
  return lockFile(join(folder, LOCK), waitMs)
}

/** Locks a file for the life of this process, or until the answer is called; `null` where another has it. */
export function lockFile(path: string, waitMs: number, act = 'BEGIN EXCLUSIVE'): (() => void) | null {
  const lock = new Database(path, { timeout: waitMs })
  try {
    chmodSync(path, 0o600)
    // Holding takes no room on the disk.
    lock.pragma('journal_mode = MEMORY')
    lock.exec(act)
    return () => void lock.close()
  } catch (error) {
    lock.close()
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return null
    throw error
  }
}

/**
 * A folder for this user alone, whose entry survives a power cut. Made level by level: in a place where nothing can be made,
 * such as /proc, Node's own recursive mkdir never comes back.
 */
export function makeFolder(folder: string): void {
  if (isFolder(folder)) return
  const parent = dirname(resolve(folder))
  makeFolder(parent)
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another process may have made it meanwhile.
    if (!isFolder(folder)) throw error
  }
  syncPath(parent)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** A file's bytes, or a folder's entries. */
export function syncPath(path: string): void {
  const opened = openSync(path, 'r')
  fsyncSync(opened)
  closeSync(opened)
}
