/** Opens everything that a vault keeps in SQLite, for a server or beside one. */
import type { DatabaseEngine, Repositories } from '../../ports/database.ts'
import { sqliteActivity } from './activity.ts'
import { sqliteCensus } from './census.ts'
import { sqliteChanges } from './changes.ts'
import { commitProbe, type Database, databaseCheck, openBeside, openDatabase, openReadOnly } from './database.ts'
import { shrink } from './erasure.ts'
import { damageFault } from './faults.ts'
import { sqliteFigures } from './figures.ts'
import { sqliteFiles } from './files.ts'
import { holdFolder, shareFolder } from './folders.ts'
import { groupCommit, type InTransaction } from './group-commit.ts'
import { sqliteKeySlots } from './key-slots.ts'
import { sqliteLedger, sqliteLedgerBeside } from './ledger.ts'
import { sqlitePinLedger } from './pin-ledger.ts'
import { diskReserve } from './reserve.ts'
import { sqliteSessions } from './sessions.ts'
import { sqliteThumbnails } from './thumbnails.ts'
import { sqliteTrash } from './trash.ts'
import { sqliteUploads } from './uploads.ts'
import { sqliteUsers } from './users.ts'

/**
 * Holds the folder for this process alone, with the reserve for a full disk, and migrates the schema. Throws if another
 * server holds the folder, if the database is damaged, or if a newer version made its schema.
 */
export function openSqlite(folder: string, warn: (message: string) => void): DatabaseEngine {
  return opened((own) => {
    own(holdFolder(folder))
    const reserve = diskReserve(folder, warn)
    const checking = () => warn('the last stop was not clean: checking the database')
    const db = reserve.rescue(() => openDatabase(folder, checking))
    own(() => db.close())
    const inTransaction = groupCommit(db, reserve.rescue)
    const checks = { database: databaseCheck(db, folder), space: reserve.take }
    const probe = commitProbe(db, inTransaction)
    return { db, inTransaction, ledger: sqliteLedger(db, inTransaction, true), room: reserve.take, checks, probe }
  })
}

/** For a server that changes nothing. While this process lives, no server can write in the folder. */
export function openSqliteReadOnly(folder: string): DatabaseEngine {
  return opened((own) => {
    const db = openReadOnly(folder)
    own(() => db.close())
    const release = shareFolder(folder)
    if (!release) throw new Error('another server is using it, and it writes; stop that one first')
    own(release)
    const inTransaction = groupCommit(db)
    return {
      db,
      inTransaction,
      ledger: sqliteLedger(db, inTransaction, false),
      checks: { database: databaseCheck(db, folder) },
    }
  })
}

/** Beside a server that may be using it. Throws if there is no vault, or if it has another schema. */
export function openSqliteBeside(folder: string): DatabaseEngine {
  return opened((own) => {
    const db = openBeside(folder)
    own(() => db.close())
    const inTransaction = groupCommit(db)
    return { db, inTransaction, ledger: sqliteLedgerBeside(db, inTransaction, folder), checks: {} }
  })
}

interface Parts extends Pick<DatabaseEngine, 'ledger' | 'checks' | 'probe'> {
  db: Database
  inTransaction: InTransaction
  /** If it is absent, there is always room. */
  room?: DatabaseEngine['room']
}

/** When the engine is closed or cannot be opened, calls the functions that `own` got, the last one first. */
function opened(open: (own: (release: () => unknown) => void) => Parts): DatabaseEngine {
  const owned: (() => unknown)[] = []
  const releaseAll = () => {
    for (const release of owned.splice(0).reverse()) release()
  }
  try {
    const {
      db,
      inTransaction,
      ledger,
      room = async () => {},
      checks,
      probe,
    } = open((release) => void owned.push(release))
    return {
      repositories: repositoriesOf(db, inTransaction),
      ledger,
      room,
      shrink: () => shrink(db, inTransaction),
      checks,
      ...(probe && { probe }),
      census: async (now) => sqliteCensus(db, now),
      figures: async () => ({ file: sqliteFigures(db) }),
      close: async () => releaseAll(),
    }
  } catch (error) {
    releaseAll()
    throw damageFault(error)
  }
}

export function repositoriesOf(db: Database, inTransaction: InTransaction): Repositories {
  return {
    users: sqliteUsers(db, inTransaction),
    keySlots: sqliteKeySlots(db, inTransaction),
    sessions: sqliteSessions(db, inTransaction),
    pinLedger: sqlitePinLedger(db, inTransaction),
    activity: sqliteActivity(db, inTransaction),
    files: sqliteFiles(db, inTransaction),
    trash: sqliteTrash(db, inTransaction),
    thumbnails: sqliteThumbnails(db, inTransaction),
    uploads: sqliteUploads(db, inTransaction),
    changes: sqliteChanges(db, inTransaction),
  }
}
