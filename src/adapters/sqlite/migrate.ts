/** Numbered migrations. Each runs once and is never changed after its release. */
import type { Database } from 'better-sqlite3'
import { initial } from './migrations/001-initial.ts'
import { sealed } from './migrations/002-sealed.ts'
import { signIn } from './migrations/003-sign-in.ts'
import { fileQuota } from './migrations/004-file-quota.ts'
import { bounds } from './migrations/005-bounds.ts'
import { pinsByUser } from './migrations/006-pins-by-user.ts'
import { tags } from './migrations/007-tags.ts'
import { names } from './migrations/008-names.ts'
import { vacatedNames } from './migrations/009-vacated-names.ts'

/** The schema's version, in `PRAGMA user_version`, is the number of migrations that have run. */
const migrations = [initial, sealed, signIn, fileQuota, bounds, pinsByUser, tags, names, vacatedNames]
/** The first schema that is migrated without loss. */
const FIRST_KEPT = 2

/** Throws if the schema is not exactly this program's. */
export function checkSchema(db: Database, folder: string): void {
  const version = versionOf(db)
  if (version === 0) throw new Error(`there is no vault in ${folder}`)
  if (version === migrations.length) return
  const remedy = version > migrations.length ? 'Use a newer one' : 'Start its server once, which brings it up to date'
  throw new Error(`the database has schema ${version}; this program works with ${migrations.length}. ${remedy}`)
}

/** Throws if a server of this version could not migrate the database. */
export function checkMigratable(db: Database, folder: string): void {
  const version = versionOf(db)
  if (version < FIRST_KEPT || version > migrations.length) checkSchema(db, folder)
}

function versionOf(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number
}

export function migrate(db: Database): void {
  const version = versionOf(db)
  if (version > migrations.length) {
    throw new Error(`The database has schema ${version}; this program knows ${migrations.length}. Use a newer one.`)
  }
  if (version > 0 && version < FIRST_KEPT && db.prepare('SELECT 1 FROM users').get()) {
    throw new Error(
      'The database is of a version that did not seal contents. Use that one to get them out, then begin in an empty folder.',
    )
  }
  if (version === migrations.length) return
  db.transaction(() => {
    for (const migration of migrations.slice(version)) db.exec(migration)
    db.pragma(`user_version = ${migrations.length}`)
  }).immediate()
}
