/** When each version was last read back, and whether it opened. */
import type { Database } from 'better-sqlite3'
import type { FileRepository, ReadBack } from '../../ports/files.ts'
import { FILE_COLUMNS, type Owned, ownedFile } from './file-rows.ts'
import type { InTransaction } from './group-commit.ts'

interface Attempt {
  id: string
  version: string
  at: number
}

/** The expression of the index `files_by_verified_at`. */
const READ_BACK_AT = 'coalesce(failed_at, verified_at, 0)'

export const lastReadBackSql = `SELECT user_id AS owner, ${FILE_COLUMNS}, ${READ_BACK_AT} AS at,
    failed_at IS NOT NULL AS failed FROM files
  WHERE ${READ_BACK_AT} >= :from AND ${READ_BACK_AT} < :before ORDER BY ${READ_BACK_AT}, id LIMIT :limit`

export function sqliteReadBacks(
  db: Database,
  inTransaction: InTransaction,
): Pick<FileRepository, 'recordReadBacks' | 'readBack' | 'countReadBack'> {
  const opened = db.prepare<[Attempt]>(
    'UPDATE files SET verified_at = :at, failed_at = NULL WHERE id = :id AND version = :version',
  )
  const failed = db.prepare<[Attempt]>('UPDATE files SET failed_at = :at WHERE id = :id AND version = :version')
  const lastReadBack = db.prepare<
    [{ from: number; before: number; limit: number }],
    Owned & { at: number; failed: number }
  >(lastReadBackSql)
  const countReadBack = db.prepare<[number], { count: number; bytes: number }>(
    `SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM files WHERE ${READ_BACK_AT} >= ?`,
  )

  return {
    async recordReadBacks(attempts) {
      await inTransaction(() => {
        for (const { id, version, at, opened: isOpen } of attempts) (isOpen ? opened : failed).run({ id, version, at })
      })
    },

    async readBack({ from, before }, limit) {
      const rows = lastReadBack.all({ from, before, limit })
      return rows.map(({ at, failed, ...row }): ReadBack => ({ ...ownedFile(row), at, failed: failed === 1 }))
    },

    async countReadBack(since) {
      return countReadBack.get(since) as { count: number; bytes: number }
    },
  }
}
