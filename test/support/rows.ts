/** Every row of a database by table, to check that no row has changed or that all rows were copied. */
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { run } from './postgres.ts'

export type Tables = Record<string, string[]>

export function sqliteRows(folder: string): Tables {
  const db = new Database(join(folder, 'minikeepsafe.db'), { readonly: true })
  try {
    const tables = db.prepare<[], string>("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all()
    return tablesOf(
      tables.map((table) => [table, db.prepare<[], object>(`SELECT * FROM ${table}`).safeIntegers().all()]),
    )
  } finally {
    db.close()
  }
}

export async function postgresRows(url: string): Promise<Tables> {
  const found = await run<{ name: string }>(
    url,
    'SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()',
  )
  const tables = await Promise.all(
    found.map(async ({ name }) => [name, await run<object>(url, `SELECT * FROM ${name}`)] as [string, object[]]),
  )
  return tablesOf(tables)
}

/** Writes rows as text with columns by name. A large number that a driver returns as text equals the number. */
function tablesOf(tables: [string, object[]][]): Tables {
  const textOf = (row: object) =>
    Object.entries(row)
      .map(([name, value]) => `${name}=${Buffer.isBuffer(value) ? value.toString('hex') : value}`)
      .sort()
      .join(' ')
  return Object.fromEntries(tables.map(([table, rows]) => [table, rows.map(textOf).sort()]))
}
