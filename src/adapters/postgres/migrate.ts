/** Numbered migrations. Each runs once and never changes after its release (docs/migrations.md). */
import type { Ask, Database } from './database.ts'
import { functions } from './functions/functions.ts'
import { tables } from './migrations/008-tables.ts'
import { parts } from './migrations/009-parts.ts'
import { uploads } from './migrations/010-uploads.ts'
import { photos } from './migrations/011-photos.ts'
import { lastBackup } from './migrations/012-last-backup.ts'

/** The version of the schema, in `schema_version`, that each migration makes. An empty database has version 0. */
const MIGRATIONS: readonly [version: number, migration: string][] = [
  [8, tables],
  [9, parts],
  [10, uploads],
  [11, photos],
  [12, lastBackup],
  // Only functions are new in these two.
  [13, ''],
  [14, ''],
]
const VERSIONS = MIGRATIONS.map(([version]) => version)
const [OLDEST, NEWEST] = [Math.min(...VERSIONS), Math.max(...VERSIONS)]

/**
 * Migrates the schema in one transaction. If several processes start together, one migrates and the others wait. An error
 * ends the connection, which rolls the migration back.
 */
export async function migrate({ alone }: Database): Promise<void> {
  await alone(async (ask) => {
    await ask('BEGIN')
    await ask("SELECT pg_advisory_xact_lock(hashtextextended('migrate ' || current_schema(), 0))")
    const version = await versionOf(ask)
    if (version > NEWEST) {
      throw new Error(`the database has schema ${version}; this program knows ${NEWEST}. Use a newer one`)
    }
    if (version > 0 && version < OLDEST) {
      throw new Error(
        `the database has schema ${version}, which was never released; this program knows ${OLDEST} to ${NEWEST}`,
      )
    }
    if (version < NEWEST) {
      for (const [makes, migration] of MIGRATIONS) if (makes > version) await ask(migration)
      await ask(functions)
      await ask('UPDATE schema_version SET version = $1', [NEWEST])
    }
    await ask('COMMIT')
  })
}

/** Throws if the schema is not exactly this program's. */
export async function checkSchema({ ask }: Database): Promise<void> {
  const version = await versionOf(ask)
  if (version === 0) throw new Error('there is no vault in this database')
  if (version === NEWEST) return
  throw new Error(`the database has schema ${version}; this program works with ${NEWEST}. ${remedyFor(version)}`)
}

function remedyFor(version: number): string {
  if (version > NEWEST) return 'Use a newer one'
  return version < OLDEST ? 'That schema was never released' : 'Start its server once, which brings it up to date'
}

async function versionOf(ask: Ask): Promise<number> {
  const [found] = await ask<{ there: boolean }>("SELECT to_regclass('schema_version') IS NOT NULL AS there")
  if (!found?.there) return 0
  const [row] = await ask<{ version: number }>('SELECT version FROM schema_version')
  return row?.version ?? 0
}
