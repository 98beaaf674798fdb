import type { Change, ChangeRepository } from '../../ports/changes.ts'
import type { SealedFile } from '../../ports/files.ts'
import type { Database } from './database.ts'
import { FILE } from './files.ts'

export function postgresChanges({ ask }: Database): ChangeRepository {
  return {
    async page(owner, { after, goneAfter, limit }) {
      const rows = await ask<ChangeRow>(PAGE, [owner, after, Math.max(after, goneAfter), limit])
      const [first] = rows
      if (!first) return null
      const { history, latest, forgotten } = first
      return { history, latest, forgotten, changes: rows.filter(({ revision }) => revision !== null).map(changeOf) }
    },

    async forget(until, limit) {
      const [row] = await ask<{ forgotten: number }>('SELECT forgotten FROM forget_tombstones($1, $2)', [until, limit])
      return row?.forgotten ?? 0
    },
  }
}

type ChangeRow = SealedFile & {
  history: string
  latest: number
  forgotten: number
  /** `null` in the only row of a user without changes. */
  revision: number
  goneId: string | null
  goneAt: number
}

function changeOf({ history, latest, forgotten, revision, goneId, goneAt, ...file }: ChangeRow): Change {
  return goneId === null ? { revision, file } : { revision, gone: { id: goneId, at: goneAt } }
}

/** One statement, so that all of it is read at one moment. Keyset paging on an index for each of the two kinds. */
export const PAGE = `SELECT users.history, users.revision AS latest, users.forgotten_revision AS forgotten,
    change.revision, change."goneId", change."goneAt", file.*
  FROM users
  LEFT JOIN LATERAL (
    (SELECT revision, id AS file_id, NULL AS "goneId", NULL::bigint AS "goneAt" FROM files
      WHERE user_id = $1 AND revision > $2 AND deleted_at IS NULL ORDER BY revision LIMIT $4)
    UNION ALL
    (SELECT revision, NULL, file_id, at FROM tombstones WHERE user_id = $1 AND revision > $3 ORDER BY revision LIMIT $4)
    ORDER BY revision LIMIT $4
  ) AS change ON true
  LEFT JOIN LATERAL (SELECT ${FILE} FROM files WHERE files.id = change.file_id) AS file ON true
  WHERE users.id = $1 ORDER BY change.revision`
