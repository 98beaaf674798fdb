/** The changes of a user's live files, in their order. */
import type { Database } from 'better-sqlite3'
import type { ChangeRepository } from '../../ports/changes.ts'
import type { SealedFile } from '../../ports/files.ts'
import { FILE_COLUMNS } from './file-rows.ts'
import type { InTransaction } from './group-commit.ts'
import { sqliteForgetting, TOMBSTONES, type Tombstone } from './revisions.ts'

export function sqliteChanges(db: Database, inTransaction: InTransaction): ChangeRepository {
  const user = db.prepare<[string], { history: string; latest: number; forgotten: number }>(
    'SELECT history, revision AS latest, forgotten_revision AS forgotten FROM users WHERE id = ?',
  )
  const live = db.prepare<[string, number, number], SealedFile & { revision: number }>(livePageSql)
  const gone = db.prepare<[string, number, number], { revision: number; id: string; at: number }>(
    `SELECT revision, file_id AS id, at FROM tombstones WHERE user_id = ? AND revision > ? ORDER BY revision LIMIT ?`,
  )
  const oldest = db.prepare<[number, number], Tombstone>(`${TOMBSTONES} WHERE at <= ? ORDER BY at LIMIT ?`)
  const forget = sqliteForgetting(db)

  return {
    async page(owner, { after, goneAfter, limit }) {
      const found = user.get(owner)
      if (!found) return null
      const files = live.all(owner, after, limit).map(({ revision, ...file }) => ({ revision, file }))
      const tombstones = gone
        .all(owner, Math.max(after, goneAfter), limit)
        .map(({ revision, ...gone }) => ({ revision, gone }))
      const changes = [...files, ...tombstones].sort((one, other) => one.revision - other.revision).slice(0, limit)
      return { ...found, changes }
    },

    forget(until, limit) {
      return inTransaction(() => {
        const tombstones = oldest.all(until, limit)
        for (const tombstone of tombstones) forget(tombstone)
        return tombstones.length
      })
    },
  }
}

/** Keyset paging on an index. */
export const livePageSql = `SELECT ${FILE_COLUMNS}, revision FROM files
  WHERE user_id = ? AND revision > ? AND deleted_at IS NULL ORDER BY revision LIMIT ?`
