/** The target of a move. Blobs are recorded while they are copied, and rows are inserted in one transaction. */
import type { KeySlot } from '../../ports/accounts.ts'
import type { MoveBatch, MoveTable, MoveTargetRows } from '../../ports/operator.ts'
import { type Ask, type Database, openDatabase } from './database.ts'
import type { DatabaseFault } from './faults.ts'
import { postgresLedgerBeside } from './ledger.ts'
import { migrate } from './migrate.ts'

/** The locks of a killed process are released in less time. */
const LOCK_WAIT_MS = 5000

const TABLES: Record<MoveTable, true> = {
  users: true,
  departed: true,
  key_slots: true,
  sessions: true,
  devices: true,
  guesses: true,
  handed_out_pins: true,
  activity: true,
  files: true,
  parts: true,
  uploads: true,
  vacated_names: true,
  tombstones: true,
  thumbnails: true,
}
const NAMES = Object.keys(TABLES) as MoveTable[]

export async function postgresMoveTarget(url: string): Promise<MoveTargetRows> {
  const db = openDatabase(url, { beside: true })
  const { ask, close } = await session(db)

  return {
    async begin(slots) {
      await takeTurn(ask)
      await migrate(db)
      const standing = await whose(ask, slots)
      if (standing !== 'empty') return standing
      if ((await postgresLedgerBeside(db).livingRuns()).length > 0) throw inUse()
      // This table exists until the move is finished.
      await ask(
        'CREATE TABLE IF NOT EXISTS arrivals (blob text COLLATE "C" PRIMARY KEY, proven boolean NOT NULL DEFAULT false)',
      )
      await refuseOthers(ask, slots)
      return 'empty'
    },

    async expect(blobs) {
      await ask('INSERT INTO arrivals (blob) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING', [blobs])
      const proven = 'SELECT blob FROM arrivals WHERE blob = ANY ($1) AND proven'
      return (await ask<{ blob: string }>(proven, [blobs])).map(({ blob }) => blob)
    },

    async prove(blobs) {
      await ask('UPDATE arrivals SET proven = true WHERE blob = ANY ($1)', [blobs])
    },

    async settle(batches, counts) {
      await ask('BEGIN')
      try {
        await refuseCompany(ask)
        for await (const batch of batches) await insert(ask, batch)
        await compareCounts(ask, counts)
        await ask(
          `WITH unnamed AS (
             INSERT INTO parts (version, start, size, blob) SELECT blob, 0, 0, blob FROM arrivals
             WHERE NOT EXISTS (SELECT FROM parts WHERE parts.blob = arrivals.blob) RETURNING version
           )
           INSERT INTO garbage (version) SELECT version FROM unnamed`,
        )
        await ask('DROP TABLE arrivals, arriving')
        // Statistics for the planner of the first queries.
        await ask(`ANALYZE ${NAMES.join(', ')}`)
        await ask('COMMIT')
      } catch (error) {
        await ask('ROLLBACK').catch(() => {})
        throw error
      }
    },

    async close() {
      await close()
      await db.close()
    },
  }
}

/** Opens a separate connection, which lasts until `close`. */
function session({ alone }: Database): Promise<{ ask: Ask; close(): Promise<void> }> {
  return new Promise((resolve, reject) => {
    const ended = alone(
      (ask) =>
        new Promise<void>((release) => {
          const close = async () => {
            release()
            await ended
          }
          resolve({ ask, close })
        }),
    )
    ended.catch(reject)
  })
}

async function takeTurn(ask: Ask): Promise<void> {
  try {
    await ask(`SET lock_timeout = ${LOCK_WAIT_MS}`)
    await ask("SELECT pg_advisory_lock(hashtextextended('arrival ' || current_schema(), 0))")
  } catch (error) {
    if ((error as DatabaseFault).code !== 'EAGAIN') throw error
    throw new Error('another move into this database is under way', { cause: error })
  }
}

async function whose(ask: Ask, slots: { owner: string; slot: KeySlot }[]): Promise<'empty' | 'same' | 'other'> {
  const [found] = await ask<{ any: boolean; same: boolean }>(
    `SELECT ${NAMES.map((name) => `EXISTS (SELECT FROM ${name})`).join(' OR ')} AS any,
       EXISTS (SELECT FROM users WHERE id = ANY ($1)) OR EXISTS (SELECT FROM key_slots WHERE sealed = ANY ($2)) AS same`,
    [slots.map(({ owner }) => owner), slots.map(({ slot }) => slot.sealed)],
  )
  if (!found?.any) return 'empty'
  return found.same ? 'same' : 'other'
}

/**
 * Throws if another vault's unfinished move is here. If both vaults keep their blobs in one place, the blobs that this move
 * has brought may be the only ones of its vault. A vault is recognized by its users' ids and the seals of its slots; the id
 * `server` is in every vault, so it does not count.
 */
async function refuseOthers(ask: Ask, slots: { owner: string; slot: KeySlot }[]): Promise<void> {
  await ask('CREATE TABLE IF NOT EXISTS arriving (owner text COLLATE "C" NOT NULL, sealed bytea NOT NULL)')
  const known = [slots.map(({ owner }) => owner), slots.map(({ slot }) => slot.sealed)]
  const [found] = await ask<{ any: boolean; same: boolean }>(
    `SELECT EXISTS (SELECT FROM arriving) OR EXISTS (SELECT FROM arrivals) AS any,
       EXISTS (SELECT FROM arriving WHERE sealed = ANY ($2) OR (owner = ANY ($1) AND owner <> 'server')) AS same`,
    known,
  )
  if (found?.any && !found.same) {
    throw new Error('a move of another vault into this database was begun and not finished; empty the database first')
  }
  await ask('INSERT INTO arriving SELECT * FROM unnest($1::text[], $2::bytea[]) EXCEPT SELECT * FROM arriving', known)
}

/** Locks the tables to the end of the transaction: no other process writes a row, and no server opens a run. */
async function refuseCompany(ask: Ask): Promise<void> {
  await ask(`LOCK TABLE ${NAMES.join(', ')}, runs IN SHARE ROW EXCLUSIVE MODE`)
  if ((await whose(ask, [])) !== 'empty') throw new Error('another vault came to be in this database meanwhile')
  if ((await ask('SELECT FROM runs WHERE NOT ended LIMIT 1')).length > 0) throw inUse()
}

function inUse(): Error {
  return new Error('a server uses this database, or did until a minute ago; stop it until the vault is here')
}

/** The table defines the types of the columns. The statement fails if a missing column has no default. */
async function insert(ask: Ask, { table, rows }: MoveBatch): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).join(', ')
  await ask(
    `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM json_populate_recordset(NULL::${table}, $1::json)`,
    [JSON.stringify(rows.map(textOf))],
  )
}

function textOf(row: MoveBatch['rows'][number]): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => {
      if (Buffer.isBuffer(value)) return [column, `\\x${value.toString('hex')}`]
      // PostgreSQL's text cannot hold NUL.
      return [column, value === null ? null : String(value).replaceAll('\0', '\ufffd')]
    }),
  )
}

async function compareCounts(ask: Ask, wanted: Record<MoveTable, number>): Promise<void> {
  for (const table of NAMES) {
    const [found] = await ask<{ count: number }>(`SELECT count(*) FROM ${table}`)
    if (found?.count !== wanted[table]) {
      throw new Error(`${found?.count} rows came to ${table}, and there are ${wanted[table]}; nothing was moved`)
    }
  }
}
