import type { ListedUser, Usage, User, UserRepository } from '../../ports/accounts.ts'
import { type Database, STRANGERS } from './database.ts'

const USER = 'SELECT id, name, email, confirmed_by AS "confirmedBy", created_at AS "createdAt" FROM users'
const COUNTS = 'file_count AS files, trash_count AS "trashFiles", byte_count AS bytes'

interface Audited extends Usage {
  id: string
  actualFiles: number
  actualTrashFiles: number
  actualBytes: number
}

export function postgresUsers({ ask, call }: Database): UserRepository {
  return {
    async find(owner) {
      const [user] = await ask<User>(`${USER} WHERE id = $1`, [owner])
      return user ?? null
    },

    async findByEmail(email) {
      const [user] = await ask<User>(`${USER} WHERE email = $1`, [email], STRANGERS)
      return user ?? null
    },

    async usage(owner) {
      const [usage] = await ask<Usage>(`SELECT ${COUNTS} FROM users WHERE id = $1`, [owner])
      return usage ?? { files: 0, trashFiles: 0, bytes: 0 }
    },

    async total() {
      const [total] = await ask<Usage>(
        `SELECT coalesce(sum(file_count), 0)::bigint AS files, coalesce(sum(trash_count), 0)::bigint AS "trashFiles",
           coalesce(sum(byte_count), 0)::bigint AS bytes FROM users`,
      )
      return total as Usage
    },

    async audit(after, limit) {
      const rows = await ask<Audited>(
        `SELECT users.id, ${COUNTS}, actual.files AS "actualFiles", actual.trash AS "actualTrashFiles",
           actual.bytes AS "actualBytes"
         FROM users, LATERAL (
           SELECT count(*) FILTER (WHERE deleted_at IS NULL) AS files,
             count(*) FILTER (WHERE deleted_at IS NOT NULL) AS trash, coalesce(sum(size + thumbnail_size), 0)::bigint + (
               SELECT coalesce(sum(received), 0)::bigint FROM uploads WHERE user_id = users.id AND file_id IS NULL) AS bytes
           FROM files WHERE user_id = users.id) AS actual
         WHERE users.id > $1 ORDER BY users.id LIMIT $2`,
        [after, limit],
      )
      return rows.map(({ id, actualFiles, actualTrashFiles, actualBytes, ...counted }) => {
        return { id, counted, actual: { files: actualFiles, trashFiles: actualTrashFiles, bytes: actualBytes } }
      })
    },

    page: (after, limit) =>
      ask<ListedUser>(
        `SELECT id, email, created_at AS "createdAt", ${COUNTS},
           (SELECT count(*) FROM sessions WHERE user_id = users.id AND ended_at IS NULL) AS sessions,
           greatest(created_at, (SELECT max(last_used_at) FROM sessions WHERE user_id = users.id),
             (SELECT max(last_seen_at) FROM devices WHERE user_id = users.id)) AS "lastSeenAt"
         FROM users WHERE id > $1 ORDER BY id LIMIT $2`,
        [after, limit],
      ),

    async remove(owner) {
      const [answer] = await call<{ removed: boolean }>('remove_user', { owner })
      return answer?.removed === true
    },

    async departed(limit) {
      const rows = await ask<{ owner: string }>('SELECT user_id AS owner FROM departed ORDER BY user_id LIMIT $1', [
        limit,
      ])
      return rows.map(({ owner }) => owner)
    },

    async clearOut(owner, limit) {
      const [row] = await ask<{ removed: number; versions: string[] }>(
        `WITH dropped AS (
           DELETE FROM files WHERE id IN (SELECT id FROM files WHERE user_id = $1 LIMIT $2) RETURNING version, thumbnail
         ), without_thumbnails AS (
           DELETE FROM thumbnails WHERE tag IN (SELECT thumbnail FROM dropped)
         ), uploads_left AS (
           DELETE FROM uploads WHERE id IN (
             SELECT id FROM uploads WHERE user_id = $1 LIMIT $2 - (SELECT count(*) FROM dropped))
           RETURNING id AS version, file_id IS NULL AND parts > 0 AS is_version
         ), tombstones_left AS (
           DELETE FROM tombstones WHERE user_id = $1 AND file_id IN (
             SELECT file_id FROM tombstones WHERE user_id = $1
             LIMIT $2 - (SELECT count(*) FROM dropped) - (SELECT count(*) FROM uploads_left))
           RETURNING file_id
         ), versions AS (
           SELECT version FROM dropped UNION ALL SELECT version FROM uploads_left WHERE is_version
         ), discarded AS (
           INSERT INTO garbage (version) SELECT version FROM versions
         )
         SELECT (SELECT count(*) FROM dropped) + (SELECT count(*) FROM uploads_left)
             + (SELECT count(*) FROM tombstones_left) AS removed,
           ARRAY(SELECT version FROM versions) AS versions`,
        [owner, limit],
      )
      return row ?? { removed: 0, versions: [] }
    },

    async forget(owner) {
      // Another process may be clearing the same user out. The last process to finish deletes the row.
      const left = `SELECT FROM files WHERE user_id = $1 UNION ALL SELECT FROM uploads WHERE user_id = $1
        UNION ALL SELECT FROM tombstones WHERE user_id = $1`
      const [answer] = await ask<{ done: boolean }>(
        `WITH forgotten AS (DELETE FROM departed WHERE user_id = $1 AND NOT EXISTS (${left}) RETURNING user_id)
         SELECT NOT EXISTS (SELECT FROM departed WHERE user_id = $1 AND user_id NOT IN (TABLE forgotten)) AS done`,
        [owner],
      )
      return answer?.done === true
    },
  }
}
