/** Numbered migrations. Each runs once and is never changed after its release. */
import type { Database } from 'better-sqlite3'
import { tables } from './migrations/009-tables.ts'
import { parts } from './migrations/010-parts.ts'
import { uploads } from './migrations/011-uploads.ts'
import { photos } from './migrations/012-photos.ts'
import { months } from './migrations/013-months.ts'
import { lastBackup } from './migrations/014-last-backup.ts'
import { openUploads } from './migrations/015-open-uploads.ts'

/** The version of the schema, in `PRAGMA user_version`, that each migration makes. An empty database has version 0. */
const MIGRATIONS: readonly [version: number, migration: string][] = [
  [9, tables],
  [10, parts],
  [11, uploads],
  [12, photos],
  [13, months],
  [14, lastBackup],
  [15, openUploads],
]
const VERSIONS = MIGRATIONS.map(([version]) => version)
const [OLDEST, NEWEST] = [Math.min(...VERSIONS), Math.max(...VERSIONS)]

/** Throws if the schema is not exactly this program's. */
export function checkSchema(db: Database, folder: string): void {
  const version = versionOf(db)
  if (version === 0) throw new Error(`there is no vault in ${folder}`)
  if (version === NEWEST) return
  throw new Error(`the database has schema ${version}; this program works with ${NEWEST}. ${remedyFor(version)}`)
}

function remedyFor(version: number): string {
  if (version > NEWEST) return 'Use a newer one'
  return version < OLDEST ? 'That schema was never released' : 'Start its server once, which brings it up to date'
}

/** Throws if a server of this version could not migrate the database. */
export function checkMigratable(db: Database, folder: string): void {
  const version = versionOf(db)
  if (version < OLDEST || version > NEWEST) checkSchema(db, folder)
}

function versionOf(db: Database): number {
  return db.pragma('user_version', { simple: true }) as number
}

export function migrate(db: Database): void {
  const version = versionOf(db)
  if (version > NEWEST) {
    throw new Error(`The database has schema ${version}; this program knows ${NEWEST}. Use a newer one.`)
  }
  if (version > 0 && version < OLDEST) {
    throw new Error(
      `The database has schema ${version}, which was never released; this program knows ${OLDEST} to ${NEWEST}.`,
    )
  }
  if (version === NEWEST) return
  db.transaction(() => {
    for (const [makes, migration] of MIGRATIONS) if (makes > version) db.exec(migration)
    db.pragma(`user_version = ${NEWEST}`)
  }).immediate()
}
