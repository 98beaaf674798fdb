/** Everything that a vault keeps in SQLite, opened for a server or beside one. */
import type { DatabaseEngine, Repositories } from '../../ports/database.ts'
import { sqliteActivity } from './activity.ts'
import { sqliteCensus } from './census.ts'
import {
  type Database,
  databaseCheck,
  holdFolder,
  openBeside,
  openDatabase,
  openReadOnly,
  shareFolder,
} from './database.ts'
import { sqliteFiles } from './files.ts'
import { type Act, groupCommit } from './group-commit.ts'
import { sqliteKeySlots } from './key-slots.ts'
import { sqliteLedger, sqliteLedgerBeside } from './ledger.ts'
import { sqlitePinLedger } from './pin-ledger.ts'
import { diskReserve } from './reserve.ts'
import { sqliteSessions } from './sessions.ts'
import { sqliteTrash } from './trash.ts'
import { sqliteUsers } from './users.ts'

/**
 * Takes the folder for this process alone, with the room that a full disk's deletes need, and brings the schema up to date.
 * Throws where another server holds the folder, and where the database is damaged or a newer version made its schema.
 */
export function openSqlite(folder: string, warn: (message: string) => void): DatabaseEngine {
  return opened((own) => {
    own(holdFolder(folder))
    const reserve = diskReserve(folder, warn)
    const checking = () => warn('the last stop was not clean: checking the database')
    const db = reserve.rescue(() => openDatabase(folder, checking))
    own(() => db.close())
    const act = groupCommit(db, reserve.rescue)
    const checks = { database: databaseCheck(db, folder), space: reserve.take }
    return { db, act, ledger: sqliteLedger(db, act, true), room: reserve.take, checks }
  })
}

/** For a server that changes nothing, in a folder where nobody writes for as long as this process lives. */
export function openSqliteReadOnly(folder: string): DatabaseEngine {
  return opened((own) => {
    const db = openReadOnly(folder)
    own(() => db.close())
    const release = shareFolder(folder)
    if (!release) throw new Error('another server is using it, and it writes; stop that one first')
    own(release)
    const act = groupCommit(db)
    return { db, act, ledger: sqliteLedger(db, act, false), checks: { database: databaseCheck(db, folder) } }
  })
}

/** Beside a server that may be using it. Throws where there is no vault, and where it has another schema. */
export function openSqliteBeside(folder: string): DatabaseEngine {
  return opened((own) => {
    const db = openBeside(folder)
    own(() => db.close())
    const act = groupCommit(db)
    return { db, act, ledger: sqliteLedgerBeside(db, act, folder), checks: {} }
  })
}

interface Parts extends Pick<DatabaseEngine, 'ledger' | 'checks'> {
  db: Database
  act: Act
  /** Where it is not given, there is always room. */
  room?: DatabaseEngine['room']
}

/** What `own` was told is released in turn when the engine is closed, and where it cannot be opened. */
function opened(open: (own: (release: () => unknown) => void) => Parts): DatabaseEngine {
  const owned: (() => unknown)[] = []
  const releaseAll = () => {
    for (const release of owned.splice(0).reverse()) release()
  }
  try {
    const { db, act, ledger, room = async () => {}, checks } = open((release) => void owned.push(release))
    return {
      repositories: repositoriesOf(db, act),
      ledger,
      room,
      checks,
      census: async (now) => sqliteCensus(db, now),
      close: async () => releaseAll(),
    }
  } catch (error) {
    releaseAll()
    throw error
  }
}

export function repositoriesOf(db: Database, act: Act): Repositories {
  return {
    users: sqliteUsers(db, act),
    keySlots: sqliteKeySlots(db, act),
    sessions: sqliteSessions(db, act),
    pinLedger: sqlitePinLedger(db, act),
    activity: sqliteActivity(db, act),
    files: sqliteFiles(db, act),
    trash: sqliteTrash(db, act),
  }
}
