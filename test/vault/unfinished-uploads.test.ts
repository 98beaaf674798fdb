/** Everything that the operator does with a vault, done with a vault that has uploads which are not complete. */
import { randomBytes } from 'node:crypto'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { parts as migrationToParts } from '../../src/adapters/sqlite/migrations/010-parts.ts'
import { backupSource } from '../../src/compose/backups.ts'
import { moveTargetOf, openMoveSource } from '../../src/compose/move.ts'
import { readConfig } from '../../src/config/config.ts'
import type { BlobStore } from '../../src/ports/blobs.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { restore } from '../../src/vault/operator/backup.ts'
import { move } from '../../src/vault/operator/move.ts'
import { isSound } from '../../src/vault/operator/verify.ts'
import {
  blobsOnDisk,
  DAY,
  type Member,
  member,
  memberWith,
  type TestApp,
  temporaryFolder,
  testApp,
} from '../support/app.ts'
import { spoil } from '../support/blobs.ts'
import { migrate, movePlace } from '../support/move.ts'
import { backedUp, databaseOf, operator, quietly } from '../support/operator.ts'
import { describePostgres } from '../support/postgres.ts'
import { append, offsetOf, unfinished } from '../support/unfinished.ts'
import { unzip } from '../support/unzip.ts'

const MASTER_KEY = randomBytes(32).toString('base64')
const PIECES = [65_537, 70_000, 65_536].map((size) => randomBytes(size))
const LAST = randomBytes(50)
const CONTENT = Buffer.concat([...PIECES, LAST])
const RECEIVED = CONTENT.length - LAST.length

/** A server with an upload of Ada that lacks its last bytes. */
async function withUpload(home?: string) {
  const app = await testApp({ MASTER_KEY }, home)
  const ada = await member(app)
  const id = await unfinished(ada, 'film.mp4', CONTENT.length, PIECES)
  const parts = await app.ports.files.parts(id, 0, 10)
  const blobs = parts.map(({ blob }) => blob) as [string, string, string]
  return { app, ada, id, blobs }
}

/** Sends the last bytes, and reads the file back. */
async function expectGoesOn(owner: Member, id: string) {
  expect(await offsetOf(owner, id)).toEqual([200, String(RECEIVED)])
  expect((await append(owner, id, RECEIVED, LAST)).status).toBe(204)
  expect((await owner.get('film.mp4')).bytes.equals(CONTENT)).toBe(true)
}

async function expectSound(app: TestApp) {
  const { vault } = await operator(app)
  expect(await vault.verify(() => {})).toSatisfy(isSound)
}

