import type { Database } from 'better-sqlite3'
import type { BlobLedger } from '../../ports/blobs.ts'
import { tryHoldFolder } from './folders.ts'
import type { InTransaction } from './group-commit.ts'

/** An expired hold is kept for this time, so that its renewal is not taken for a new hold. */
const DAY_MS = 24 * 60 * 60 * 1000

/** With `version IN (…)` SQLite would look for each blob under each version of the garbage. */
export const dropPartsSql = `DELETE FROM parts WHERE blob IN (SELECT value FROM json_each(?))
  AND EXISTS (SELECT 1 FROM garbage WHERE garbage.version = parts.version) RETURNING version`

/** `alone`: this process holds the folder (`holdFolder`), so every other run is over. */
export function sqliteLedger(db: Database, inTransaction: InTransaction, alone: boolean): BlobLedger {
  const open = db.prepare<[string, number, string]>(
    'INSERT INTO runs (id, started_at, key_ids) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const goesOn = db.prepare<[string], unknown>('SELECT 1 FROM runs WHERE id = ? AND ended = 0')
  const endOthers = db.prepare<[string | null]>('UPDATE runs SET ended = 1 WHERE id IS NOT ?')
  const ended = db.prepare<[], { id: string }>('SELECT id FROM runs WHERE ended = 1 ORDER BY started_at')
  const living = db.prepare<[], { run: string; keyIds: string }>(
    'SELECT id AS run, key_ids AS keyIds FROM runs WHERE ended = 0',
  )
  const named = db.prepare<[string], { blob: string }>(
    'SELECT blob FROM parts WHERE blob IN (SELECT value FROM json_each(?))',
  )
  const forget = db.prepare<[string]>('DELETE FROM runs WHERE id = ? AND ended = 1')
  const oldest = db.prepare<[number], { blob: string }>(
    'SELECT blob FROM garbage JOIN parts USING (version) ORDER BY position, start LIMIT ?',
  )
  const oldestOf = db.prepare<[string, number], { blob: string }>(
    `SELECT blob FROM garbage JOIN parts USING (version) WHERE version IN (SELECT value FROM json_each(?))
     ORDER BY position, start LIMIT ?`,
  )
  const dropParts = db.prepare<[string], { version: string }>(dropPartsSql)
  const dropVersions = db.prepare<[string]>(
    `DELETE FROM garbage WHERE version IN (SELECT value FROM json_each(?))
       AND NOT EXISTS (SELECT 1 FROM parts WHERE parts.version = garbage.version)`,
  )
  // An expired hold is not renewed: blobs may have been deleted since.
  const hold = db.prepare<[{ id: string; now: number; until: number }]>(
    'INSERT INTO holds (id, until) VALUES (:id, :until) ON CONFLICT (id) DO UPDATE SET until = :until WHERE until > :now',
  )
  const forgetOver = db.prepare<[number, string]>('DELETE FROM holds WHERE until <= ? AND id <> ?')
  const release = db.prepare<[string]>('DELETE FROM holds WHERE id = ?')
  const recordBackup = db.prepare<[number]>(
    'INSERT INTO last_backup (one, at) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET at = excluded.at',
  )
  const lastBackupAt = db.prepare<[], number>('SELECT at FROM last_backup').pluck()
  const heldAt = db.prepare<[number], unknown>('SELECT 1 FROM holds WHERE until > ?')

  return {
    // Only one server uses a folder, so no lock is needed.
    async takeTurn(work) {
      await work()
      return true
    },

    openRun(run, at, keyIds) {
      return inTransaction(() => void open.run(run, at, JSON.stringify(keyIds)))
    },

    async goesOn(run) {
      return goesOn.get(run) !== undefined
    },

    endedRuns(run) {
      return inTransaction(() => {
        if (alone) endOthers.run(run)
        return ended.all().map(({ id }) => id)
      })
    },

    async livingRuns() {
      return living.all().map(({ run, keyIds }) => ({ run, keyIds: JSON.parse(keyIds) as string[] }))
    },

    async named(blobs) {
      return named.all(JSON.stringify(blobs)).map(({ blob }) => blob)
    },

    async renounce(blobs) {
      // When a commit throws, it has already happened or failed. So no commit comes late.
      const found = new Set(named.all(JSON.stringify(blobs)).map(({ blob }) => blob))
      return blobs.filter((blob) => !found.has(blob))
    },

    async forgetRun(run) {
      await inTransaction(() => forget.run(run))
    },

    async garbage(limit, versions) {
      const found = versions ? oldestOf.all(JSON.stringify(versions), limit) : oldest.all(limit)
      return found.map(({ blob }) => blob)
    },

    async forgetGarbage(blobs) {
      await inTransaction(() => {
        const versions = new Set(dropParts.all(JSON.stringify(blobs)).map(({ version }) => version))
        dropVersions.run(JSON.stringify([...versions]))
      })
    },

    hold(id, now, until) {
      return inTransaction(() => {
        forgetOver.run(now - DAY_MS, id)
        return hold.run({ id, now, until }).changes === 1
      })
    },

    async release(id) {
      await inTransaction(() => release.run(id))
    },

    async held(now) {
      return heldAt.get(now) !== undefined
    },

    async recordBackup(at) {
      await inTransaction(() => recordBackup.run(at))
    },

    async lastBackupAt() {
      return lastBackupAt.get() ?? null
    },
  }
}

/** For a process beside the server. It checks for a server in each method whose answer depends on one. */
export function sqliteLedgerBeside(db: Database, inTransaction: InTransaction, folder: string): BlobLedger {
  const beside = sqliteLedger(db, inTransaction, false)
  const alone = sqliteLedger(db, inTransaction, true)
  return {
    ...beside,

    async endedRuns(run) {
      const release = tryHoldFolder(folder)
      try {
        return await (release ? alone : beside).endedRuns(run)
      } finally {
        release?.()
      }
    },

    async livingRuns() {
      const release = tryHoldFolder(folder)
      release?.()
      return release ? [] : beside.livingRuns()
    },
  }
}
