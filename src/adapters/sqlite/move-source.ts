/** The source of a move: reads every row of a vault while no process writes. */
import type { MoveBatch, MoveSourceRows, MoveTable } from '../../ports/operator.ts'
import { checkIntegrity, type Database, openBeside } from './database.ts'
import { shareFolder } from './folders.ts'

/** A table comes after the tables that it refers to. */
const TABLES: MoveTable[] = [
  'users',
  'departed',
  'key_slots',
  'sessions',
  'devices',
  'guesses',
  'handed_out_pins',
  'activity',
  'files',
  'parts',
  'uploads',
  'vacated_names',
  'tombstones',
  'thumbnails',
]
const ROWS = 1000
/** Thumbnails are large. */
const BYTES = 4 * 1024 * 1024
/** The parts of the garbage do not move. */
const MOVED: Partial<Record<MoveTable, string>> = { parts: 'WHERE version NOT IN (SELECT version FROM garbage)' }

/** Throws if the folder has no vault, or one with another schema. `waitMs`: how long `freeze` waits for a writer. */
export function sqliteMoveSource(folder: string, waitMs?: number): MoveSourceRows {
  const db = openBeside(folder, waitMs)
  let release = () => {}

  return {
    async freeze() {
      const share = shareFolder(folder)
      if (!share) return false
      release = share
      holdWrites(db)
      checkIntegrity(db)
      return true
    },

    async counts() {
      const counts = TABLES.map((table) => [
        table,
        db
          .prepare(`SELECT count(*) FROM ${movedOf(table)}`)
          .pluck()
          .get(),
      ])
      return Object.fromEntries(counts) as Record<MoveTable, number>
    },

    async *batches() {
      for (const table of TABLES) yield* batchesOf(db, table)
    },

    async close() {
      db.close()
      release()
    },
  }
}

/** Takes the write lock. Servers that only read are not affected; a writer waits for the lock and then fails. */
function holdWrites(db: Database): void {
  try {
    db.exec('BEGIN IMMEDIATE')
  } catch (cause) {
    throw new Error(`somebody else is writing to the database (${(cause as Error).message}); run this again`, { cause })
  }
}

const movedOf = (table: MoveTable) => `${table} ${MOVED[table] ?? ''}`

function* batchesOf(db: Database, table: MoveTable): Generator<MoveBatch> {
  // Integers stay exact at any size: a pause doubles without an upper bound.
  const all = db.prepare<[], MoveBatch['rows'][number]>(`SELECT * FROM ${movedOf(table)}`).safeIntegers()
  let rows: MoveBatch['rows'] = []
  let bytes = 0
  for (const row of all.iterate()) {
    rows.push(row)
    for (const value of Object.values(row)) if (Buffer.isBuffer(value)) bytes += value.length
    if (rows.length < ROWS && bytes < BYTES) continue
    yield { table, rows }
    rows = []
    bytes = 0
  }
  if (rows.length > 0) yield { table, rows }
}
