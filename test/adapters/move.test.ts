import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openDatabase as openPostgresDatabase } from '../../src/adapters/postgres/database.ts'
import { migrate } from '../../src/adapters/postgres/migrate.ts'
import { postgresMoveTarget } from '../../src/adapters/postgres/move-target.ts'
import { openBeside, openDatabase } from '../../src/adapters/sqlite/database.ts'
import { sqliteMoveSource } from '../../src/adapters/sqlite/move-source.ts'
import type { MoveBatch, MoveTable } from '../../src/ports/operator.ts'
import { EACH } from '../contracts/rows.ts'
import { member, temporaryFolder, testApp } from '../support/app.ts'
import { operator } from '../support/operator.ts'
import { describePostgres, emptySchema, run } from '../support/postgres.ts'
import { sqliteRows } from '../support/rows.ts'

const LEFT_BEHIND = ['runs', 'garbage', 'holds', 'last_backup']

function moveSource(folder: string) {
  const rows = sqliteMoveSource(folder, 100)
  onTestFinished(rows.close)
  return rows
}

async function everything(rows: AsyncIterable<MoveBatch>) {
  const found: [MoveTable, number][] = []
  for await (const { table, rows: batch } of rows) found.push([table, batch.length])
  return found
}

it('keeps everybody from writing while rows leave, and lets them again', async () => {
  const app = await testApp()
  const ada = await member(app)
  await app.close()
  const rows = moveSource(app.config.DATA_DIR)
  expect(await rows.freeze()).toBe(true)
  await expect(testApp({}, join(app.config.DATA_DIR, '..'))).rejects.toThrow('another server is using it')
  const other = openBeside(app.config.DATA_DIR)
  onTestFinished(() => void other.close())
  other.pragma('busy_timeout = 1')
  expect(() => other.exec('DELETE FROM users')).toThrow('locked')
  await rows.close()
  const { vault } = await operator(app)
  expect(await vault.removeUser(ada.userId)).toBe(true)
})

it('does not begin while a server writes, nor while somebody else does, nor on a damaged database', async () => {
  const app = await testApp()
  const rows = moveSource(app.config.DATA_DIR)
  expect(await rows.freeze()).toBe(false)
  await app.close()
  const other = openBeside(app.config.DATA_DIR)
  other.exec('BEGIN IMMEDIATE')
  await expect(rows.freeze()).rejects.toThrow('somebody else is writing to the database')
  other.close()

  const folder = await temporaryFolder()
  const db = openDatabase(folder)
  const add = db.prepare('INSERT INTO garbage (version) VALUES (?)')
  for (let n = 0; n < 2000; n += 1) add.run(`run/${n}`)
  db.close()
  const path = join(folder, 'minikeepsafe.db')
  const bytes = await readFile(path)
  bytes.fill(0x5a, bytes.length - 3 * 4096, bytes.length - 2 * 4096)
  await writeFile(path, bytes)
  await expect(moveSource(folder).freeze()).rejects.toThrow('the database is damaged')
})

it('takes every table but the books on blobs, and many rows in batches', async () => {
  const app = await testApp()
  const ada = await member(app)
  const event = {
    kind: 'export',
    at: 1,
    address: '',
    userAgent: '',
    sessionId: null,
    deviceId: null,
    fileId: null,
  } as const
  for (let n = 0; n < 1001; n += 1) await app.ports.activity.note(ada.userId, { ...event, id: `event-${n}` }, EACH)
  await app.settled()
  await app.close()
  const rows = moveSource(app.config.DATA_DIR)
  const counts = await rows.counts()
  const tables = Object.keys(sqliteRows(app.config.DATA_DIR))
  expect([...Object.keys(counts), ...LEFT_BEHIND].sort()).toEqual(tables.sort())
  const found = await everything(rows.batches())
  expect(found.filter(([table]) => table === 'activity')).toEqual([
    ['activity', 1000],
    ['activity', counts.activity - 1000],
  ])
})

