import type { Database } from 'better-sqlite3'
import type { BlobLedger } from '../../ports.ts'
import type { Act } from './group-commit.ts'

/** One server at a time holds the folder (`holdFolder`), so every run but the open one is over. */
export function sqliteLedger(db: Database, act: Act): BlobLedger {
  const open = db.prepare<[string, number]>('INSERT INTO runs (id, started_at) VALUES (?, ?)')
  const endOthers = db.prepare<[string]>('UPDATE runs SET ended = 1 WHERE id <> ?')
  const ended = db.prepare<[], { id: string }>('SELECT id FROM runs WHERE ended = 1 ORDER BY started_at')
  const named = db.prepare<[string], { blob: string }>(
    'SELECT blob FROM files WHERE blob IN (SELECT value FROM json_each(?))',
  )
  const forget = db.prepare<[string]>('DELETE FROM runs WHERE id = ? AND ended = 1')
  const oldest = db.prepare<[number], { blob: string }>('SELECT blob FROM garbage ORDER BY position LIMIT ?')
  const forgetGarbage = db.prepare<[string]>('DELETE FROM garbage WHERE blob IN (SELECT value FROM json_each(?))')

  return {
    async openRun(run, at) {
      await act(() => open.run(run, at))
    },

    endOtherRuns(run) {
      return act(() => {
        endOthers.run(run)
        return ended.all().map(({ id }) => id)
      })
    },

    async named(blobs) {
      return named.all(JSON.stringify(blobs)).map(({ blob }) => blob)
    },

    async forgetRun(run) {
      await act(() => forget.run(run))
    },

    async garbage(limit) {
      return oldest.all(limit).map(({ blob }) => blob)
    },

    async forgetGarbage(blobs) {
      await act(() => forgetGarbage.run(JSON.stringify(blobs)))
    },
  }
}
