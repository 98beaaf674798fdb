import type { Database } from 'better-sqlite3'
import type { SealedTrash, TrashRepository } from '../../ports/files.ts'
import { FILE_COLUMNS } from './file-rows.ts'
import type { InTransaction } from './group-commit.ts'
import { sqliteRevisions } from './revisions.ts'
import { thumbnailDrop } from './thumbnails.ts'
import { sqliteVacatedNames } from './vacated-names.ts'

const COLUMNS = `${FILE_COLUMNS}, deleted_at AS deletedAt`

interface Dropped {
  id: string
  owner: string
  sizeBytes: number
  version: string
  thumbnail: string | null
}

const DROPPED = 'SELECT id, user_id AS owner, size + thumbnail_size AS sizeBytes, version, thumbnail FROM files'

export function sqliteTrash(db: Database, inTransaction: InTransaction): TrashRepository {
  const vacatedNames = sqliteVacatedNames(db)
  const revisions = sqliteRevisions(db)
  const byId = db.prepare<[string, string], SealedTrash>(
    `SELECT ${COLUMNS} FROM files WHERE id = ? AND user_id = ? AND deleted_at IS NOT NULL`,
  )
  const firstPage = db.prepare<[{ owner: string; since: number; limit: number }], SealedTrash>(trashPageSql(false))
  const nextPage = db.prepare<
    [{ owner: string; since: number; deletedAt: number; id: string; limit: number }],
    SealedTrash
  >(trashPageSql(true))
  const firstTagged = db.prepare<[Record<string, unknown>], SealedTrash>(taggedSql(false))
  const nextTagged = db.prepare<[Record<string, unknown>], SealedTrash>(taggedSql(true))
  const holder = db.prepare<[string, string], unknown>(
    'SELECT 1 FROM files WHERE user_id = ? AND name = ? AND deleted_at IS NULL',
  )
  const restore = db.prepare<[{ id: string; owner: string; name: string; at: number; revision: number }]>(
    `UPDATE files SET deleted_at = NULL, name = :name, named_at = :at, revision = :revision
     WHERE id = :id AND user_id = :owner AND deleted_at IS NOT NULL`,
  )
  const countRestored = db.prepare<[string]>(
    'UPDATE users SET file_count = file_count + 1, trash_count = trash_count - 1 WHERE id = ?',
  )
  const one = db.prepare<[string, string], Dropped>(
    `${DROPPED} WHERE id = ? AND user_id = ? AND deleted_at IS NOT NULL`,
  )
  const oldestOfUser = db.prepare<[string, number, number], Dropped>(
    `${DROPPED} WHERE user_id = ? AND deleted_at <= ? ORDER BY deleted_at, id LIMIT ?`,
  )
  const oldest = db.prepare<[number, number], Dropped>(`${DROPPED} WHERE deleted_at <= ? ORDER BY deleted_at LIMIT ?`)
  const drop = db.prepare<[string]>('DELETE FROM files WHERE id = ?')
  const dropThumbnail = thumbnailDrop(db)
  const discard = db.prepare<[string]>('INSERT INTO garbage (version) VALUES (?)')
  const free = db.prepare<[number, string]>(
    'UPDATE users SET byte_count = byte_count - ?, trash_count = trash_count - 1 WHERE id = ?',
  )

  return {
    async find(owner, id) {
      return byId.get(id, owner) ?? null
    },

    async list(owner, { since, after, limit }) {
      return after ? nextPage.all({ owner, since, ...after, limit }) : firstPage.all({ owner, since, limit })
    },

    async tagged(owner, tag, after, limit) {
      if (!after) return firstTagged.all({ owner, tag, limit })
      const { deletedAt, name, id } = after
      return nextTagged.all({ owner, tag, deletedAt, name, id, limit })
    },

    restore(owner, { id, version }, name, at) {
      return inTransaction(() => {
        if (byId.get(id, owner)?.version !== version) return 'stale'
        if (holder.get(owner, name)) return 'taken'
        const named = vacatedNames.take(owner, name, at)
        restore.run({ id, owner, name, at: named, revision: revisions.revive(owner, id) })
        countRestored.run(owner)
        return 'done'
      })
    },

    remove(owner, id) {
      return inTransaction(() => {
        const file = one.get(id, owner)
        return file ? dropForGood(file) : null
      })
    },

    empty(owner, deletedUntil, limit) {
      return inTransaction(() => oldestOfUser.all(owner, deletedUntil, limit).map(dropForGood))
    },

    expire(deletedUntil, limit) {
      return inTransaction(() => oldest.all(deletedUntil, limit).map(dropForGood))
    },
  }

  function dropForGood({ id, owner, sizeBytes, version, thumbnail }: Dropped): string {
    drop.run(id)
    if (thumbnail) dropThumbnail(thumbnail)
    discard.run(version)
    free.run(sizeBytes, owner)
    return version
  }
}

export function trashPageSql(resumed: boolean): string {
  const past = resumed ? 'AND (deleted_at, id) < (:deletedAt, :id)' : ''
  return `SELECT ${COLUMNS} FROM files WHERE user_id = :owner AND deleted_at > :since ${past}
    ORDER BY deleted_at DESC, id DESC LIMIT :limit`
}

export function taggedSql(resumed: boolean): string {
  const past = resumed ? '(deleted_at, name, id) > (:deletedAt, :name, :id)' : 'deleted_at IS NOT NULL'
  return `SELECT ${COLUMNS} FROM files WHERE user_id = :owner AND tag = :tag AND ${past}
    ORDER BY deleted_at, name, id LIMIT :limit`
}
