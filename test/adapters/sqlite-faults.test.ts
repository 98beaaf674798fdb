import { existsSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { databaseCheck, openDatabase } from '../../src/adapters/sqlite/database.ts'
import { diskFault } from '../../src/adapters/sqlite/faults.ts'
import { holdFolder } from '../../src/adapters/sqlite/folders.ts'
import { groupCommit } from '../../src/adapters/sqlite/group-commit.ts'
import { diskReserve, RESERVE_BYTES } from '../../src/adapters/sqlite/reserve.ts'
import { temporaryFolder } from '../support/app.ts'
import { smallDisk } from '../support/disk.ts'

const fault = (code: string) => Object.assign(new Error('a fault'), { code })
const codeOf = (error: unknown) => (error as { code?: string }).code

describe('a fault of SQLite', () => {
  it.each([
    ['SQLITE_FULL', 'ENOSPC'],
    ['SQLITE_IOERR_SHMSIZE', 'ENOSPC'],
    ['SQLITE_READONLY', 'EROFS'],
    ['SQLITE_READONLY_DBMOVED', 'EROFS'],
    ['SQLITE_CANTOPEN', 'EROFS'],
    ['EDQUOT', 'ENOSPC'],
    ['ENFILE', 'EMFILE'],
  ])('%s is told as %s, with its cause', async (own, told) => {
    const cause = fault(own)
    expect(diskFault(cause, await temporaryFolder())).toMatchObject({ code: told, cause })
  })

  it.each(['SQLITE_IOERR_WRITE', 'SQLITE_IOERR_FSYNC', 'SQLITE_CORRUPT', 'SQLITE_BUSY', 'SQLITE_CONSTRAINT', ''])(
    'that is no fault of the disk stays what it is: %s',
    async (own) => {
      const folder = await temporaryFolder()
      const error = fault(own)
      expect(diskFault(error, folder)).toBe(error)
      expect(readdirSync(folder)).toEqual([])
    },
  )

  it('in a write is that of the disk where another write meets it too', async ({ skip }) => {
    const disk = smallDisk(skip)
    const told = () => codeOf(diskFault(fault('SQLITE_IOERR_WRITE'), disk.path))
    expect(told()).toBe('SQLITE_IOERR_WRITE')
    disk.readOnly()
    expect(told()).toBe('EROFS')
    disk.writable()
    disk.fill()
    expect(told()).toBe('ENOSPC')
    expect(readdirSync(disk.path)).toEqual(['foreign'])
  })

  it('in a commit to a database that takes no writes is told, and nothing has happened', async () => {
    const folder = await temporaryFolder()
    const db = openDatabase(folder)
    onTestFinished(() => void db.close())
    const reserve = diskReserve(folder, () => {})
    const inTransaction = groupCommit(db, reserve.rescue)
    const insert = db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)')
    db.pragma('query_only = ON')
    const answers = await Promise.allSettled([
      inTransaction(() => insert.run('a')),
      inTransaction(() => insert.run('b')),
    ])
    expect(answers.map((answer) => answer.status === 'rejected' && codeOf(answer.reason))).toEqual(['EROFS', 'EROFS'])
    db.pragma('query_only = OFF')
    await inTransaction(() => insert.run('a'))
    expect(db.prepare('SELECT id FROM runs').all()).toEqual([{ id: 'a' }])
  })
})

describe('the reserve', () => {
  it('is room that is really taken, for this user alone', async () => {
    const folder = await temporaryFolder()
    await diskReserve(folder, () => {}).take()
    const { size, blocks, mode } = statSync(join(folder, 'reserve'))
    expect([size, mode & 0o777]).toEqual([RESERVE_BYTES, 0o600])
    expect(blocks * 512).toBeGreaterThanOrEqual(RESERVE_BYTES)
  })

  it('is kept from one start to the next, and made anew where it is not whole', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'reserve')
    await diskReserve(folder, () => {}).take()
    const { ino } = statSync(path)
    await diskReserve(folder, () => {}).take()
    expect(statSync(path).ino).toBe(ino)
    truncateSync(path, 0)
    truncateSync(path, RESERVE_BYTES)
    await diskReserve(folder, () => {}).take()
    expect(statSync(path).blocks * 512).toBeGreaterThanOrEqual(RESERVE_BYTES)
  })

  it('leaves nothing where there is no room for all of it', async ({ skip }) => {
    const disk = smallDisk(skip)
    disk.fill(RESERVE_BYTES - 4096)
    await expect(diskReserve(disk.path, () => {}).take()).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(readdirSync(disk.path)).toEqual(['foreign'])
  })

  it('is given up once, and only for a full disk', async () => {
    const folder = await temporaryFolder()
    const told: string[] = []
    const reserve = diskReserve(folder, (message) => told.push(message))
    await reserve.take()
    const failing = (code: string) => () =>
      reserve.rescue(() => {
        throw fault(code)
      })
    expect(failing('SQLITE_CORRUPT')).toThrow('a fault')
    expect(existsSync(join(folder, 'reserve'))).toBe(true)
    for (const _ of [1, 2]) expect(failing('SQLITE_FULL')).toThrow('is full (SQLITE_FULL)')
    expect(existsSync(join(folder, 'reserve'))).toBe(false)
    expect(told).toHaveLength(1)
    await expect(reserve.take()).rejects.toMatchObject({ code: 'ENOSPC' })
    await expect.poll(() => reserve.take().then(() => 'taken', codeOf)).toBe('taken')
    expect(told).toHaveLength(2)
  })

  it('lets the acts of a group happen once, together', async ({ skip }) => {
    const disk = smallDisk(skip)
    const db = openDatabase(disk.path)
    onTestFinished(() => void db.close())
    const reserve = diskReserve(disk.path, () => {})
    await reserve.take()
    const inTransaction = groupCommit(db, reserve.rescue)
    const insert = db.prepare('INSERT INTO runs (id, started_at) VALUES (?, 0)')
    disk.fill()
    const ids = Array.from({ length: 300 }, (_, n) => `${n}`.repeat(20))
    const failing = inTransaction(() => {
      throw new Error('an act of its own mind')
    })
    await Promise.all([
      ...ids.map((id) => inTransaction(() => insert.run(id))),
      expect(failing).rejects.toThrow('own mind'),
    ])
    expect(existsSync(join(disk.path, 'reserve'))).toBe(false)
    expect(db.prepare('SELECT count(*) AS n FROM runs').get()).toEqual({ n: 300 })
  })
})

it('a folder that cannot be held for another reason than its holder is told as it is', async () => {
  const folder = await temporaryFolder()
  writeFileSync(
    join(folder, 'server.lock'),
    'this is no database, and it is longer than the head of one would be'.repeat(9),
  )
  expect(() => holdFolder(folder)).toThrow('file is not a database')
})

it('a database that could not be opened is let go of', async () => {
  const folder = await temporaryFolder()
  const newer = new Database(join(folder, 'minikeepsafe.db'))
  newer.pragma('user_version = 1000')
  newer.close()
  expect(() => openDatabase(folder)).toThrow('schema 1000')
  expect(readdirSync(folder)).toEqual(['minikeepsafe.db'])
})

it('a database is not working once its folder takes no writes', async ({ skip }) => {
  const folder = await temporaryFolder()
  const db = openDatabase(folder)
  onTestFinished(() => void db.close())
  await databaseCheck(db, folder)()
  const disk = smallDisk(skip)
  disk.readOnly()
  await expect(databaseCheck(db, disk.path)()).rejects.toMatchObject({ code: 'EROFS' })
})