describe('verify, of an upload that is not complete', () => {
  it('opens all that it has received', async () => {
    const { app, ada } = await withUpload()
    await unfinished(ada, 'not begun', 10, [])
    await ada.put('file', 'bytes')
    const done: number[] = []
    const { vault } = await operator(app)
    const report = await vault.verify((bytes) => done.push(bytes))
    expect(report).toMatchObject({ files: 1, uploads: 2, bytes: RECEIVED + 5, blobs: 4 })
    expect(report).toSatisfy(isSound)
    expect(done.reduce((sum, bytes) => sum + bytes)).toBe(RECEIVED + 5)
  })

  it('opens an empty one that was refused at its end', async () => {
    const { app, ada } = await withUpload()
    const { ports } = await operator(app)
    const version = { 'upload-draft-interop-version': '3' }
    const begin = { ...version, 'upload-incomplete': '?1', 'content-disposition': 'attachment; filename=taken' }
    const { headers } = await ada.request('/v1/uploads', { method: 'POST', headers: begin })
    const empty = String(headers.location).split('/').at(-1) as string
    await ada.put('taken', 'bytes')
    const end = { ...version, 'upload-incomplete': '?0', 'upload-offset': '0' }
    expect((await ada.request(`/v1/uploads/${empty}`, { method: 'PATCH', headers: end })).status).toBe(409)
    expect(await ports.files.parts(empty, 0, 10)).toMatchObject([{ sizeBytes: 0 }])
    await expectSound(app)
    const [part] = await ports.files.parts(empty, 0, 1)
    await spoil(join(app.config.UPLOADS_DIR, part?.blob as string), (bytes) => bytes.fill(1, 50, 51))
    expect((await (await operator(app)).vault.verify(() => {})).damaged).toMatchObject([{ upload: empty }])
  })

  it.each<[string, string | RegExp, (app: TestApp, blobs: string[]) => unknown]>([
    [
      'a changed blob',
      'its blob does not open',
      (app, [, blob]) => spoil(join(app.config.UPLOADS_DIR, blob as string), (bytes) => bytes.fill(1, 500, 502)),
    ],
    [
      'a blob that was cut',
      'its blob has 70071 bytes instead of 70072',
      (app, [, blob]) => spoil(join(app.config.UPLOADS_DIR, blob as string), (bytes) => bytes.subarray(0, -1)),
    ],
    ['another seal', 'its seal does not open', (app) => databaseOf(app).exec('UPDATE uploads SET seal = zeroblob(61)')],
    [
      'the seal of another part',
      'the seal of its part at byte 65537 does not open',
      (app) =>
        databaseOf(app).exec('UPDATE parts SET seal = (SELECT seal FROM parts WHERE start = 0) WHERE start = 65537'),
    ],
    [
      'a part too few',
      'its parts have a gap at byte 65537',
      (app) => databaseOf(app).exec('DELETE FROM parts WHERE start = 65537'),
    ],
    ['the last part gone', /parts/, (app) => databaseOf(app).exec('DELETE FROM parts WHERE start > 65537')],
    ['no part', 'it has 0 parts instead of 3', (app) => databaseOf(app).exec('DELETE FROM parts')],
    [
      'a key that nobody has',
      "its owner's key cannot be had: the key slot does not open",
      (app) => databaseOf(app).exec("UPDATE key_slots SET sealed = zeroblob(61) WHERE user_id <> 'server'"),
    ],
  ])('finds %s', async (_what, why, damage) => {
    const { app, ada, id, blobs } = await withUpload()
    await damage(app, blobs)
    const { vault } = await operator(app)
    const report = await vault.verify(() => {})
    const expected = typeof why === 'string' ? why : expect.stringMatching(why)
    expect(report.damaged).toMatchObject([{ user: ada.userId, upload: id, why: expected }])
    expect(report).not.toSatisfy(isSound)
  })

  it('finds a blob that is missing', async () => {
    const { app, ada, id, blobs } = await withUpload()
    await app.ports.blobs.delete([blobs[2]])
    const { vault } = await operator(app)
    expect((await vault.verify(() => {})).missing).toEqual([{ user: ada.userId, upload: id, blob: blobs[2] }])
  })

  it.each<[string, object, (found: Awaited<ReturnType<typeof withUpload>>) => unknown]>([
    ['has more bytes', { files: 0, uploads: 1 }, ({ ada, id }) => append(ada, id, RECEIVED, LAST.subarray(1))],
    ['is complete', { files: 1, uploads: 0 }, ({ ada, id }) => append(ada, id, RECEIVED, LAST)],
    ['is gone', { files: 0, uploads: 0 }, ({ ada, id }) => ada.request(`/v1/uploads/${id}`, { method: 'DELETE' })],
    ['has lost its owner', { files: 0, uploads: 0 }, ({ app, ada }) => app.ports.users.remove(ada.userId)],
  ])('looks again at one that %s meanwhile', async (_what, counts, change) => {
    const found = await withUpload()
    const { vault, ports } = await operator(found.app)
    const { length } = ports.blobs
    ports.blobs.length = async () => {
      ports.blobs.length = length
      await change(found)
      await found.app.settled()
      return null
    }
    const report = await vault.verify(() => {})
    expect(report).toMatchObject(counts)
    expect(report).toSatisfy(isSound)
  })

  it('opens what it had when it was read, while it gets more', async () => {
    const { app, ada, id } = await withUpload()
    const { vault, ports } = await operator(app)
    const { length } = ports.blobs
    ports.blobs.length = async (blob) => {
      ports.blobs.length = length
      await append(ada, id, RECEIVED, LAST.subarray(1))
      return length(blob)
    }
    const { page } = ports.uploads
    const { parts } = ports.files
    let paged = false
    ports.uploads.page = async (after, limit) => {
      paged = true
      return page(after, limit)
    }
    // The parts are read after the append.
    ports.files.parts = async (version, from, limit) => {
      if (paged && limit > 1) await ports.blobs.length('none/none')
      return parts(version, from, limit)
    }
    expect(await vault.verify(() => {})).toMatchObject({ uploads: 1, bytes: RECEIVED, damaged: [], missing: [] })
  })
})

