/** Opens everything that a vault keeps in PostgreSQL, for a server or beside one. Importing this file loads the driver. */
import type { BlobLedger } from '../../ports/blobs.ts'
import type { DatabaseEngine, Repositories } from '../../ports/database.ts'
import type { Networks } from '../../ports/ports.ts'
import { postgresActivity } from './activity.ts'
import { postgresCensus } from './census.ts'
import { postgresChanges } from './changes.ts'
import { type Database, databaseCheck, openDatabase } from './database.ts'
import { postgresFiles } from './files.ts'
import { postgresKeySlots } from './key-slots.ts'
import { postgresLedger, postgresLedgerBeside } from './ledger.ts'
import { checkSchema, migrate } from './migrate.ts'
import { postgresPinLedger } from './pin-ledger.ts'
import { postgresSessions } from './sessions.ts'
import { postgresThumbnails } from './thumbnails.ts'
import { postgresTrash } from './trash.ts'
import { postgresUploads } from './uploads.ts'
import { postgresUsers } from './users.ts'

/** Migrates the schema. Throws if PostgreSQL cannot be reached, a newer version made the schema, or a move is unfinished. */
export function openPostgres(url: string, networkOf: Networks['of'] = () => null): Promise<DatabaseEngine> {
  return opened(openDatabase(url, { networkOf }), async (db) => {
    await migrate(db)
    await refuseUnfinishedMove(db)
    const ledger = postgresLedger(db)
    return { ledger, leave: ledger.close, probe: ledger.beat }
  })
}

/** For a server that changes nothing. Throws if there is no vault, or if it has another schema. */
export function openPostgresReadOnly(url: string, networkOf: Networks['of']): Promise<DatabaseEngine> {
  return opened(openDatabase(url, { readOnly: true, networkOf }), async (db) => {
    await checkSchema(db)
    const check = async () => void (await db.ask('SELECT'))
    return { ledger: postgresLedger(db), leave: async () => {}, check }
  })
}

/** Beside servers that may be using it. Throws if there is no vault, or if it has another schema. */
export function openPostgresBeside(url: string): Promise<DatabaseEngine> {
  return opened(openDatabase(url, { beside: true }), async (db) => {
    await checkSchema(db)
    return { ledger: postgresLedgerBeside(db), leave: async () => {} }
  })
}

export function repositoriesOf(db: Database): Repositories {
  return {
    users: postgresUsers(db),
    keySlots: postgresKeySlots(db),
    sessions: postgresSessions(db),
    pinLedger: postgresPinLedger(db),
    activity: postgresActivity(db),
    files: postgresFiles(db),
    trash: postgresTrash(db),
    thumbnails: postgresThumbnails(db),
    uploads: postgresUploads(db),
    changes: postgresChanges(db),
  }
}

async function opened(
  db: Database,
  begin: (
    db: Database,
  ) => Promise<{ ledger: BlobLedger; leave(): Promise<void>; check?(): Promise<void>; probe?(): Promise<void> }>,
): Promise<DatabaseEngine> {
  try {
    const { ledger, leave, check = databaseCheck(db), probe } = await begin(db)
    return {
      repositories: repositoriesOf(db),
      ledger,
      room: async () => {},
      // Autovacuum makes the space of deleted rows usable again.
      shrink: async () => false,
      ...(probe && { probe, pauseWrites: db.pauseWrites }),
      checks: { database: check },
      census: (now) => postgresCensus(db, now),
      figures: async () => ({ pool: db.pool() }),
      async close() {
        await leave()
        await db.close()
      },
    }
  } catch (error) {
    await db.close()
    throw error
  }
}

/** During an unfinished move a server would create its own vault in the place of the one that is moved. */
async function refuseUnfinishedMove({ ask }: Database): Promise<void> {
  const [found] = await ask<{ arriving: boolean }>("SELECT to_regclass('arrivals') IS NOT NULL AS arriving")
  if (found?.arriving) {
    throw new Error(
      'a move into this database was begun and not finished: run migrate-data again, or empty the database',
    )
  }
}
