import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { COPIED_PARTS } from '../../src/adapters/sqlite/backup.ts'
import { livePageSql } from '../../src/adapters/sqlite/changes.ts'
import { openBeside, openDatabase } from '../../src/adapters/sqlite/database.ts'
import { openSqlite, openSqliteBeside, repositoriesOf } from '../../src/adapters/sqlite/engine.ts'
import { emptyLog } from '../../src/adapters/sqlite/erasure.ts'
import { pageSql } from '../../src/adapters/sqlite/file-pages.ts'
import { holdFolder, tryHoldFolder } from '../../src/adapters/sqlite/folders.ts'
import { groupCommit } from '../../src/adapters/sqlite/group-commit.ts'
import { dropPartsSql, sqliteLedger, sqliteLedgerBeside } from '../../src/adapters/sqlite/ledger.ts'
import { countSql, newestSql, placeSql } from '../../src/adapters/sqlite/months.ts'
import { lastReadBackSql } from '../../src/adapters/sqlite/read-backs.ts'
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts'
import { thumbnailDrop } from '../../src/adapters/sqlite/thumbnails.ts'
import { taggedSql, trashPageSql } from '../../src/adapters/sqlite/trash.ts'
import { countOpenSql, hasSoManySql, oldestOfSql } from '../../src/adapters/sqlite/uploads.ts'
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts'
import { accountsContract } from '../contracts/accounts.ts'
import { changesContract } from '../contracts/changes.ts'
import { extremesContract } from '../contracts/extremes.ts'
import { monthsContract } from '../contracts/months.ts'
import { operatorContract } from '../contracts/operator.ts'
import { readBacksContract } from '../contracts/read-backs.ts'
import { repositoriesContract } from '../contracts/repositories.ts'
import { BOUNDS, newEvent, opened } from '../contracts/rows.ts'
import { signInContract } from '../contracts/sign-in.ts'
import { thumbnailsContract } from '../contracts/thumbnails.ts'
import { uploadsContract } from '../contracts/uploads.ts'
import { vacatedNamesContract } from '../contracts/vacated-names.ts'
import { temporaryFolder } from '../support/app.ts'
import { iteration } from '../support/iteration.ts'

async function database(folder?: string) {
  const db = openDatabase(folder ?? (await temporaryFolder()))
  onTestFinished(() => void db.close())
  return db
}

it('fails where its folder cannot be made', () => {
  expect(() => openDatabase('/proc/none/data')).toThrow(/ENOENT.*\/proc\/none/)
})

repositoriesContract('SQLite', repositories)
accountsContract('SQLite', repositories)
vacatedNamesContract('SQLite', repositories)
operatorContract('SQLite', repositories)
thumbnailsContract('SQLite', repositories)
uploadsContract('SQLite', repositories)
changesContract('SQLite', repositories)
monthsContract('SQLite', repositories)
readBacksContract('SQLite', repositories)
signInContract('SQLite', repositories)
extremesContract('SQLite', repositories)

async function repositories() {
  return repositoriesOn(await database())
}

function repositoriesOn(db: Database.Database) {
  const inTransaction = groupCommit(db)
  return { ...repositoriesOf(db, inTransaction), ledger: sqliteLedger(db, inTransaction, true) }
}

