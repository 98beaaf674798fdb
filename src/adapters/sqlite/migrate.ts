/** Numbered migrations: each runs once, in its own transaction, and is never changed after it was released. */
import type { Database } from 'better-sqlite3'
import { initial } from './migrations/001-initial.ts'
import { sealed } from './migrations/002-sealed.ts'

/** The schema's version, in `PRAGMA user_version`, is the number of migrations that have run. */
const migrations = [initial, sealed]
/** The first schema of which nothing is lost. */
const FIRST_KEPT = 2

export function migrate(db: Database): void {
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > migrations.length) {
    throw new Error(`The database has schema ${version}; this program knows ${migrations.length}. Use a newer one.`)
  }
  if (version > 0 && version < FIRST_KEPT && db.prepare('SELECT 1 FROM users').get()) {
    throw new Error(
      'The database is of a version that did not seal contents. Use that one to get them out, then begin in an empty folder.',
    )
  }
  for (let next = version; next < migrations.length; next += 1) {
    db.transaction(() => {
      db.exec(migrations[next] as string)
      db.pragma(`user_version = ${next + 1}`)
    }).immediate()
  }
}
