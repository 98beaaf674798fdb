/** Numbered migrations: each runs once, in its own transaction, and is never changed after it was released. */
import type { Database } from 'better-sqlite3'
import { initial } from './migrations/001-initial.ts'

/** The schema's version, in `PRAGMA user_version`, is the number of migrations that have run. */
const migrations = [initial]

export function migrate(db: Database): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > migrations.length) {
    throw new Error(`The database has schema ${version}; this program knows ${migrations.length}. Use a newer one.`)
  }
  for (let next = version; next < migrations.length; next += 1) {
    db.transaction(() => {
      db.exec(migrations[next] as string)
      db.pragma(`user_version = ${next + 1}`)
    }).immediate()
  }
}
