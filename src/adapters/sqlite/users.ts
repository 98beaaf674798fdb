import type { Database } from 'better-sqlite3'
import type { ListedUser, Usage, User, UserRepository } from '../../ports/accounts.ts'
import { sharedErasure } from './erasure.ts'
import { type InTransaction, MOST_BYTES } from './group-commit.ts'
import { thumbnailDrop } from './thumbnails.ts'

const COLUMNS = 'id, name, email, confirmed_by AS confirmedBy, created_at AS createdAt FROM users'

export function sqliteUsers(db: Database, inTransaction: InTransaction): UserRepository {
  const byId = db.prepare<[string], User>(`SELECT ${COLUMNS} WHERE id = ?`)
  const byEmail = db.prepare<[string], User>(`SELECT ${COLUMNS} WHERE email = ?`)
  const usage = db.prepare<[string], Usage>(
    'SELECT file_count AS files, trash_count AS trashFiles, byte_count AS bytes FROM users WHERE id = ?',
  )
  const total = db.prepare<[], Usage>(
    `SELECT coalesce(sum(file_count), 0) AS files, coalesce(sum(trash_count), 0) AS trashFiles,
       coalesce(sum(byte_count), 0) AS bytes FROM users`,
  )
  const audit = db.prepare<
    [string, number],
    Usage & Record<'actualFiles' | 'actualTrashFiles' | 'actualBytes', number> & { id: string }
  >(
    `SELECT id, file_count AS files, trash_count AS trashFiles, byte_count AS bytes,
       (SELECT count(*) FROM files WHERE user_id = users.id AND deleted_at IS NULL) AS actualFiles,
       (SELECT count(*) FROM files WHERE user_id = users.id AND deleted_at IS NOT NULL) AS actualTrashFiles,
       (SELECT coalesce(sum(size + thumbnail_size), 0) FROM files WHERE user_id = users.id AND deleted_at IS NULL) +
       (SELECT coalesce(sum(size + thumbnail_size), 0) FROM files WHERE user_id = users.id AND deleted_at IS NOT NULL) +
       (SELECT coalesce(sum(received), 0) FROM uploads WHERE user_id = users.id AND file_id IS NULL) AS actualBytes
     FROM users WHERE id > ? ORDER BY id LIMIT ?`,
  )
  const page = db.prepare<[string, number], ListedUser>(
    `SELECT id, email, created_at AS createdAt, file_count AS files, trash_count AS trashFiles, byte_count AS bytes,
       (SELECT count(*) FROM sessions WHERE user_id = users.id AND ended_at IS NULL) AS sessions,
       max(created_at, coalesce((SELECT max(last_used_at) FROM sessions WHERE user_id = users.id), 0),
         coalesce((SELECT max(last_seen_at) FROM devices WHERE user_id = users.id), 0)) AS lastSeenAt
     FROM users WHERE id > ? ORDER BY id LIMIT ?`,
  )
  // Cascades to all rows of the user except key slots and files.
  const remove = db.prepare<[string]>('DELETE FROM users WHERE id = ?')
  const dropSlots = db.prepare<[string]>('DELETE FROM key_slots WHERE user_id = ?')
  const depart = db.prepare<[string]>('INSERT INTO departed (user_id) VALUES (?)')
  const departed = db.prepare<[number], { owner: string }>('SELECT user_id AS owner FROM departed LIMIT ?')
  const leftBehind = db.prepare<
    [{ owner: string; limit: number }],
    { id: string; version: string; thumbnail: string | null }
  >(
    // The only index that has both live files and trash.
    'SELECT id, version, thumbnail FROM files INDEXED BY files_by_tag WHERE user_id = :owner LIMIT :limit',
  )
  const uploadsLeft = db.prepare<
    [{ owner: string; limit: number }],
    { id: string; version: string; isVersion: number }
  >(
    'SELECT id, id AS version, file_id IS NULL AND parts > 0 AS isVersion FROM uploads WHERE user_id = :owner LIMIT :limit',
  )
  const dropUpload = db.prepare<[string]>('DELETE FROM uploads WHERE id = ?')
  const dropThumbnail = thumbnailDrop(db)
  const dropFile = db.prepare<[string]>('DELETE FROM files WHERE id = ?')
  const discard = db.prepare<[string]>('INSERT INTO garbage (version) VALUES (?)')
  const dropTombstones = db.prepare<[{ owner: string; limit: number }]>(
    `DELETE FROM tombstones WHERE user_id = :owner AND file_id IN (
       SELECT file_id FROM tombstones WHERE user_id = :owner LIMIT :limit)`,
  )
  const forget = db.prepare<[string]>('DELETE FROM departed WHERE user_id = ?')
  const erased = sharedErasure(db)

  return {
    async find(owner) {
      return byId.get(owner) ?? null
    },

    async findByEmail(email) {
      return byEmail.get(email) ?? null
    },

    async usage(owner) {
      return usage.get(owner) ?? { files: 0, trashFiles: 0, bytes: 0 }
    },

    async total() {
      return total.get() as Usage
    },

    async audit(after, limit) {
      return audit.all(after, limit).map(({ id, actualFiles, actualTrashFiles, actualBytes, ...counted }) => {
        return { id, counted, actual: { files: actualFiles, trashFiles: actualTrashFiles, bytes: actualBytes } }
      })
    },

    async page(after, limit) {
      return page.all(after, limit)
    },

    remove(owner) {
      return inTransaction(() => {
        if (remove.run(owner).changes === 0) return false
        dropSlots.run(owner)
        depart.run(owner)
        return true
        // A user may have thousands of sessions, devices and activity entries. So a commit has one removal.
      }, MOST_BYTES)
    },

    async departed(limit) {
      return departed.all(limit).map(({ owner }) => owner)
    },

    clearOut(owner, limit) {
      return inTransaction(() => {
        const files = leftBehind.all({ owner, limit })
        for (const { id, version, thumbnail } of files) {
          dropFile.run(id)
          if (thumbnail) dropThumbnail(thumbnail)
          discard.run(version)
        }
        const uploads = uploadsLeft.all({ owner, limit: limit - files.length })
        for (const { id, isVersion } of uploads) {
          dropUpload.run(id)
          if (isVersion) discard.run(id)
        }
        const tombstones = dropTombstones.run({ owner, limit: limit - files.length - uploads.length }).changes
        return {
          removed: files.length + uploads.length + tombstones,
          versions: [...files, ...uploads.filter(({ isVersion }) => isVersion)].map(({ version }) => version),
        }
      })
    },

    async forget(owner) {
      if (!(await erased())) return false
      await inTransaction(() => forget.run(owner))
      return true
    },
  }
}
