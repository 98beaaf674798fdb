import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { PAGE } from '../../src/adapters/postgres/changes.ts'
import type { Database } from '../../src/adapters/postgres/database.ts'
import { openPostgres, openPostgresBeside, repositoriesOf } from '../../src/adapters/postgres/engine.ts'
import { pageOf } from '../../src/adapters/postgres/files.ts'
import { postgresLedger } from '../../src/adapters/postgres/ledger.ts'
import { COUNT_BY_MONTH, valuesOf } from '../../src/adapters/postgres/months.ts'
import { trashPageOf } from '../../src/adapters/postgres/trash.ts'
import { PAUSES } from '../../src/vault/sign-in/enrolment.ts'
import { accountsContract } from '../contracts/accounts.ts'
import { changesContract } from '../contracts/changes.ts'
import { extremesContract } from '../contracts/extremes.ts'
import { monthsContract } from '../contracts/months.ts'
import { operatorContract } from '../contracts/operator.ts'
import { readBacksContract } from '../contracts/read-backs.ts'
import { repositoriesContract } from '../contracts/repositories.ts'
import { names, newFile, opened, standing, T, withOwners } from '../contracts/rows.ts'
import { signInContract } from '../contracts/sign-in.ts'
import { thumbnailsContract } from '../contracts/thumbnails.ts'
import { uploadsContract } from '../contracts/uploads.ts'
import { vacatedNamesContract } from '../contracts/vacated-names.ts'
import { connection, databaseForMany, describePostgres, emptySchema, openedDatabase, run } from '../support/postgres.ts'

/** Every other run is over at once, as it is for whoever is alone. */
const ALONE = { beatMs: 10_000, silenceMs: 0 }

const emptyDatabase = databaseForMany()

async function repositories() {
  const db = await emptyDatabase()
  return { ...repositoriesOf(db), ledger: postgresLedger(db, ALONE) }
}

describePostgres('the contracts', () => {
  repositoriesContract('PostgreSQL', repositories)
  accountsContract('PostgreSQL', repositories)
  vacatedNamesContract('PostgreSQL', repositories)
  operatorContract('PostgreSQL', repositories)
  thumbnailsContract('PostgreSQL', repositories)
  uploadsContract('PostgreSQL', repositories)
  changesContract('PostgreSQL', repositories)
  monthsContract('PostgreSQL', repositories)
  readBacksContract('PostgreSQL', repositories)
  signInContract('PostgreSQL', repositories)
  extremesContract('PostgreSQL', repositories)
})

