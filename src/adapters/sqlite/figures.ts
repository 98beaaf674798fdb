import { statSync } from 'node:fs'
import type { Database } from 'better-sqlite3'
import type { DatabaseFigures } from '../../ports/database.ts'

/** SQLite keeps these numbers in the header of the database. */
export function sqliteFigures(db: Database): NonNullable<DatabaseFigures['file']> {
  const setting = (name: string) => db.pragma(name, { simple: true }) as number
  const pageBytes = setting('page_size')
  return {
    bytes: setting('page_count') * pageBytes,
    freeBytes: setting('freelist_count') * pageBytes,
    logBytes: statSync(`${db.name}-wal`, { throwIfNoEntry: false })?.size ?? 0,
  }
}