it('takes large rows in small batches', async () => {
  const app = await testApp()
  const ada = await member(app)
  const put = (path: string, body: Buffer) =>
    ada.request(path, { method: 'PUT', headers: { 'content-type': 'image/jpeg' }, body })
  for (let n = 0; n < 20; n += 1) {
    await put(`/v1/files/${n}`, Buffer.of(n))
    await put(`/v1/files/${n}/thumbnail`, Buffer.alloc(256 * 1024))
  }
  await app.close()
  const found = await everything(moveSource(app.config.DATA_DIR).batches())
  expect(found.filter(([table]) => table === 'thumbnails')).toEqual([
    ['thumbnails', 16],
    ['thumbnails', 4],
  ])
})

const NOBODY: Record<MoveTable, number> = {
  users: 0,
  departed: 0,
  key_slots: 0,
  sessions: 0,
  devices: 0,
  guesses: 0,
  handed_out_pins: 0,
  activity: 0,
  files: 0,
  uploads: 0,
  parts: 0,
  vacated_names: 0,
  tombstones: 0,
  thumbnails: 0,
}

async function* oneGuess(): AsyncGenerator<MoveBatch> {
  yield { table: 'guesses', rows: [{ address: Buffer.from('somebody'), wrong: 2n ** 60n + 1n, paused_until: 0n }] }
}

describePostgres('rows that come to PostgreSQL', () => {
  async function moveTarget(url: string) {
    const rows = await postgresMoveTarget(url)
    onTestFinished(rows.close)
    return rows
  }

  it('have every column that they had', async () => {
    const url = await emptySchema()
    const db = openPostgresDatabase(url)
    await migrate(db)
    await db.close()
    const folder = await temporaryFolder()
    const sqlite = openDatabase(folder)
    for (const table of Object.keys(NOBODY)) {
      const columns = sqlite.prepare<[], string>(`SELECT name FROM pragma_table_info('${table}')`).pluck().all()
      const found = await run<{ name: string }>(
        url,
        'SELECT column_name AS name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1',
        [table],
      )
      expect(found.map(({ name }) => name).sort(), table).toEqual(columns.sort())
    }
    sqlite.close()
  })

  it('are all there or none, exactly, and what no row names is garbage', async () => {
    const url = await emptySchema()
    const rows = await moveTarget(url)
    expect(await rows.begin([])).toBe('empty')
    expect(await rows.expect(['run/a', 'run/b'])).toEqual([])
    await rows.prove(['run/a'])
    expect(await rows.expect(['run/a', 'run/b'])).toEqual(['run/a'])
    await expect(rows.settle(oneGuess(), { ...NOBODY, guesses: 2 })).rejects.toThrow(
      '1 rows came to guesses, and there are 2; nothing was moved',
    )
    expect(await run(url, 'SELECT FROM guesses')).toEqual([])
    await rows.settle(oneGuess(), { ...NOBODY, guesses: 1 })
    expect(await run(url, 'SELECT wrong::text FROM guesses')).toEqual([{ wrong: '1152921504606846977' }])
    expect(await run(url, 'SELECT blob FROM garbage JOIN parts USING (version) ORDER BY blob')).toEqual([
      { blob: 'run/a' },
      { blob: 'run/b' },
    ])
    expect(await run(url, "SELECT to_regclass('arrivals')")).toEqual([{ to_regclass: null }])
  })

  it('do not come beside a vault or a server that was there first', async () => {
    const url = await emptySchema()
    const rows = await moveTarget(url)
    await rows.begin([])
    await run(url, "INSERT INTO runs (id, started_at, key_ids) VALUES ('run', 0, '{}')")
    await expect(rows.settle(oneGuess(), { ...NOBODY, guesses: 1 })).rejects.toThrow('a server uses this database')
    await run(url, "INSERT INTO guesses VALUES ('x', 1, 0)")
    await expect(rows.settle(oneGuess(), { ...NOBODY, guesses: 2 })).rejects.toThrow('another vault came to be')
  })

  it('do not come from two sides at once', async () => {
    const url = await emptySchema()
    await (await moveTarget(url)).begin([])
    await expect((await moveTarget(url)).begin([])).rejects.toThrow('another move into this database is under way')
  })

  it('are not sent where no server answers', async () => {
    await expect(postgresMoveTarget('postgres://127.0.0.1:1/vault')).rejects.toMatchObject({ code: 'EAGAIN' })
  })
})
