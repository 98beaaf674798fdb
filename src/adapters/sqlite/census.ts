import type { Database } from 'better-sqlite3'
import type { Census } from '../../ports/database.ts'

export function sqliteCensus(db: Database, now: number): Census {
  const count = (sql: string, ...values: number[]) =>
    db
      .prepare(sql)
      .pluck()
      .get(...values) as number
  const sums = (size: string, from: string) =>
    db.prepare(`SELECT count(*) AS count, coalesce(sum(${size}), 0) AS bytes FROM ${from}`).get() as {
      count: number
      bytes: number
    }
  const setting = (name: string) => db.pragma(name, { simple: true }) as number
  const slots = db.prepare<[], [string, number]>('SELECT key_id, count(*) FROM key_slots GROUP BY key_id').raw()
  const oldest = db.prepare<[], number | null>('SELECT min(verified_at) FROM files WHERE failed_at IS NULL').pluck()
  return db.transaction(() => ({
    users: count('SELECT count(*) FROM users'),
    sessions: count('SELECT count(*) FROM sessions WHERE ended_at IS NULL'),
    files: sums('size', 'files WHERE deleted_at IS NULL'),
    trash: sums('size', 'files WHERE deleted_at IS NOT NULL'),
    thumbnails: sums('thumbnail_size', 'files WHERE thumbnail IS NOT NULL'),
    uploads: sums('received', 'uploads WHERE file_id IS NULL'),
    readBack: {
      never: count('SELECT count(*) FROM files WHERE coalesce(failed_at, verified_at, 0) = 0'),
      failed: count('SELECT count(*) FROM files WHERE failed_at IS NOT NULL'),
      oldestAt: oldest.get() ?? null,
    },
    garbage: count('SELECT count(*) FROM garbage JOIN parts USING (version)'),
    runs: count('SELECT count(*) FROM runs'),
    slots: Object.fromEntries(slots.all()),
    holds: count('SELECT count(*) FROM holds WHERE until > ?', now),
    schema: setting('user_version'),
    databaseBytes: setting('page_count') * setting('page_size'),
  }))()
}
