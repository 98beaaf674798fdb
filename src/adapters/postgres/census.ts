import type { Census } from '../../ports/database.ts'
import type { Database } from './database.ts'

export async function postgresCensus({ ask }: Database, now: number): Promise<Census> {
  const sums = (size: string, from: string) =>
    `(SELECT json_build_object('count', count(*), 'bytes', coalesce(sum(${size}), 0)) FROM ${from})`
  const [census] = await ask<Census>(
    `SELECT
       (SELECT count(*) FROM users) AS users,
       (SELECT count(*) FROM sessions WHERE ended_at IS NULL) AS sessions,
       ${sums('size', 'files WHERE deleted_at IS NULL')} AS files,
       ${sums('size', 'files WHERE deleted_at IS NOT NULL')} AS trash,
       ${sums('thumbnail_size', 'files WHERE thumbnail IS NOT NULL')} AS thumbnails,
       ${sums('received', 'uploads WHERE file_id IS NULL')} AS uploads,
       (SELECT json_build_object(
          'never', count(*) FILTER (WHERE coalesce(failed_at, verified_at, 0) = 0),
          'failed', count(*) FILTER (WHERE failed_at IS NOT NULL),
          'oldestAt', min(verified_at) FILTER (WHERE failed_at IS NULL)) FROM files) AS "readBack",
       (SELECT count(*) FROM garbage JOIN parts USING (version)) AS garbage,
       (SELECT count(*) FROM runs) AS runs,
       (SELECT coalesce(json_object_agg(key_id, slots), '{}')
          FROM (SELECT key_id, count(*) AS slots FROM key_slots GROUP BY key_id) AS by_key) AS slots,
       (SELECT count(*) FROM holds WHERE until > $1) AS holds,
       (SELECT version FROM schema_version) AS schema,
       pg_database_size(current_database()) AS "databaseBytes"`,
    [now],
  )
  return census as Census
}
