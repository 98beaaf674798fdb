import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import type { Database } from '../../src/adapters/postgres/database.ts'
import { openPostgres, openPostgresBeside, repositoriesOf } from '../../src/adapters/postgres/engine.ts'
import { pageOf } from '../../src/adapters/postgres/files.ts'
import { postgresLedger } from '../../src/adapters/postgres/ledger.ts'
import { tables } from '../../src/adapters/postgres/migrations/001-tables.ts'
import { acts } from '../../src/adapters/postgres/migrations/002-acts.ts'
import { trashPageOf } from '../../src/adapters/postgres/trash.ts'
import { accountsContract } from '../contracts/accounts.ts'
import { extremesContract } from '../contracts/extremes.ts'
import { operatorContract } from '../contracts/operator.ts'
import { repositoriesContract } from '../contracts/repositories.ts'
import { names, newFile, opened, standing, T, withOwners } from '../contracts/rows.ts'
import { signInContract } from '../contracts/sign-in.ts'
import { vacatedNamesContract } from '../contracts/vacated-names.ts'
import { connection, describePostgres, emptySchema, openedDatabase, run } from '../support/postgres.ts'

/** Every other run is over at once, as it is for whoever is alone. */
const ALONE = { beatMs: 10_000, silenceMs: 0 }

async function repositories() {
  const db = await openedDatabase()
  return { ...repositoriesOf(db), ledger: postgresLedger(db, ALONE) }
}

describePostgres('the contracts', () => {
  repositoriesContract('PostgreSQL', repositories)
  accountsContract('PostgreSQL', repositories)
  vacatedNamesContract('PostgreSQL', repositories)
  operatorContract('PostgreSQL', repositories)
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
    expect(await run(url, 'SELECT version FROM schema_version')).toEqual([{ version: 8 }])
    await Promise.all(engines.map((engine) => engine.close()))
  })

  it('takes over what an older version left, and goes on answering it', async () => {
    const url = await emptySchema()
    for (const migration of [tables, acts]) await run(url, migration)
    await run(
      url,
      `UPDATE schema_version SET version = 2;
       INSERT INTO runs (id, started_at, key_ids) VALUES ('run', 0, '{}');
       INSERT INTO users VALUES ('ana', 'a@b', 'Ana', 'response', 0, 1, 3), ('ben', 'b@b', 'Ben', 'response', 0, 0, 0);
       INSERT INTO files VALUES ('1', 'ana', 'a', 1, 't', 0, 0, 'run/1', '', NULL),
         ('2', 'ana', 'b', 1, 't', 0, 0, 'run/2', '', 5), ('3', 'ana', 'c', 1, 't', 0, 0, 'run/3', '', 6);
       INSERT INTO activity (id, user_id, at, kind, address, user_agent) VALUES ('b', 'ana', 5, 'export', '', ''),
         ('a', 'ana', 5, 'sign-in', '', ''), ('c', 'ana', 3, 'locked', '', ''), ('d', 'ben', 4, 'export', '', '');
       INSERT INTO devices VALUES ('ana', 'phone', 1), ('ana', 'tablet', 2);
       INSERT INTO sessions VALUES ('s', 'ana', 'phone', '\\x01', 'p', 7, 7, NULL)`,
    )
    const { users } = repositoriesOf(await openedDatabase(url))
    expect(await users.usage('ana')).toEqual({ files: 1, trashFiles: 2, bytes: 3 })
    expect(await users.usage('ben')).toEqual({ files: 0, trashFiles: 0, bytes: 0 })
    const asBefore = `SELECT * FROM commit_file(owner => 'ben', new_id => '4', new_name => 'd', new_size => 1,
      new_type => 't', new_created_at => 0, new_updated_at => 0, new_blob => 'run/4', new_seal => '', seen_blob => NULL,
      quota => NULL)`
    expect(await run(url, asBefore)).toEqual([{ answer: 'done' }])
    const event = `'{"id": "e", "at": 9, "kind": "sign-in", "address": "", "userAgent": ""}'`
    const redeemed = `SELECT * FROM redeem_pin(pin => 'q', new_id => 't', device => 'phone', new_token_hash => '\\x02', at => 9,
      owner => 'ben', vouched_by => NULL, newcomer => NULL, guessed_at => NULL, every => 5, event => ${event})`
    expect(await run(url, redeemed)).toEqual([{ answer: 'new-device' }])
    const folded = `SELECT fold_activity(owner => 'ana', event => jsonb_set(${event}, '{kind}', '"export"'), since => 5, most => 9)`
    await run(url, folded)
    expect(await run(url, 'SELECT id, class, position, count FROM activity ORDER BY id')).toEqual([
      { id: 'a', class: 'routine', position: '1', count: '1' },
      { id: 'b', class: 'routine', position: '2', count: '2' },
      { id: 'c', class: 'security', position: '1', count: '1' },
      { id: 'd', class: 'routine', position: '1', count: '1' },
      { id: 'e', class: 'security', position: '1', count: '1' },
    ])
    expect(await run(url, "SELECT device_id, last_seen_at FROM devices WHERE user_id = 'ana' ORDER BY 1")).toEqual([
      { device_id: 'phone', last_seen_at: '7' },
      { device_id: 'tablet', last_seen_at: '2' },
    ])
  })

  it('does not touch a database from a newer version', async () => {
    const { url } = await openedDatabase()
    await run(url, 'UPDATE schema_version SET version = 1000')
    await expect(openPostgres(url)).rejects.toThrow('schema 1000')
    await expect(openPostgresBeside(url)).rejects.toThrow(
      /has schema 1000; this program works with \d\. Use a newer one/,
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
    await expect(openPostgresBeside(url)).rejects.toThrow('Start its server once')
  })

  it('pages along an index, without sorting, however long the list is', async () => {
    const db = await withManyFiles()
    for (const sort of ['name', 'createdAt', 'updatedAt', 'size'] as const) {
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
    expect(fault.message).toContain('files_blob_key')
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
    `INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, blob, seal, deleted_at)
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