describe('a backup with an upload that is not complete', () => {
  async function restored(app: Pick<TestApp, 'config'>, folder: string, version?: string) {
    const home = await temporaryFolder()
    const config = { ...app.config, DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') }
    const source = await backupSource(config, folder, version)
    try {
      return { home, report: await restore(source, false, quietly) }
    } finally {
      await source.close()
    }
  }

  it('is restored so that the upload goes on', async () => {
    const { app, ada, id } = await withUpload()
    await ada.put('file', 'bytes')
    const folder = join(await temporaryFolder(), 'backup')
    const totals = { files: 1, uploads: 1 }
    expect(await backedUp(app, folder)).toMatchObject({ ...totals, blobs: { copied: 4, kept: 0 }, lacking: [] })
    const { home, report } = await restored(app, folder)
    expect(report).toMatchObject({ restored: true, ...totals, bytes: RECEIVED + 5, lacking: [] })
    const again = await testApp({ MASTER_KEY }, home)
    await expectSound(again)
    await expectGoesOn(memberWith(again, ada), id)
    await expectSound(again)
  })

  it('copies what it has got since, keeps it when it is a file, and drops it with the last version that has it', async () => {
    const { app, ada, id } = await withUpload()
    const folder = join(await temporaryFolder(), 'backup')
    await backedUp(app, folder, 9)
    await append(ada, id, RECEIVED, LAST.subarray(1))
    expect((await backedUp(app, folder, 9)).blobs).toEqual({ copied: 1, kept: 3, removed: 0 })
    await append(ada, id, CONTENT.length - 1, LAST.subarray(0, 1))
    expect(await backedUp(app, folder, 9)).toMatchObject({ files: 1, uploads: 0, blobs: { copied: 1, kept: 3 } })
    await ada.replace('film.mp4', 'other')
    await app.settled()
    const { blobs, versions } = await backedUp(app, folder, 9)
    expect(blobs).toEqual({ copied: 1, kept: 0, removed: 0 })
    const { home } = await restored(app, folder, versions.at(-1))
    const again = await testApp({ MASTER_KEY }, home)
    await expectGoesOn(memberWith(again, ada), id)
    expect((await backedUp(app, folder, 1)).blobs).toEqual({ copied: 0, kept: 1, removed: 5 })
  })

  it('names what the vault lacks by user and upload', async () => {
    const { app, ada, id, blobs } = await withUpload()
    const folder = join(await temporaryFolder(), 'backup')
    await app.ports.blobs.delete([blobs[1]])
    const lacking = [{ user: ada.userId, upload: id, blob: blobs[1], why: 'missing' }]
    expect((await backedUp(app, folder)).lacking).toEqual(lacking)
    expect((await restored(app, folder)).report).toMatchObject({ restored: false, lacking })
  })

  it.each([9, 10])('can also be one from before there were uploads, of schema %i', async (schema) => {
    const fixture = join(import.meta.dirname, '..', 'fixtures', 'sqlite-9')
    const folder = join(await temporaryFolder(), 'backup')
    await mkdir(folder)
    await writeFile(join(folder, 'backup.lock'), '')
    await cp(join(fixture, 'minikeepsafe.db'), join(folder, 'minikeepsafe.db'))
    await cp(join(fixture, 'blobs'), join(folder, 'uploads'), { recursive: true })
    if (schema === 10) {
      const db = new Database(join(folder, 'minikeepsafe.db'))
      db.exec(migrationToParts)
      db.pragma('user_version = 10')
      db.close()
    }
    const home = await temporaryFolder()
    const config = readConfig({
      DATA_DIR: join(home, 'data'),
      UPLOADS_DIR: join(home, 'uploads'),
      MASTER_KEY_FILE: join(fixture, 'master.key'),
    })
    const source = await backupSource(config, folder)
    expect(await restore(source, false, quietly)).toMatchObject({ restored: true, uploads: 0, lacking: [] })
    await source.close()
    const app = await testApp({ MASTER_KEY_FILE: join(fixture, 'master.key') }, home)
    await expectSound(app)
    expect((await app.ports.files.page('', 100)).length).toBeGreaterThan(5)
    const ada = await member(app)
    await expectGoesOn(ada, await unfinished(ada, 'film.mp4', CONTENT.length, PIECES))
  })
})

describe('an upload that is not complete', () => {
  it('is counted by stats, and in what its user uses', async () => {
    const { app, ada } = await withUpload()
    await ada.put('file', 'bytes')
    const { ports } = await operator(app)
    expect(await ports.census()).toMatchObject({ files: { count: 1 }, uploads: { count: 1, bytes: RECEIVED } })
    expect(await ports.users.page('', 10)).toMatchObject([{ files: 1, bytes: RECEIVED + 5 }])
    expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { files: 1, bytes: RECEIVED + 5 } })
  })

  it('is gone with its user, whoever removes the account', async () => {
    const { app, ada, id } = await withUpload()
    const ben = await member(app)
    const bens = await unfinished(ben, 'film.mp4', CONTENT.length, PIECES)
    expect((await ada.request('/v1/me', { method: 'DELETE' })).status).toBe(204)
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(3)
    const { vault, ports, alarms } = await operator(app)
    expect(await vault.removeUser(ben.userId)).toBe(true)
    expect(alarms).toEqual([])
    for (const upload of [id, bens]) expect(await ports.files.parts(upload, 0, 10)).toEqual([])
    expect(await ports.census()).toMatchObject({ users: 0, uploads: { count: 0, bytes: 0 }, garbage: 0 })
    expect(await blobsOnDisk(app)).toEqual([])
    await expectSound(app)
  })

  it('is not in an export', async () => {
    const { ada } = await withUpload()
    await ada.put('file', 'bytes')
    const paths = (await unzip((await ada.request('/v1/me/export')).bytes)).map(({ path }) => path)
    expect(paths.filter((path) => path.includes('film'))).toEqual([])
    expect(paths.filter((path) => path.includes('file'))).not.toEqual([])
  })

  it('goes on under a new master key, which does not touch it', async () => {
    const home = await temporaryFolder()
    const { app, ada, id } = await withUpload(home)
    const before = await app.ports.uploads.find(ada.userId, id)
    await app.close()
    const fresh = randomBytes(32).toString('base64')
    const { vault, ports } = await operator(app, { MASTER_KEY: fresh, MASTER_KEY_PREVIOUS: MASTER_KEY })
    await vault.rotate(async () => {})
    expect(await ports.uploads.find(ada.userId, id)).toEqual(before)
    const again = await testApp({ MASTER_KEY: fresh }, home)
    await expectSound(again)
    await expectGoesOn(memberWith(again, ada), id)
  })

  it('outlives its server and many sweeps, and goes when it expires, with its blobs', async () => {
    const home = await temporaryFolder()
    const { app, ada, id } = await withUpload(home)
    await app.close()
    const { vault, ports } = await operator(app)
    await vault.sweep()
    expect((await ports.census()).runs).toBe(0)
    const again = await testApp({ MASTER_KEY }, home)
    again.clock.turn(7 * DAY - 1)
    again.sweep()
    await again.settled()
    expect(await blobsOnDisk(again)).toHaveLength(3)
    expect(await ports.uploads.find(ada.userId, id)).not.toBeNull()
    again.clock.turn(1)
    again.sweep()
    await again.settled()
    expect([await blobsOnDisk(again), await ports.uploads.find(ada.userId, id)]).toEqual([[], null])
    expect((await ports.users.usage(ada.userId)).bytes).toBe(0)
    await expectSound(again)
  })

  it('is removed by the operator’s sweep when it has expired', async () => {
    const { app } = await withUpload()
    app.clock.turn(7 * DAY)
    const { vault, ports } = await operator(app)
    await vault.sweep()
    expect(await ports.census()).toMatchObject({ uploads: { count: 0, bytes: 0 }, garbage: 0 })
    expect(await blobsOnDisk(app)).toEqual([])
  })
})