it('checks foreign keys', async () => {
  const db = await database()
  expect(() => db.exec("INSERT INTO devices VALUES ('nobody', 'phone', 1, 1, NULL)")).toThrow(/FOREIGN KEY/)
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

it('runs no migration again', async () => {
  const folder = await temporaryFolder()
  const first = openDatabase(folder)
  first.exec('DELETE FROM users; DROP TABLE activity')
  first.close()
  const db = await database(folder)
  expect(db.prepare("SELECT name FROM sqlite_schema WHERE name = 'activity'").all()).toEqual([])
})

it('does not touch a database from a newer version', async () => {
  const folder = await temporaryFolder()
  const newer = new Database(join(folder, 'minikeepsafe.db'))
  newer.pragma('user_version = 1000')
  newer.close()
  expect(() => openDatabase(folder)).toThrow('schema 1000')
})

it('ends no run where it is not alone', async () => {
  const db = await database()
  const inTransaction = groupCommit(db)
  await sqliteLedger(db, inTransaction, true).openRun('server', 0, [])
  const guest = sqliteLedger(db, inTransaction, false)
  expect(await guest.endedRuns('guest')).toEqual([])
  expect(await guest.livingRuns()).toHaveLength(1)
})

it('leaves nothing of a removed user’s keys on the disk', async () => {
  const folder = await temporaryFolder()
  const db = await database(folder)
  const inTransaction = groupCommit(db)
  const [users, sessions] = [sqliteUsers(db, inTransaction), sqliteSessions(db, inTransaction)]
  const slot = { kind: 'server' as const, keyId: 'key', sealed: randomBytes(61) }
  const session = { id: 's', deviceId: 'd', deviceName: null, tokenHash: randomBytes(32), createdAt: 0 }
  const user = { id: 'u', name: 'Ada', email: 'a@b', confirmedBy: 'response' as const, createdAt: 0, slot }
  await sessions.redeem({ pinId: 'p', session, user, givenBack: null, event: newEvent(), bounds: BOUNDS })
  const files = ['minikeepsafe.db', 'minikeepsafe.db-wal'].map((name) => join(folder, name))
  const isThere = async () =>
    (await Promise.all(files.map((path) => readFile(path)))).some((b) => b.includes(slot.sealed))
  expect(await isThere()).toBe(true)
  await users.remove('u')

  const reader = new Database(files[0] as string)
  reader.exec('BEGIN; SELECT 1 FROM users')
  reader.prepare('SELECT count(*) FROM users').get()
  expect(await users.forget('u')).toBe(false)
  expect(await users.departed(1)).toEqual(['u'])
  reader.close()
  expect(await users.forget('u')).toBe(true)
  expect(await isThere()).toBe(false)
})

it('removes each user in a commit of its own, and erases the remains of all together', async () => {
  const db = await database()
  const { users, sessions } = repositoriesOn(db)
  const gone: string[] = []
  while (gone.length < 8) gone.push((await opened(sessions)).user.id)
  const commits = await Promise.all(gone.map((id) => users.remove(id).then(iteration)))
  expect(new Set(commits).size).toBe(gone.length)

  // Each rewriting of the database changes its number.
  const rewritings = () => db.pragma('schema_version', { simple: true }) as number
  const before = rewritings()
  expect(new Set(await Promise.all(gone.slice(1).map(users.forget)))).toEqual(new Set([true]))
  expect(rewritings()).toBe(before + 1)
  expect(await users.forget(gone[0] as string)).toBe(true)
  expect(rewritings()).toBe(before + 2)
  expect(await users.departed(1)).toEqual([])
})

it.each([
  ['small', 0],
  ['large', 20 * 1024 * 1024],
])('leaves nothing of a removed user’s keys in the slack of a %s database', async (_size, ballastBytes) => {
  const folder = await temporaryFolder()
  const path = join(folder, 'minikeepsafe.db')
  const first = openDatabase(folder)
  const { sessions: before } = repositoriesOn(first)
  const [gone, kept] = [await opened(before), await opened(before)]
  first.prepare("INSERT INTO key_slots VALUES ('ballast', 'server', 'key', zeroblob(?))").run(ballastBytes)
  const page = first.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'key_slots'").pluck().get() as number
  first.close()
  // As SQLite leaves it where it moved rows: between the numbers at the beginning of a page and its cells.
  const file = await open(path, 'r+')
  await file.write(gone.user.slot.sealed, 0, 61, (page - 1) * 4096 + 200)
  await file.close()

  const { users, keySlots } = repositoriesOn(await database(folder))
  expect((await keySlots.find(gone.user.id)).length).toBe(1)
  await users.remove(gone.user.id)
  expect(await users.forget(gone.user.id)).toBe(true)
  const bytes = Buffer.concat(await Promise.all([path, `${path}-wal`].map((one) => readFile(one))))
  expect(bytes.includes(gone.user.slot.sealed)).toBe(false)
  expect(await keySlots.find(kept.user.id)).toEqual([kept.user.slot])
  expect((await keySlots.countByKey()).get('key')).toBe(2)
})

it('checks a database that was not closed, and does not open one that is damaged', async () => {
  const folder = await temporaryFolder()
  const db = await database(folder)
  db.exec(
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) INSERT INTO garbage (version) SELECT 'blob-' || x FROM n",
  )
  db.pragma('wal_checkpoint(TRUNCATE)')
  let checks = 0
  const check = () => {
    checks += 1
  }
  openDatabase(folder, check).close()
  expect(checks).toBe(0)
  db.exec("INSERT INTO garbage (version) VALUES ('last')")
  openDatabase(folder, check).close()
  expect(checks).toBe(1)

  const path = join(folder, 'minikeepsafe.db')
  const bytes = await readFile(path)
  bytes.fill(0x5a, bytes.length - 3 * 4096, bytes.length - 2 * 4096)
  await writeFile(path, bytes)
  expect(() => openDatabase(folder)).toThrow('the database is damaged')
})

it('checks a database beside no server after an unclean stop, because closing it hides that stop from the next server', async () => {
  const folder = await temporaryFolder()
  const release = holdFolder(folder)
  const db = await database(folder)
  db.exec(
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000) INSERT INTO garbage (version) SELECT 'blob-' || x FROM n",
  )
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.exec("INSERT INTO garbage (version) VALUES ('last')")
  const path = join(folder, 'minikeepsafe.db')
  const bytes = await readFile(path)
  bytes.fill(0x5a, bytes.length - 3 * 4096, bytes.length - 2 * 4096)
  await writeFile(path, bytes)

  openBeside(folder).close()
  release()
  expect(() => openBeside(folder)).toThrow('the database is damaged')
})

