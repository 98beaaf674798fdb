import type { SealedTrash, TrashQuery, TrashRepository } from '../../ports/files.ts'
import type { Database } from './database.ts'
import { FILE } from './files.ts'

const TRASH = `SELECT ${FILE}, deleted_at AS "deletedAt" FROM files`

export function postgresTrash({ ask, call }: Database): TrashRepository {
  /** Drops the files with these ids that are still in the trash and were deleted no later than `until`. */
  const drop = async (ids: string, values: unknown[], until: number): Promise<string[]> => {
    const text = `SELECT dropped_version AS version FROM drop_files(ARRAY(${ids}), $${values.length + 1})`
    return (await ask<{ version: string }>(text, [...values, until])).map(({ version }) => version)
  }

  return {
    async find(owner, id) {
      const one = `${TRASH} WHERE user_id = $1 AND id = $2 AND deleted_at IS NOT NULL`
      return (await ask<SealedTrash>(one, [owner, id]))[0] ?? null
    },

    list(owner, query) {
      const { text, values } = trashPageOf(owner, query)
      return ask<SealedTrash>(text, values)
    },

    tagged(owner, tag, after, limit) {
      const past = after ? '(deleted_at, name, id) > ($4, $5, $6)' : 'deleted_at IS NOT NULL'
      return ask<SealedTrash>(
        `${TRASH} WHERE user_id = $1 AND tag = $2 AND ${past} ORDER BY deleted_at, name, id LIMIT $3`,
        [owner, tag, limit, ...(after ? [after.deletedAt, after.name, after.id] : [])],
      )
    },

    async restore(owner, { id, version }, name, at) {
      const values = { owner, seen_id: id, seen_version: version, new_name: name, at }
      const [row] = await call<{ answer: 'done' | 'taken' | 'stale' }>('restore_file', values)
      return row?.answer as 'done' | 'taken' | 'stale'
    },

    async remove(owner, id) {
      const one = 'SELECT id FROM files WHERE user_id = $1 AND id = $2 AND deleted_at IS NOT NULL'
      const [version] = await drop(one, [owner, id], Number.MAX_SAFE_INTEGER)
      return version ?? null
    },

    empty(owner, deletedUntil, limit) {
      const oldest = 'SELECT id FROM files WHERE user_id = $1 AND deleted_at <= $2 ORDER BY deleted_at, id LIMIT $3'
      return drop(oldest, [owner, deletedUntil, limit], deletedUntil)
    },

    expire(deletedUntil, limit) {
      const oldest = 'SELECT id FROM files WHERE deleted_at <= $1 ORDER BY deleted_at LIMIT $2'
      return drop(oldest, [deletedUntil, limit], deletedUntil)
    },
  }
}

export function trashPageOf(owner: string, { since, after, limit }: TrashQuery) {
  const past = after ? 'AND (deleted_at, id) < ($4, $5)' : ''
  return {
    text: `${TRASH} WHERE user_id = $1 AND deleted_at > $2 ${past} ORDER BY deleted_at DESC, id DESC LIMIT $3`,
    values: [owner, since, limit, ...(after ? [after.deletedAt, after.id] : [])],
  }
}
