/** Opens one SQLite file so that a commit survives a power cut, and migrates it to the newest schema. */
import { accessSync, chmodSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { isHeld, makeFolder } from './folders.ts'
import type { InTransaction } from './group-commit.ts'
import { checkSchema, migrate } from './migrate.ts'
import { keepUnpairedApart } from './unpaired.ts'

export type { Database } from 'better-sqlite3'

export const DATABASE = 'minikeepsafe.db'
/** All requests wait while the server waits for another process's write. */
const SERVER_WAIT_MS = 250
/** Only the operator waits for an operator's command. */
const OPERATOR_WAIT_MS = 5000

/**
 * Opens `minikeepsafe.db` in the folder, and creates the folder if it is missing. If the last process did not close the
 * database, calls `onCheck` and then checks the database. Throws if it is damaged, or if a newer version of this program
 * wrote it.
 */
export function openDatabase(folder: string, onCheck = () => {}): Database.Database {
  makeFolder(folder)
  const path = join(folder, DATABASE)
  const leftOpen = hasLog(path)
  const isNew = !statSync(path, { throwIfNoEntry: false })?.size
  const db = new Database(path)
  try {
    chmodSync(path, 0o600)
    // Before the first page. The sweeper returns unused pages to the disk.
    if (isNew) db.pragma('auto_vacuum = INCREMENTAL')
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
 * Opens the database beside a server that may be using it. Throws if there is none, or if its schema is not this program's:
 * only a server creates or migrates a database. After an unclean stop, and before the next start, checks it as that start would.
 */
export function openBeside(folder: string, waitMs = OPERATOR_WAIT_MS): Database.Database {
  const path = join(folder, DATABASE)
  if (!statSync(path, { throwIfNoEntry: false })) throw new Error(`there is no vault in ${folder}`)
  // This connection deletes the log when it is closed. Then the next server does not see the unclean stop.
  const leftOpen = hasLog(path) && !isHeld(folder)
  const db = new Database(path, { fileMustExist: true, timeout: waitMs })
  try {
    checkSchema(db, folder)
    settle(db, waitMs)
    if (leftOpen) checkIntegrity(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Like `openBeside`, for a server that changes nothing: the connection refuses every write. */
export function openReadOnly(folder: string): Database.Database {
  const db = openBeside(folder)
  db.pragma('query_only = ON')
  return db
}

/** Throws while the database does not answer, or while its folder cannot be written. */
export function databaseCheck(db: Database.Database, folder: string): () => Promise<void> {
  const ping = db.prepare('SELECT 1 FROM users')
  return async () => {
    ping.get()
    accessSync(folder, constants.W_OK | constants.X_OK)
  }
}

/** Commits a row that is deleted in the same transaction: it writes as many pages as a small change. */
export function commitProbe(db: Database.Database, inTransaction: InTransaction): () => Promise<void> {
  const add = db.prepare("INSERT INTO holds (id, until) VALUES ('probe', 0)")
  const remove = db.prepare("DELETE FROM holds WHERE id = 'probe'")
  return () =>
    inTransaction(() => {
      add.run()
      remove.run()
    })
}

function settle(db: Database.Database, waitMs: number): void {
  db.pragma('journal_mode = WAL')
  // better-sqlite3 is compiled with NORMAL as the default for WAL. NORMAL may lose the last commits in a power cut.
  db.pragma('synchronous = FULL')
  // On systems that have it (macOS), a sync then also flushes the drive's own cache.
  db.pragma('fullfsync = ON')
  db.pragma('foreign_keys = ON')
  // Overwrites deleted rows, so that a deleted key cannot be read from the freed space.
  db.pragma('secure_delete = ON')
  db.pragma('trusted_schema = OFF')
  // 1 MiB: a checkpoint blocks the event loop, one of 4 MiB for up to 50 ms.
  db.pragma('wal_autocheckpoint = 250')
  db.pragma(`busy_timeout = ${waitMs}`)
  keepUnpairedApart(db)
}

/** The last process to close a database moves the log into it and deletes the log. So a log shows an unclean stop. */
function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0
}

export function checkIntegrity(db: Database.Database): void {
  const [found] = db.pragma('integrity_check(1)') as { integrity_check: string }[]
  if (found?.integrity_check !== 'ok') {
    throw new Error(`the database is damaged (${found?.integrity_check}); restore a backup of it`)
  }
}
