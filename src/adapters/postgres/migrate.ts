/** Numbered migrations. Each runs once, in its own transaction, and never changes after its release (docs/migrations.md). */
import type { Ask, Database } from './database.ts'
import { tables } from './migrations/001-tables.ts'
import { acts } from './migrations/002-acts.ts'
import { fileQuota } from './migrations/003-file-quota.ts'
import { bounds } from './migrations/004-bounds.ts'
import { pinsByUser } from './migrations/005-pins-by-user.ts'
import { tags } from './migrations/006-tags.ts'
import { names } from './migrations/007-names.ts'
import { vacatedNames } from './migrations/008-vacated-names.ts'

/** The schema's version, in `schema_version`, is the number of migrations that have run. */
const migrations = [tables, acts, fileQuota, bounds, pinsByUser, tags, names, vacatedNames]

/** Migrates the schema. If several processes start together, one migrates and the others wait. */
export async function migrate({ alone }: Database): Promise<void> {
  await alone(async (ask) => {
    while (await migrateOnce(ask));
  })
}

/** Throws if the schema is not exactly this program's. */
export async function checkSchema({ ask }: Database): Promise<void> {
  const version = await versionOf(ask)
  if (version === 0) throw new Error('there is no vault in this database')
  if (version === migrations.length) return
  const remedy = version > migrations.length ? 'Use a newer one' : 'Start its server once, which brings it up to date'
  throw new Error(`the database has schema ${version}; this program works with ${migrations.length}. ${remedy}`)
}

/** Runs the next migration; false if there is none. An error ends the connection, which rolls the migration back. */
async function migrateOnce(ask: Ask): Promise<boolean> {
  await ask('BEGIN')
  await ask("SELECT pg_advisory_xact_lock(hashtextextended('migrate ' || current_schema(), 0))")
  const version = await versionOf(ask)
  if (version > migrations.length) {
    throw new Error(`the database has schema ${version}; this program knows ${migrations.length}. Use a newer one`)
  }
  const next = migrations[version]
  if (next) {
    await ask(next)
    await ask('UPDATE schema_version SET version = $1', [version + 1])
  }
  await ask('COMMIT')
  return next !== undefined
}

async function versionOf(ask: Ask): Promise<number> {
  const [found] = await ask<{ there: boolean }>("SELECT to_regclass('schema_version') IS NOT NULL AS there")
  if (!found?.there) return 0
  const [row] = await ask<{ version: number }>('SELECT version FROM schema_version')
  return row?.version ?? 0
}