describePostgres('an upload that is not complete, moved to PostgreSQL', () => {
  async function place() {
    const found = await movePlace({ to: { UPLOADS_DIR: await temporaryFolder() } })
    const app = await found.source()
    const ada = await member(app)
    const id = await unfinished(ada, 'film.mp4', CONTENT.length, PIECES)
    const blobs = (await app.ports.files.parts(id, 0, 10)).map(({ blob }) => blob)
    return { place: found, app, ada, id, blobs }
  }

  it('goes on there, also when it has got more since the first run', async () => {
    const { place: where, app, ada, id } = await place()
    expect(await migrate(where)).toMatchObject({ report: { moved: false, uploads: 1, blobs: { copied: 3, kept: 0 } } })
    await append(ada, id, RECEIVED, LAST.subarray(0, 20))
    await app.close()
    const { ok, report, lines } = await migrate(where)
    expect([ok, report.lost]).toEqual([true, []])
    expect(report).toMatchObject({ moved: true, uploads: 1, bytes: RECEIVED + 20, blobs: { copied: 1, kept: 3 } })
    expect(report.rows).toMatchObject({ uploads: 1, parts: 4 })
    expect(lines.join('\n')).toContain('0 files and 1 unfinished upload (')
    const target = await where.target()
    await expectSound(target)
    const same = memberWith(target, ada)
    expect((await append(same, id, RECEIVED + 20, LAST.subarray(20))).status).toBe(204)
    expect((await same.get('film.mp4')).bytes.equals(CONTENT)).toBe(true)
    await expectSound(target)
    expect((await same.request('/v1/me', { method: 'DELETE' })).status).toBe(204)
    await target.settled()
    expect(await blobsOnDisk(target)).toEqual([])
  })

  it('is copied again where its copy was spoilt', async () => {
    const { place: where, app, ada, id, blobs } = await place()
    await migrate(where)
    await spoil(join(where.to.UPLOADS_DIR as string, blobs[1] as string), (bytes) => bytes.subarray(0, -1))
    await app.close()
    expect(await migrate(where)).toMatchObject({ ok: true, report: { blobs: { copied: 1 } } })
    await expectGoesOn(memberWith(await where.target(), ada), id)
  })

  it('is reported where it is damaged, and left as it is with --incomplete', async () => {
    const { place: where, app, ada, id, blobs } = await place()
    await spoil(join(app.config.UPLOADS_DIR, blobs[1] as string), (bytes) => bytes.fill(1, 500, 502))
    await app.close()
    const { ok, report, lines } = await migrate(where)
    expect([ok, report.moved]).toEqual([false, false])
    expect(report.lost).toEqual([{ user: ada.userId, upload: id, blob: blobs[1], why: 'its blob does not open' }])
    expect(lines[0]).toBe(`lost: upload ${id} of user ${ada.userId}, blob ${blobs[1]}: its blob does not open`)
    expect(lines.at(-1)).toContain('nothing was moved: 0 files and 1 unfinished upload damaged or missing')
    expect((await migrate(where, { incomplete: true })).report).toMatchObject({ moved: true, rows: { uploads: 1 } })
  })

  it('is not brought where its user is being removed', async () => {
    const { place: where, app, ada } = await place()
    await app.ports.users.remove(ada.userId)
    await app.close()
    expect(await migrate(where)).toMatchObject({ ok: true, report: { uploads: 0, blobs: { copied: 0 } } })
    const target = await where.target()
    target.sweep()
    await target.settled()
    expect(await blobsOnDisk(target)).toEqual([])
    expect(await (await operator(target)).ports.census()).toMatchObject({ uploads: { count: 0 }, garbage: 0 })
  })

  it.each<[string, object, (found: Awaited<ReturnType<typeof place>>) => unknown]>([
    ['gets more bytes', { files: 0, uploads: 1 }, ({ ada, id }) => append(ada, id, RECEIVED, LAST.subarray(1))],
    ['is complete', { files: 1, uploads: 0 }, ({ ada, id }) => append(ada, id, RECEIVED, LAST)],
    ['is removed', { files: 0, uploads: 0 }, ({ ada, id }) => ada.request(`/v1/uploads/${id}`, { method: 'DELETE' })],
  ])('is brought as it is where it %s meanwhile', async (_what, counts, change) => {
    const found = await place()
    const source = await openMoveSource(readConfig(found.place.from), Date.now, cryptographicChance)
    const target = moveTargetOf(readConfig(found.place.to), Date.now)
    let changed = false
    // The first look at a blob of the source fails.
    const length: BlobStore['length'] = async (blob) => {
      if (changed) return source.blobs.length(blob)
      changed = true
      await change(found)
      return null
    }
    try {
      const report = await move({ ...source, blobs: { ...source.blobs, length } }, target, false, quietly)
      expect(report).toMatchObject({ ...counts, lost: [], moved: false, state: 'written' })
    } finally {
      await target.close()
      await source.close()
    }
    await found.app.close()
    expect(await migrate(found.place)).toMatchObject({ ok: true, report: { ...counts, moved: true } })
    await expectSound(await found.place.target())
  })
})
