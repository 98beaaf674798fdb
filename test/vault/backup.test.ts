import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { backupSource, backupTarget } from '../../src/compose/backups.ts'
import type { Config } from '../../src/config/config.ts'
import { keyIdOf } from '../../src/vault/crypto/keyring.ts'
import { backUp, restore } from '../../src/vault/operator/backup.ts'
import { takeHold } from '../../src/vault/operator/hold.ts'
import { isSound } from '../../src/vault/operator/verify.ts'
import { standing } from '../contracts/rows.ts'
import { blobsOnDisk, type Member, MINUTE, member, memberWith, temporaryFolder, testApp } from '../support/app.ts'
import { backedUp, databaseOf, operator, quietly } from '../support/operator.ts'

const KEY = randomBytes(32)
const settings = { MASTER_KEY: KEY.toString('base64') }

/** A server with a user who has these files, and a folder for backups. */
async function vaultWith(contents: Record<string, string | Buffer>) {
  const app = await testApp(settings)
  const ada = await member(app)
  for (const [name, bytes] of Object.entries(contents)) await ada.put(name, bytes)
  return { app, ada, folder: join(await temporaryFolder(), 'backup') }
}

async function restored(folder: string, fields: Partial<Config> = {}, incomplete = false, version?: string) {
  const home = await temporaryFolder()
  const folders = { DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') }
  const config = { ...(await testConfig()), ...folders, ...fields }
  const source = await backupSource(config, folder, version)
  try {
    return { home, report: await restore(source, incomplete, quietly) }
  } finally {
    await source.close()
  }
}

async function testConfig(): Promise<Config> {
  const { readConfig } = await import('../../src/config/config.ts')
  return readConfig(settings)
}

async function contentsOf(home: string, ada: Member, names: string[]) {
  const app = await testApp(settings, home)
  const same = memberWith(app, ada)
  const bodies = []
  for (const name of names) bodies.push((await same.get(name)).body)
  expect(isSound(await (await operator(app)).vault.verify(() => {}))).toBe(true)
  await app.close()
  return bodies
}

describe('a backup', () => {
  it('can be restored, with sessions and trash, and brings along neither keys nor its own hold', async () => {
    const { app, ada, folder } = await vaultWith({ a: 'first', b: 'second', gone: 'third' })
    const trashed = await standing(app.ports.files, ada.userId, 'gone')
    if (trashed) await app.ports.files.discard(ada.userId, trashed, app.clock())
    const report = await backedUp(app, folder)
    expect(report).toEqual({
      files: 3,
      uploads: 0,
      blobs: { copied: 3, kept: 0, removed: 0 },
      copiedBytes: 3 * 56 + 16,
      lacking: [],
      masterKeys: [keyIdOf(KEY)],
      versions: [],
    })
    expect((await readdir(folder)).sort()).toEqual(['backup.lock', 'minikeepsafe.db', 'uploads'])
    expect((await stat(join(folder, 'minikeepsafe.db'))).mode & 0o777).toBe(0o600)
    expect(await app.ports.ledger.held(app.clock())).toBe(false)

    const { home, report: back } = await restored(folder)
    expect(back).toEqual({ restored: true, files: 3, uploads: 0, bytes: 16, lacking: [], masterKeys: [keyIdOf(KEY)] })
    expect(await contentsOf(home, ada, ['a', 'b'])).toEqual(['first', 'second'])
    const app2 = await testApp(settings, home)
    expect(await app2.ports.trash.find(ada.userId, trashed?.id as string)).not.toBeNull()
    expect(databaseOf(app2).prepare('SELECT * FROM holds').all()).toEqual([])
  })

  it('has no master key in it, and its owner alone can read it', async () => {
    const app = await testApp()
    await (await member(app)).put('a', 'first')
    const folder = join(await temporaryFolder(), 'backup')
    await backedUp(app, folder)
    const key = Buffer.from(await readFile(join(app.config.DATA_DIR, 'master.key'), 'utf8'), 'base64')
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    for (const path of [folder, ...entries.map(({ parentPath, name }) => join(parentPath, name))]) {
      const found = await stat(path)
      expect([path, found.mode & 0o077]).toEqual([path, 0])
      if (found.isDirectory()) continue
      const bytes = await readFile(path)
      for (const form of [key, key.toString('base64'), key.toString('hex')]) expect(bytes.includes(form)).toBe(false)
    }
    expect(entries.filter((entry) => entry.isFile()).length).toBeGreaterThan(1)
  })

  it('copies what is new, and removes what is gone once the new one is in place', async () => {
    const { app, ada, folder } = await vaultWith({ a: 'first', b: 'second' })
    await backedUp(app, folder)
    await ada.replace('b', 'changed')
    await ada.put('c', 'third')
    expect((await backedUp(app, folder)).blobs).toEqual({ copied: 2, kept: 1, removed: 1 })
    expect((await backedUp(app, folder)).blobs).toEqual({ copied: 0, kept: 3, removed: 0 })
    const { home } = await restored(folder)
    expect(await contentsOf(home, ada, ['a', 'b', 'c'])).toEqual(['first', 'changed', 'third'])
  })

  it('is of one moment, while files are replaced and the database grows', async () => {
    const { app, ada, folder } = await vaultWith(
      Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`f${n}`, '0'])),
    )
    const { ports } = await operator(app)
    const target = await backupTarget(app.config, folder)
    const { take } = target.blobs
    target.blobs.take = async (wanted) => {
      for (let n = 0; n < 20; n += 1) await ada.replace(`f${n}`, 'changed')
      await app.settled()
      return take(wanted)
    }
    const report = await backUp(ports, target, quietly)
    await target.close()
    expect(report).toMatchObject({ files: 20, blobs: { copied: 20 }, lacking: [] })
    expect(await blobsOnDisk(app)).toHaveLength(40)
    const { home } = await restored(folder)
    expect(await contentsOf(home, ada, ['f0', 'f19'])).toEqual(['0', '0'])
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(20)
  })

  it('stays as it was where the next one breaks off', async () => {
    const { app, ada, folder } = await vaultWith({ a: 'first', b: 'second' })
    await backedUp(app, folder)
    await ada.put('a', 'changed')
    const { ports } = await operator(app)
    for (const broken of ['take', 'place'] as const) {
      const target = await backupTarget(app.config, folder)
      const fail = () => Promise.reject(new Error('broken off'))
      if (broken === 'take') target.blobs.take = fail
      const { copyDatabase } = target
      if (broken === 'place') target.copyDatabase = async () => ({ ...(await copyDatabase()), place: fail })
      await expect(backUp(ports, target, quietly)).rejects.toThrow('broken off')
      await target.close()
      const { home } = await restored(folder)
      expect(await contentsOf(home, ada, ['a', 'b'])).toEqual(['first', 'second'])
    }
    expect(await ports.ledger.held(app.clock())).toBe(false)
    await backedUp(app, folder)
    const { home } = await restored(folder)
    expect(await contentsOf(home, ada, ['a'])).toEqual(['changed'])
  })

  it('fails where its hold was lost', async () => {
    const { app, folder } = await vaultWith({ a: 'first' })
    const { ports } = await operator(app)
    const target = await backupTarget(app.config, folder)
    const { take } = target.blobs
    target.blobs.take = (wanted) => {
      app.clock.turn(2 * MINUTE)
      return take(wanted)
    }
    await expect(backUp(ports, target, quietly)).rejects.toThrow('the hold on the blobs was lost')
    await target.close()
    expect(await readdir(folder)).not.toContain('minikeepsafe.db')
  })

  it('has all that is left of a damaged vault, and keeps what only it has', async () => {
    const { app, ada, folder } = await vaultWith({ kept: 'first', lost: 'second', cut: 'third' })
    const pathOf = async (name: string) =>
      join(app.config.UPLOADS_DIR, (await standing(app.ports.files, ada.userId, name))?.blob as string)
    await backedUp(app, folder)
    await rm(await pathOf('lost'))
    expect((await backedUp(app, folder)).lacking).toEqual([])
    await ada.replace('lost', 'another')
    await rm(await pathOf('lost'))
    await ada.replace('cut', 'another')
    await truncate(await pathOf('cut'), 50)
    const { lacking, blobs } = await backedUp(app, folder)
    expect(lacking.map(({ why }) => why).sort()).toEqual(['damaged', 'missing'])
    expect(blobs).toEqual({ copied: 0, kept: 1, removed: 2 })

    const refused = await restored(folder)
    expect(refused.report).toMatchObject({ restored: false, files: 3 })
    expect(refused.report.lacking).toHaveLength(2)
    expect(await readdir(join(refused.home, 'data'))).toEqual(['server.lock'])
    const { home, report } = await restored(folder, {}, true)
    expect(report).toMatchObject({ restored: true, files: 3 })
    expect(report.lacking).toHaveLength(2)
    const again = await testApp(settings, home)
    expect((await memberWith(again, ada).get('kept')).body).toBe('first')
  })

  it('is never that of another vault', async () => {
    const { app, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    const { app: another } = await vaultWith({})
    await expect(backedUp(another, folder)).rejects.toThrow('has the backup of another vault')
    expect((await backedUp(app, folder)).blobs).toEqual({ copied: 0, kept: 1, removed: 0 })
  })

  it('goes to a folder of its own', async () => {
    const { app, folder } = await vaultWith({})
    const { DATA_DIR, UPLOADS_DIR } = app.config
    for (const wrong of [DATA_DIR, join(DATA_DIR, 'backup'), join(UPLOADS_DIR, '..'), UPLOADS_DIR]) {
      await expect(backupTarget(app.config, wrong)).rejects.toThrow('must not overlap')
    }
    await mkdir(join(folder, 'uploads', 'holiday'), { recursive: true })
    await expect(backupTarget(app.config, folder)).rejects.toThrow('neither empty nor the folder of a backup')
    await rm(folder, { recursive: true })
    await mkdir(folder)
    await writeFile(join(folder, 'uploads'), '')
    await expect(backupTarget(app.config, folder)).rejects.toThrow()
    await rm(join(folder, 'uploads'))
    const first = await backupTarget(app.config, folder)
    await expect(backupTarget(app.config, folder)).rejects.toThrow('another backup is being made in')
    await first.close()
  })
})