it('says that a backup is the way out of a damaged database, however SQLite found the damage', async () => {
  const folder = await temporaryFolder()
  const db = await database(folder)
  db.close()
  const path = join(folder, 'minikeepsafe.db')
  const intact = await readFile(path)

  const broken = Buffer.from(intact).fill(0x5a, 100, 4096)
  await writeFile(path, broken)
  const malformed = 'the database is damaged (database disk image is malformed); restore a backup of it'
  expect(() => openSqlite(folder, () => {})).toThrow(malformed)
  expect(() => openSqliteBeside(folder)).toThrow(malformed)

  await writeFile(path, randomBytes(intact.length))
  expect(() => openSqlite(folder, () => {})).toThrow(
    'the database is damaged (file is not a database); restore a backup of it',
  )
})

it('refuses a database from before the first release', async () => {
  const folder = await temporaryFolder()
  const db = new Database(join(folder, 'minikeepsafe.db'))
  db.pragma('user_version = 8')
  db.close()
  expect(() => openDatabase(folder)).toThrow('schema 8, which was never released')
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
  const inTransaction = groupCommit(db)
  const answers = await Promise.allSettled([
    inTransaction(() => db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)').run('run')),
    inTransaction(() => db.exec('INSERT INTO later VALUES (1)')),
  ])
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(db.prepare('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 0 })
})

it('fails every act of a group whose transaction was ended under it', async () => {
  const db = await database()
  const inTransaction = groupCommit(db)
  const answers = await Promise.allSettled([
    inTransaction(() => db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)').run('run')),
    inTransaction(() => db.exec('ROLLBACK')),
    inTransaction(() => 'never run'),
  ])
  expect(answers.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(await inTransaction(() => 'works again')).toBe('works again')
})

it.each(['name', 'createdAt', 'updatedAt', 'size', 'takenAt'] as const)(
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

it('counts by month in an index alone, without sorting', async () => {
  const db = await database()
  for (const [sql, bounds] of [
    [newestSql, '(dated_at,id)<(?,?)'],
    [placeSql, '(dated_at,id)<(?,?)'],
    [countSql, 'dated_at>? AND (dated_at,id)<(?,?)'],
  ] as const) {
    const values = { owner: '', key: 0, id: '', from: 0, most: 1 }
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[]
    expect(plan.map(({ detail }) => detail).filter((detail) => /files/.test(detail) || /TEMP/.test(detail))).toEqual([
      `SEARCH files USING COVERING INDEX files_by_dated_at (user_id=? AND ${bounds})`,
    ])
  }
})

it('counts the uploads of a user, and finds the expired ones, in an index alone', async () => {
  const db = await database()
  const planOf = (sql: string, ...values: unknown[]) =>
    (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[]).map(({ detail }) => detail)
  expect(planOf(countOpenSql, '')).toEqual([
    'SEARCH uploads USING COVERING INDEX uploads_of_user (user_id=? AND file_id=?)',
  ])
  expect(planOf(hasSoManySql, '', 1)).toEqual([expect.stringContaining('SEARCH uploads USING COVERING INDEX')])
  expect(planOf(oldestOfSql, '', 0, 1)).toEqual([
    'SEARCH uploads USING INDEX uploads_of_user_by_age (user_id=? AND touched_at<?)',
  ])
})

it('looks for the part of a deleted blob once, however much garbage there is', async () => {
  const db = await database()
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${dropPartsSql}`).all('[]') as { detail: string }[]
  expect(plan.map(({ detail }) => detail).filter((detail) => /SEARCH|garbage/.test(detail))).toEqual([
    'SEARCH parts USING INDEX sqlite_autoindex_parts_1 (blob=?)',
    'SEARCH garbage USING COVERING INDEX sqlite_autoindex_garbage_1 (version=?)',
  ])
})

it('reads changes along an index, without sorting', async () => {
  const db = await database()
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${livePageSql}`).all('', 0, 1) as { detail: string }[]
  expect(plan.map(({ detail }) => detail)).toEqual([
    'SEARCH files USING INDEX files_by_revision (user_id=? AND revision>?)',
  ])
})

it('pages through the trash along an index, without sorting', async () => {
  const db = await database()
  for (const resumed of [false, true]) {
    const plan = db
      .prepare(`EXPLAIN QUERY PLAN ${trashPageSql(resumed)}`)
      .all({ owner: '', since: 0, deletedAt: 0, id: '', limit: 1 }) as { detail: string }[]
    expect(plan.map(({ detail }) => detail).join('; ')).toMatch(
      /^SEARCH files USING INDEX trash_of_user \(user_id=[^;]*\)$/,
    )
  }
})

it('reads what was read back longest ago, and trash of one content, along an index', async () => {
  const db = await database()
  const planOf = (sql: string, values: object) =>
    (db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(values) as { detail: string }[]).map(({ detail }) => detail)
  const range = { from: 0, before: 1, limit: 1 }
  expect(planOf(lastReadBackSql, range)).toEqual([
    expect.stringMatching(/^SEARCH files USING INDEX files_by_verified_at/),
  ])
  const entry = { owner: '', tag: Buffer.alloc(16), deletedAt: 0, name: '', id: '', limit: 1 }
  for (const resumed of [false, true]) {
    expect(planOf(taggedSql(resumed), entry)).toEqual([
      expect.stringMatching(/^SEARCH files USING INDEX files_by_tag \(user_id=\? AND tag=\? AND /),
    ])
  }
})

it('pages through the parts of a backup along an index, without sorting', async () => {
  const db = await database()
  const sql = `SELECT * FROM (${COPIED_PARTS.uploads}) WHERE blob > ? ORDER BY blob LIMIT ?`
  const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all('', 1) as { detail: string }[]
  expect(plan.map(({ detail }) => detail.split(' ').slice(0, 2).join(' '))).toEqual([
    'SEARCH parts',
    'SEARCH files',
    'SEARCH uploads',
  ])
})

it('opens beside a server what is there, and makes and changes nothing', async () => {
  const folder = await temporaryFolder()
  expect(() => openBeside(folder)).toThrow(`there is no vault in ${folder}`)
  expect(await readdir(folder)).toEqual([])
  openDatabase(folder).close()
  openBeside(folder).close()
})

it.each([
  [0, 'there is no vault in'],
  [1, /has schema 1; this program works with \d+\. That schema was never released/],
  [9, /has schema 9; this program works with \d+\. Start its server once/],
  [1000, /has schema 1000; this program works with \d+\. Use a newer one/],
])('does not open a database of schema %i beside a server', async (schema, message) => {
  const folder = await temporaryFolder()
  const other = new Database(join(folder, 'minikeepsafe.db'))
  other.pragma(`user_version = ${schema}`)
  other.close()
  expect(() => openBeside(folder)).toThrow(message)
  const same = new Database(join(folder, 'minikeepsafe.db'))
  expect(same.pragma('user_version', { simple: true })).toBe(schema)
  same.close()
})

it('lets a server start while somebody looks for one', async () => {
  const folder = await temporaryFolder()
  const looking = tryHoldFolder(folder)
  expect(looking).not.toBeNull()
  expect(tryHoldFolder(folder)).toBeNull()
  looking?.()
  const letGo = holdFolder(folder)
  expect(tryHoldFolder(folder)).toBeNull()
  letGo()
})

it('says so where the lock cannot be had for another reason', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'server.lock'), 'this is no database at all, and far too long for an empty one')
  expect(() => holdFolder(folder)).toThrow('not a database')
})

it('ends no run beside a server, and every run where there is none', async () => {
  const folder = await temporaryFolder()
  const db = await database(folder)
  const ledger = sqliteLedgerBeside(db, groupCommit(db), folder)
  await ledger.openRun('run', 1, ['key'])
  const letGo = holdFolder(folder)
  expect(await ledger.endedRuns(null)).toEqual([])
  expect(await ledger.livingRuns()).toEqual([{ run: 'run', keyIds: ['key'] }])
  letGo()
  expect(await ledger.livingRuns()).toEqual([])
  expect(await ledger.endedRuns(null)).toEqual(['run'])
})

it('empties its log, unless another process is reading', async () => {
  const folder = await temporaryFolder()
  const db = await database(folder)
  const reader = openBeside(folder)
  reader.exec('BEGIN')
  reader.prepare('SELECT count(*) FROM users').get()
  db.exec('INSERT INTO departed VALUES (1)')
  expect(emptyLog(db)).toBe(false)
  expect(db.pragma('busy_timeout', { simple: true })).toBe(250)
  reader.close()
  expect(emptyLog(db)).toBe(true)
  expect((await stat(join(folder, 'minikeepsafe.db-wal'))).size).toBe(0)
})

it('forgets many sessions that are over', async () => {
  const db = await database()
  const { sessions } = repositoriesOn(db)
  const { user, session } = await opened(sessions)
  db.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
     INSERT INTO sessions SELECT 's' || i, ?, 'd' || i, randomblob(32), 'p' || i, 0, 0, 1 FROM n`,
  ).run(user.id)
  await sessions.forget(2, 0, 0)
  expect(db.prepare('SELECT id FROM sessions').pluck().all()).toEqual([session.id])
})

it('spreads large transactions over several turns, and small ones do not wait for them', async () => {
  const inTransaction = groupCommit(await database())
  const order: (string | number)[] = []
  const turn = () => {
    order.push('turn')
    if (order.length < 20) setImmediate(turn)
  }
  const commits = [
    ...[1, 2, 3].map((n) => inTransaction(() => order.push(n), 200 * 1024)),
    ...[4, 5].map((n) => inTransaction(() => order.push(n))),
  ]
  setImmediate(turn)
  await Promise.all(commits)
  expect(order.slice(0, 6)).toEqual([1, 2, 4, 5, 'turn', 3])
})

it('overwrites deleted rows again after it has deleted a thumbnail', async () => {
  const db = await database()
  const drop = thumbnailDrop(db)
  expect(db.pragma('secure_delete', { simple: true })).toBe(1)
  drop('none')
  expect(db.pragma('secure_delete', { simple: true })).toBe(1)
})