describePostgres('PostgreSQL', () => {
  it('commits so that a power cut takes nothing back, whatever the server is used to', async () => {
    const { ask, alone, url } = await openedDatabase()
    const text = 'SELECT name, setting FROM pg_settings WHERE name = ANY ($1) ORDER BY name'
    const values = [['default_transaction_isolation', 'synchronous_commit']]
    const careless = await run(url, text, values)
    expect(careless).toContainEqual({ name: 'synchronous_commit', setting: 'off' })
    const careful = [
      { name: 'default_transaction_isolation', setting: 'read committed' },
      { name: 'synchronous_commit', setting: 'on' },
    ]
    expect(await ask(text, values)).toEqual(careful)
    expect(await alone((ask) => ask(text, values))).toEqual(careful)
  })

  it('runs each migration once, also where many processes start together', async () => {
    const url = await emptySchema()
    const engines = await Promise.all(Array.from({ length: 5 }, () => openPostgres(url)))
    expect(await run(url, 'SELECT version FROM schema_version')).toEqual([{ version: 14 }])
    await Promise.all(engines.map((engine) => engine.close()))
  })

  it('counts guesses at nobody without end', async () => {
    const db = await emptyDatabase()
    const { pinLedger } = repositoriesOf(db)
    await db.ask(
      `INSERT INTO guesses (address, wrong, paused_until)
       SELECT set_byte('\\x00', 0, n), 0, 0 FROM generate_series(0, 255) AS n`,
    )
    for (const wrong of [224, 999_999_999]) {
      await db.ask('UPDATE guesses SET wrong = $1, paused_until = 0', [wrong])
      const guess = { deviceId: 'device-1', kind: 'pin' as const, address: null, at: T, maxAttempts: 5, rule: PAUSES }
      expect(await pinLedger.count(guess)).toEqual({ counted: { as: 'nobody' }, handedOut: [] })
    }
  })

  it('refuses a database from before the first release', async () => {
    const { url } = await openedDatabase()
    await run(url, 'UPDATE schema_version SET version = 7')
    await expect(openPostgres(url)).rejects.toThrow('schema 7, which was never released')
  })

  it('does not touch a database from a newer version', async () => {
    const { url } = await openedDatabase()
    await run(url, 'UPDATE schema_version SET version = 1000')
    await expect(openPostgres(url)).rejects.toThrow('schema 1000')
    await expect(openPostgresBeside(url)).rejects.toThrow(
      /has schema 1000; this program works with \d+\. Use a newer one/,
    )
    expect(await run(url, 'SELECT version FROM schema_version')).toEqual([{ version: 1000 }])
  })

  it('makes and changes nothing beside a server', async () => {
    const url = await emptySchema()
    await expect(openPostgresBeside(url)).rejects.toThrow('there is no vault in this database')
    const tables = 'SELECT FROM pg_tables WHERE schemaname = current_schema()'
    expect(await run(url, tables)).toEqual([])
    await openedDatabase(url)
    await run(url, 'UPDATE schema_version SET version = 1')
    await expect(openPostgresBeside(url)).rejects.toThrow('was never released')
    await run(url, 'UPDATE schema_version SET version = 8')
    await expect(openPostgresBeside(url)).rejects.toThrow('Start its server once')
  })

  it('pages along an index, without sorting, however long the list is', async () => {
    const db = await withManyFiles()
    for (const sort of ['name', 'createdAt', 'updatedAt', 'size', 'takenAt'] as const) {
      for (const order of ['asc', 'desc'] as const) {
        for (const after of [null, { key: sort === 'name' ? 'file-2' : 5000, id: 'id' }]) {
          const plan = await planOf(db, pageOf('owner-1', { prefix: '', sort, order, after, limit: 10 }))
          expect(plan).toMatch(/^Limit;Index Scan (Backward )?using files_by_\w+ on files;Index Cond: [^;]*$/)
        }
      }
    }
    for (const after of [null, { deletedAt: 5000, id: 'id' }]) {
      const plan = await planOf(db, trashPageOf('owner-1', { since: 0, after, limit: 10 }))
      expect(plan).toMatch(/^Limit;Index Scan Backward using trash_of_user on files;Index Cond: [^;]*$/)
    }
    const changes = await planOf(db, { text: PAGE, values: ['owner-1', 5000, 5000, 10] })
    expect(changes).toMatch(/using files_by_revision on files files_1;Index Cond: [^;]*revision > /)
    expect(changes).not.toContain('Seq Scan on files')
    const values = valuesOf('owner-1', null, { files: 1000, months: 10 })
    const months = await planOf(db, { text: COUNT_BY_MONTH, values })
    expect(months.match(/ on files/g)).toHaveLength(3)
    expect(
      months.match(/Index Only Scan Backward using files_by_dated_at on files[^;]*;Index Cond: .*?dated_at, /g),
    ).toHaveLength(3)
    const prefixed = { prefix: 'file-2', sort: 'name', order: 'asc', after: null, limit: 10 } as const
    expect(await planOf(db, pageOf('owner-1', prefixed))).toMatch(
      /using files_by_name on files;Index Cond: .*name >= .*name < [^;]*$/,
    )
  })

  it('finds nothing for what it cannot hold', async () => {
    const { files, sessions, ana } = await withOwners(repositories)
    await files.commit(ana, newFile('beach'), null, null)
    expect(await standing(files, ana, 'beach\0')).toBeNull()
    expect(await sessions.find(ana, '\0')).toBeNull()
    expect(await names(files, ana, { prefix: '\0' })).toEqual([])
  })

  it('begins again with a connection that the server ended', async () => {
    const { ask, url } = await openedDatabase()
    const [row] = await ask<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    await run(url, 'SELECT pg_terminate_backend($1, 5000)', [row?.pid])
    await expect.poll(() => ask('SELECT 1 AS one').catch(() => null)).toEqual([{ one: 1 }])
  })

  it('tells faults without the rows that they are about', async () => {
    const { files, ana } = await withOwners(repositories)
    const file = newFile('a-secret-name')
    await files.commit(ana, file, null, null)
    const fault = await files.commit(ana, { ...newFile('other'), blob: file.blob }, null, null).catch((error) => error)
    expect(fault.message).toContain('parts_blob_key')
    expect(JSON.stringify(Object.entries(fault))).not.toContain(file.blob)
    expect(fault.cause).toBeUndefined()
  })

  it('forgets many sessions that are over', async () => {
    const { ask, sessions, user } = await withUser()
    await ask(
      `INSERT INTO sessions SELECT 's' || n, $1, 'd' || n, sha256(n::text::bytea), 'p' || n, 0, 0, 1
       FROM generate_series(1, 12000) AS n`,
      [user.id],
    )
    await sessions.forget(T, T, T)
    expect(await ask('SELECT count(*) AS count FROM sessions')).toEqual([{ count: 1 }])
  })

  it('leaves nothing of slots that were replaced in the database, once nobody is looking at them', async () => {
    const { keySlots, url, user } = await withUser()
    const isThere = async () => {
      await run(url, 'CHECKPOINT')
      const look = "SELECT position($1 IN pg_read_binary_file(pg_relation_filepath('key_slots'))) > 0 AS there"
      return (await run<{ there: boolean }>(url, look, [user.slot.sealed]))[0]?.there
    }
    await keySlots.replace(user.id, user.slot, { ...user.slot, sealed: randomBytes(61) })
    expect(await isThere()).toBe(true)
    const reader = await connection(url)
    await reader.query('BEGIN')
    await reader.query('SELECT FROM key_slots')
    expect(await keySlots.purge()).toBe(false)
    await reader.end()
    expect(await keySlots.purge()).toBe(true)
    expect(await isThere()).toBe(false)
  })

  it('finishes no removal while something is left of it', async () => {
    const { users, files, ana } = await withOwners(repositories)
    await files.commit(ana, newFile('beach'), null, null)
    await users.remove(ana)
    expect(await users.forget(ana)).toBe(false)
    await users.clearOut(ana, 10)
    expect(await users.forget(ana)).toBe(true)
  })
})

async function withUser() {
  const db = await openedDatabase()
  const all = repositoriesOf(db)
  const { user } = await opened(all.sessions)
  return { ...db, ...all, user }
}

async function withManyFiles() {
  const db = await openedDatabase()
  await run(
    db.url,
    // A user with many files; and many users with some trash, which was not deleted in the order in which it came.
    `INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, version, seal, deleted_at)
     SELECT 'id-' || n, CASE WHEN n % 2 = 1 THEN 'owner-1' ELSE 'owner-' || n % 51 END, 'file-' || n, n, '', n, n,
       'run/' || n, '', CASE WHEN n % 2 = 0 THEN n * 7919 % 20011 END
     FROM generate_series(1, 20000) AS n`,
  )
  await run(db.url, 'ANALYZE files')
  return db
}

/** How the database goes about a query: nodes and conditions. */
async function planOf(db: Pick<Database, 'ask'>, { text, values }: { text: string; values: unknown[] }) {
  const lines = await db.ask<Record<string, string>>(`EXPLAIN (COSTS off) ${text}`, values)
  return lines.map((line) => (Object.values(line)[0] as string).replace(/^[\s>-]+/, '').trim()).join(';')
}