describe('a restore', () => {
  it('ends the cursors of the changes feed, whose later changes are not the same', async () => {
    const { app, ada, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    await ada.put('b', 'lost')
    const { nextCursor } = (await ada.request('/v1/changes')).body as { nextCursor: string }
    const { home } = await restored(folder)
    const back = await testApp(settings, home)
    const same = memberWith(back, ada)
    await same.put('c', 'not b')
    expect(await same.request(`/v1/changes?cursor=${nextCursor}`)).toBeProblem(410, 'cursor-expired')
    expect((await same.request('/v1/changes')).body).toMatchObject({
      changes: [{ file: { name: 'a' } }, { file: { name: 'c' } }],
    })
  })

  it('is refused without the right key, before anything is copied', async () => {
    const { app, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    const wrong = randomBytes(32)
    await expect(restored(folder, { MASTER_KEY: wrong.toString('base64') })).rejects.toThrow(
      `locked with master key ${keyIdOf(KEY)}, and the key given here is ${keyIdOf(wrong)}`,
    )
    const home = await temporaryFolder()
    const { MASTER_KEY: _none, ...keyless } = await testConfig()
    const config = { ...keyless, DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') }
    const source = await backupSource(config, folder)
    onTestFinished(source.close)
    await expect(restore(source, false, quietly)).rejects.toThrow(`the backup is locked with ${keyIdOf(KEY)}`)
    expect(await readdir(config.UPLOADS_DIR)).toEqual([])
  })

  it('takes the key file that waits in the new folder', async () => {
    const { app, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    for (const [name, fields] of [
      ['master.key', {}],
      ['my.key', { MASTER_KEY_FILE: 'my.key' }],
    ] as const) {
      const home = await temporaryFolder()
      const [DATA_DIR, UPLOADS_DIR] = [join(home, 'data'), join(home, 'uploads')]
      await mkdir(DATA_DIR)
      await writeFile(join(DATA_DIR, name), KEY.toString('base64'))
      const { MASTER_KEY: _none, ...keyless } = await testConfig()
      const file = 'MASTER_KEY_FILE' in fields ? { MASTER_KEY_FILE: join(DATA_DIR, name) } : {}
      const source = await backupSource({ ...keyless, ...file, DATA_DIR, UPLOADS_DIR }, folder)
      expect(await restore(source, false, quietly)).toMatchObject({ restored: true })
      await source.close()
    }
  })

  it('needs no key for a vault without users', async () => {
    const app = await testApp(settings)
    const folder = join(await temporaryFolder(), 'backup')
    expect((await backedUp(app, folder)).masterKeys).toEqual([])
    expect((await restored(folder)).report).toMatchObject({ restored: true, masterKeys: [] })
  })

  it('is refused where there is a vault, a server, other files, or no backup', async () => {
    const { app, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    await expect(restored(folder, { DATA_DIR: app.config.DATA_DIR })).rejects.toThrow('another server is using it')
    await app.close()
    await expect(restored(folder, { DATA_DIR: app.config.DATA_DIR })).rejects.toThrow('it is not empty')
    await expect(restored(folder, { UPLOADS_DIR: app.config.UPLOADS_DIR })).rejects.toThrow(
      /^UPLOADS_DIR is .* not empty/,
    )
    await expect(restored(folder, { DATA_DIR: join(folder, 'data') })).rejects.toThrow('must not overlap')
    await expect(restored(await temporaryFolder())).rejects.toThrow('there is no backup in')
  })

  it.each([
    [1, 'has schema 1'],
    [1000, 'has schema 1000'],
  ])('is refused for a backup of schema %i', async (schema, message) => {
    const { app, folder } = await vaultWith({ a: 'first' })
    await backedUp(app, folder)
    const db = databaseOf({ config: { ...app.config, DATA_DIR: folder } })
    db.pragma(`user_version = ${schema}`)
    await expect(restored(folder)).rejects.toThrow(message)
  })

  it('makes no vault of a damaged database', async () => {
    const { app, folder } = await vaultWith(
      Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`name-${n}`, 'x'])),
    )
    await backedUp(app, folder)
    const path = join(folder, 'minikeepsafe.db')
    const bytes = await readFile(path)
    const at = bytes.indexOf('name-17')
    expect(at).toBeGreaterThan(0)
    for (let found = at; found >= 0; found = bytes.indexOf('name-17', found + 1)) bytes.write('name-99', found)
    const index = bytes.lastIndexOf('name-99')
    bytes.write('name-00', index)
    await writeFile(path, bytes)
    await expect(restored(folder)).rejects.toThrow(/is damaged|malformed/)
  })
})

describe('a hold', () => {
  it('is renewed for as long as it is needed', async () => {
    const { app } = await vaultWith({})
    const hold = await takeHold(app.ports, 5)
    for (let round = 0; round < 4; round += 1) {
      app.clock.turn(MINUTE / 2)
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(await app.ports.ledger.held(app.clock())).toBe(true)
    }
    await hold.confirm()
    await hold.release()
    expect(await app.ports.ledger.held(app.clock())).toBe(false)
  })

  it('goes on where one renewal fails', async () => {
    const { app } = await vaultWith({})
    const ledger = { ...app.ports.ledger }
    const hold = await takeHold({ ...app.ports, ledger }, 5)
    const { hold: real } = ledger
    let failed = 0
    ledger.hold = async () => {
      failed += 1
      throw new Error('the database is busy')
    }
    await expect.poll(() => failed).toBeGreaterThan(1)
    ledger.hold = real
    await hold.confirm()
    hold.check()
    await hold.release()
  })
})

describe('symbolic links', () => {
  it('in place of anything in a backup are refused, both by a restore and by the next backup', async () => {
    const { app, ada, folder } = await vaultWith({ diary: 'one' })
    const runs = await readdir(app.config.UPLOADS_DIR)
    await backedUp(app, folder, 2)
    await ada.replace('diary', 'two', { 'if-match': '*' })
    const { versions } = await backedUp(app, folder, 2)
    const version = join('versions', `${versions[0]}.db`)
    const elsewhere = join(await temporaryFolder(), 'elsewhere')
    const run = join('uploads', runs[0] as string)
    for (const part of ['backup.lock', 'minikeepsafe.db', 'uploads', run, 'versions', version]) {
      const path = join(folder, part)
      await rename(path, elsewhere)
      await symlink(elsewhere, path)
      const message = `${path} is a symbolic link. Only the folder of a backup may be one`
      await expect(restored(folder)).rejects.toThrow(message)
      await expect(restored(folder, {}, true, versions[0])).rejects.toThrow(message)
      await expect(backedUp(app, folder, 2)).rejects.toThrow(message)
      await unlink(path)
      await rename(elsewhere, path)
    }
    // The copy of a version is written to this path first.
    await writeFile(elsewhere, 'of somebody else')
    await symlink(elsewhere, join(folder, 'versions', 'new'))
    await expect(backedUp(app, folder, 2)).rejects.toThrow('new is a symbolic link')
    expect(await readFile(elsewhere, 'utf8')).toBe('of somebody else')
  })

  it('to a backup and to the folders of a vault are followed', async () => {
    const { app, ada, folder } = await vaultWith({ diary: 'one' })
    const [home, links] = [await temporaryFolder(), await temporaryFolder()]
    const link = async (target: string, name: string) => {
      await mkdir(target)
      await symlink(target, join(links, name))
      return join(links, name)
    }
    const backup = await link(folder, 'backup')
    await backedUp(app, backup)
    expect((await backedUp(app, backup)).blobs).toEqual({ copied: 0, kept: 1, removed: 0 })
    const DATA_DIR = await link(join(home, 'data'), 'data')
    const UPLOADS_DIR = await link(join(home, 'uploads'), 'uploads')
    expect((await restored(backup, { DATA_DIR, UPLOADS_DIR })).report.restored).toBe(true)
    expect(await contentsOf(home, ada, ['diary'])).toEqual(['one'])
  })
})

describe('versions of a backup', () => {
  const versions = async (folder: string) => (await readdir(join(folder, 'versions'))).sort()
  const blobs = async (folder: string) => {
    const entries = await readdir(join(folder, 'uploads'), { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).length
  }

  it('are kept up to a number, share their blobs, and each can be restored', async () => {
    const { app, ada, folder } = await vaultWith({ always: 'there', diary: 'one' })
    expect(await backedUp(app, folder, 3)).toMatchObject({ versions: [] })
    await ada.replace('diary', 'two', { 'if-match': '*' })
    const second = await backedUp(app, folder, 3)
    await ada.replace('diary', 'three', { 'if-match': '*' })
    const third = await backedUp(app, folder, 3)
    expect(third.versions).toHaveLength(2)
    expect(third.versions.slice(1)).toEqual(second.versions)
    expect(await blobs(folder)).toBe(4)
    const [former, first] = third.versions
    for (const [version, diary] of [
      [undefined, 'three'],
      [former, 'two'],
      [first, 'one'],
    ] as const) {
      const { home } = await restored(folder, {}, false, version)
      expect(await contentsOf(home, ada, ['always', 'diary'])).toEqual(['there', diary])
    }
    await expect(restored(folder, {}, false, '../data')).rejects.toThrow(
      `there is no version ../data in ${folder}, but`,
    )

    await ada.replace('diary', 'four', { 'if-match': '*' })
    expect(await backedUp(app, folder)).toMatchObject({ versions: third.versions, blobs: { removed: 1 } })
    expect(await backedUp(app, folder, 2)).toMatchObject({ versions: [expect.any(String)], blobs: { removed: 2 } })
    expect(await backedUp(app, folder, 1)).toMatchObject({ versions: [] })
    expect(await versions(folder)).toEqual([])
    expect(await blobs(folder)).toBe(2)
  })

  it('lose nothing where a backup breaks off after it kept the former one', async () => {
    const { app, ada, folder } = await vaultWith({ diary: 'one' })
    await backedUp(app, folder, 2)
    await ada.put('diary', 'two', { 'if-match': '*' })
    const { ports } = await operator(app)
    const target = await backupTarget(app.config, folder)
    const copyDatabase = async () => ({
      ...(await target.copyDatabase()),
      place: () => Promise.reject(new Error('broken off')),
    })
    await expect(backUp(ports, { ...target, copyDatabase }, quietly, 2)).rejects.toThrow('broken off')
    await target.close()
    await writeFile(join(folder, 'versions', 'new'), 'half of a copy')
    expect(await contentsOf((await restored(folder)).home, ada, ['diary'])).toEqual(['one'])
    const { versions: kept } = await backedUp(app, folder, 2)
    expect(kept).toHaveLength(1)
    expect(await contentsOf((await restored(folder)).home, ada, ['diary'])).toEqual(['two'])
    expect(await contentsOf((await restored(folder, {}, false, kept[0])).home, ada, ['diary'])).toEqual(['one'])
  })
})
