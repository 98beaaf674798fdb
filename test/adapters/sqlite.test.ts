import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { holdFolder, openDatabase } from '../../src/adapters/sqlite/database.ts'
import { pageSql, sqliteFiles } from '../../src/adapters/sqlite/files.ts'
import { groupCommit } from '../../src/adapters/sqlite/group-commit.ts'
import { sqliteKeySlots } from '../../src/adapters/sqlite/key-slots.ts'
import { sqliteLedger } from '../../src/adapters/sqlite/ledger.ts'
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts'
import { sqliteTrash } from '../../src/adapters/sqlite/trash.ts'
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts'
import { repositoriesContract } from '../contracts/repositories.ts'
import { temporaryFolder } from '../support/app.ts'

async function database(folder?: string) {
  const db = openDatabase(folder ?? (await temporaryFolder()))
  onTestFinished(() => void db.close())
  return db
}

repositoriesContract('SQLite', async () => {
  const db = await database()
  const act = groupCommit(db)
  return {
    users: sqliteUsers(db, act),
    keySlots: sqliteKeySlots(db, act),
    sessions: sqliteSessions(db, act),
    files: sqliteFiles(db, act),
    trash: sqliteTrash(db, act),
    ledger: sqliteLedger(db, act, true),
  }
})

it('commits so that a power cut takes nothing back', async () => {
  const db = await database()
  const setting = (name: string) => db.pragma(name, { simple: true })
  expect([setting('journal_mode'), setting('synchronous'), setting('foreign_keys')]).toEqual(['wal', 2, 1])
})

it('keeps the database from other users of the machine', async () => {
  const folder = join(await temporaryFolder(), 'data')
  await database(folder)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  holdFolder(folder)()
  for (const name of ['minikeepsafe.db', 'server.lock']) {
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600)
  }
})

it('runs each migration once', async () => {
  const folder = await temporaryFolder()
  openDatabase(folder).close()
  const db = await database(folder)
  expect(db.pragma('user_version', { simple: true })).toBe(2)
})

it('does not touch a database from a newer version', async () => {
  const folder = await temporaryFolder()
  const newer = new Database(join(folder, 'minikeepsafe.db'))
  newer.pragma('user_version = 1000')
  newer.close()
  expect(() => openDatabase(folder)).toThrow('schema 1000')
})

it('lets one server hold a folder, and the next one once it is let go', async () => {
  const folder = await temporaryFolder()
  const letGo = holdFolder(folder)
  expect(() => holdFolder(folder)).toThrow('another server is using it')
  letGo()
  holdFolder(folder)()
})

it('fails every act of a group whose commit fails', async () => {
  const db = await database()
  db.exec('CREATE TABLE later (id INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)')
  const act = groupCommit(db)
  const answers = await Promise.allSettled([
    act(() => db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)').run('run')),
    act(() => db.exec('INSERT INTO later VALUES (1)')),
  ])
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(db.prepare('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 0 })
})

it('fails every act of a group whose transaction was ended under it', async () => {
  const db = await database()
  const act = groupCommit(db)
  const answers = await Promise.allSettled([
    act(() => db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)').run('run')),
    act(() => db.exec('ROLLBACK')),
    act(() => 'never run'),
  ])
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(await act(() => 'works again')).toBe('works again')
})

it.each(['name', 'createdAt', 'updatedAt', 'size'] as const)(
  'pages by %s along an index, without sorting',
  async (sort) => {
    const db = await database()
    for (const order of ['asc', 'desc'] as const) {
      for (const resumed of [false, true]) {
        const sql = pageSql({ sort, order, resumed, prefixed: false, bounded: false })
        const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all({ owner: '', key: '', id: '', limit: 1 }) as {
          detail: string
        }[]
        expect(plan.map(({ detail }) => detail).join('; ')).toMatch(
          /^SEARCH files USING INDEX files_by_\w+ \(user_id=[^;]*\)$/,
        )
      }
    }
  },
)
