import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { isSound, type Verification } from '../../src/vault/operator/verify.ts'
import { standing } from '../contracts/rows.ts'
import { blobsOnDisk, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { databaseOf, operator } from '../support/operator.ts'

const FRAME = 65_552
const HEADER = 40

/** A server with one user and these files; the answer finds the blob of each. */
async function vaultWith(contents: Record<string, Buffer>) {
  const app = await testApp()
  const ada = await member(app)
  for (const [name, bytes] of Object.entries(contents)) await ada.put(name, bytes)
  const row = async (name: string) =>
    (await standing(app.ports.files, ada.userId, name)) as { id: string; blob: string }
  const path = async (name: string) => join(app.config.UPLOADS_DIR, (await row(name)).blob)
  return { app, ada, row, path }
}

async function verified(app: TestApp): Promise<Verification> {
  return (await operator(app)).vault.verify(() => {})
}

async function discard(app: TestApp, ada: Member, name: string) {
  const file = await standing(app.ports.files, ada.userId, name)
  if (file) await app.ports.files.discard(ada.userId, file, app.clock())
}

describe('verify', () => {
  it('finds nothing wrong with files of every size, in the trash too', async () => {
    const sizes = [0, 1, 65_535, 65_536, 65_537, 3_000_000]
    const { app, ada } = await vaultWith(Object.fromEntries(sizes.map((size) => [`f${size}`, randomBytes(size)])))
    await discard(app, ada, 'f65536')
    const done: number[] = []
    const report = await (await operator(app)).vault.verify((bytes) => done.push(bytes))
    const bytes = sizes.reduce((sum, size) => sum + size)
    expect(report).toEqual({
      users: 1,
      files: 6,
      thumbnails: 0,
      uploads: 0,
      bytes,
      blobs: 6,
      damaged: [],
      missing: [],
      damagedThumbnails: [],
      orphans: [],
      slots: [],
      usage: [],
    })
    expect(isSound(report)).toBe(true)
    expect(done.reduce((sum, size) => sum + size)).toBe(bytes)
  })

  it.each([
    ['a flipped bit', flipBit, 'its blob does not open'],
    ['a flipped bit in the header', (path: string) => flipBit(path, 3), 'its blob does not open'],
    ['a blob that was cut', (path: string) => truncate(path, HEADER + FRAME), /^its blob has 65592 bytes instead of /],
    ['a blob that was made longer', (path: string) => writeFile(path, 'x', { flag: 'a' }), /^its blob has /],
    ['two frames in each other’s place', swapFrames, 'its blob does not open'],
    ['a folder in place of the blob', putFolder, /^its blob (has|cannot be read)/],
  ])('finds %s', async (_what, damage, why) => {
    const { app, row, path } = await vaultWith({ good: randomBytes(100), bad: randomBytes(3 * 65_536) })
    await damage(await path('bad'))
    const report = await verified(app)
    const { id, blob } = await row('bad')
    expect(report.damaged).toEqual([
      { file: id, blob, why: typeof why === 'string' ? why : expect.stringMatching(why) },
    ])
    expect(isSound(report)).toBe(false)
  })

  it('finds a flipped bit in the blob of an empty file', async () => {
    const { app, path } = await vaultWith({ empty: Buffer.alloc(0) })
    await flipBit(await path('empty'), 50)
    expect((await verified(app)).damaged).toHaveLength(1)
  })

  it('finds blobs in each other’s place', async () => {
    const { app, path } = await vaultWith({ a: randomBytes(1000), b: randomBytes(1000) })
    const [a, b] = [await path('a'), await path('b')]
    await rename(a, `${a}-`)
    await rename(b, a)
    await rename(`${a}-`, b)
    expect((await verified(app)).damaged.map(({ why }) => why)).toEqual(Array(2).fill('its blob does not open'))
  })

  it('finds a missing blob, of a file and of one in the trash', async () => {
    const { app, ada, row, path } = await vaultWith({ a: randomBytes(10), b: randomBytes(10), empty: Buffer.alloc(0) })
    const lost = [await row('a'), await row('b')].map(({ id, blob }) => ({ file: id, blob }))
    for (const name of ['a', 'b']) await rm(await path(name))
    await discard(app, ada, 'b')
    const { missing } = await verified(app)
    expect(missing.sort(byBlob)).toEqual(lost.sort(byBlob))
  })

  it('finds a blob that nothing names, and leaves alone what a living run may still name', async () => {
    const { app } = await vaultWith({ a: randomBytes(10) })
    const [run] = await app.ports.blobs.runs()
    await app.ports.blobs.put('unknown-run/blob', one('bytes'))
    await app.ports.blobs.put(`${run}/on-its-way`, one('bytes'))
    expect((await verified(app)).orphans).toEqual(['unknown-run/blob'])
    await app.close()
    expect((await verified(app)).orphans.sort()).toEqual([`${run}/on-its-way`, 'unknown-run/blob'].sort())
  })

  it('leaves alone what a run wrote that has begun, or ended, meanwhile', async () => {
    const { app } = await vaultWith({ a: randomBytes(10) })
    const [run] = await app.ports.blobs.runs()
    await app.ports.blobs.put(`${run}/on-its-way`, one('bytes'))
    const { ports, vault } = await operator(app)
    const { livingRuns } = ports.ledger
    const now = await livingRuns()
    for (const looks of [
      [[], now],
      [now, []],
    ]) {
      ports.ledger.livingRuns = async () => looks.shift() ?? livingRuns()
      expect((await vault.verify(() => {})).orphans).toEqual([])
    }
  })

  it('does not mind blobs that wait to be deleted', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10) })
    await app.ports.ledger.hold('backup', app.clock(), app.clock() + 1000)
    await ada.put('a', randomBytes(20))
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(2)
    await app.close()
    expect(isSound(await verified(app))).toBe(true)
  })

  it.each([
    ['seal', "UPDATE files SET seal = zeroblob(105) WHERE name = 'a'"],
    ['size', "UPDATE files SET size = 11 WHERE name = 'a'"],
    ['id', "UPDATE files SET id = 'another' WHERE name = 'a'"],
    ['owner', "UPDATE files SET user_id = (SELECT id FROM users WHERE email = 'eve@example.org') WHERE name = 'a'"],
  ])('finds a row with another %s', async (_what, sql) => {
    const { app } = await vaultWith({ a: randomBytes(10), b: randomBytes(10) })
    await member(app, 'eve@example.org')
    databaseOf(app).exec(sql)
    expect((await verified(app)).damaged.map(({ why }) => why)).toEqual(['its seal does not open'])
  })

  it('finds a tag of another content', async () => {
    const { app } = await vaultWith({ a: randomBytes(10), b: randomBytes(10) })
    databaseOf(app).exec("UPDATE files SET tag = (SELECT tag FROM files WHERE name = 'b') WHERE name = 'a'")
    expect((await verified(app)).damaged.map(({ why }) => why)).toEqual(['its tag is that of another content'])
  })

  it('finds a use that is counted wrongly', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10), b: randomBytes(5) })
    await discard(app, ada, 'b')
    expect((await verified(app)).usage).toEqual([])
    databaseOf(app).exec('UPDATE users SET byte_count = 16, trash_count = 7')
    expect((await verified(app)).usage).toEqual([
      {
        user: ada.userId,
        counted: { files: 1, trashFiles: 7, bytes: 16 },
        actual: { files: 1, trashFiles: 1, bytes: 15 },
      },
    ])
  })

  it.each([
    ['was tampered with', 'UPDATE key_slots SET sealed = zeroblob(61)', 'the key slot does not open'],
    ['is gone', 'DELETE FROM key_slots', 'there is no key slot'],
    ['has another key', "UPDATE key_slots SET key_id = 'feed'", 'it is locked with master key feed, which is not here'],
  ])('finds a user whose slot %s', async (_what, sql, why) => {
    const { app, ada, row } = await vaultWith({ a: randomBytes(10) })
    await member(app)
    const { id, blob } = await row('a')
    databaseOf(app).prepare(`${sql} WHERE user_id = ?`).run(ada.userId)
    const report = await verified(app)
    expect(report.slots).toEqual([{ user: ada.userId, why }])
    expect(report.damaged).toEqual([{ file: id, blob, why: `its owner's key cannot be had: ${why}` }])
  })

  it('refuses where no key at hand opens anything', async () => {
    const { app } = await vaultWith({ a: randomBytes(10) })
    const { vault } = await operator(app, { MASTER_KEY: randomBytes(32).toString('base64') })
    await expect(vault.verify(() => {})).rejects.toThrow(/locked with master key [0-9a-f]{16}, and the key given here/)
  })

  it('looks again at a file that is replaced under its hands', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10), b: randomBytes(10) })
    const { vault, ports } = await operator(app)
    const { length } = ports.blobs
    ports.blobs.length = async (blob) => {
      ports.blobs.length = length
      for (const name of ['a', 'b']) await ada.replace(name, randomBytes(20))
      await app.settled()
      return length(blob)
    }
    expect(await vault.verify(() => {})).toMatchObject({ files: 2, damaged: [], missing: [] })
  })

  it('does not report a file whose blob goes between two looks at it', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10), empty: Buffer.alloc(0) })
    const { vault, ports } = await operator(app)
    const { open } = ports.blobs
    ports.blobs.open = async (blob, start, end) => {
      ports.blobs.open = open
      await ada.replace('a', randomBytes(20))
      await ada.replace('empty', randomBytes(20))
      await app.settled()
      return open(blob, start, end)
    }
    expect(await vault.verify(() => {})).toMatchObject({ files: 2, damaged: [], missing: [] })
  })

  it('opens thumbnails, those of the trash too, and names the files of those that are damaged', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10), b: randomBytes(10), c: randomBytes(10) })
    for (const name of ['a', 'b', 'c']) await putThumbnail(ada, name)
    await discard(app, ada, 'b')
    expect(await verified(app)).toMatchObject({ thumbnails: 3, damagedThumbnails: [] })
    const [a, b] = await run(app, `SELECT id FROM files WHERE name IN ('a', 'b') ORDER BY name`)
    const tagOf = (name: string) => `(SELECT thumbnail FROM files WHERE name = '${name}')`
    await run(app, `UPDATE thumbnails SET sealed = zeroblob(90) WHERE tag = ${tagOf('a')} RETURNING 1`)
    await run(app, `DELETE FROM thumbnails WHERE tag = ${tagOf('b')} RETURNING 1`)
    const report = await verified(app)
    expect(report.thumbnails).toBe(3)
    const why = new Map(report.damagedThumbnails.map(({ file, why }) => [file, why]))
    expect(why).toEqual(
      new Map([
        [a, 'it does not open'],
        [b, 'it is missing'],
      ]),
    )
    expect(report.damaged).toEqual([])
    expect(isSound(report)).toBe(false)
  })

  it('checks a thumbnail again that changed meanwhile, and none of a user who is being removed', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10), b: randomBytes(10) })
    for (const name of ['a', 'b']) await putThumbnail(ada, name)
    const { vault, ports } = await operator(app)
    const { byTag } = ports.thumbnails
    let reads = 0
    ports.thumbnails.byTag = async (owner, tag) => {
      reads += 1
      if (reads > 1) return byTag(owner, tag)
      // Another process has replaced both before this read.
      for (const name of ['a', 'b']) await putThumbnail(ada, name)
      return null
    }
    expect(await vault.verify(() => {})).toMatchObject({ thumbnails: 2, damagedThumbnails: [] })
    ports.thumbnails.byTag = async () => {
      await app.ports.users.remove(ada.userId)
      return null
    }
    expect(await vault.verify(() => {})).toMatchObject({ thumbnails: 0, damagedThumbnails: [] })
  })

  it('says why thumbnails of a locked vault do not open', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10) })
    await putThumbnail(ada, 'a')
    await run(app, `UPDATE key_slots SET sealed = zeroblob(61) WHERE user_id = '${ada.userId}' RETURNING 1`)
    expect((await verified(app)).damagedThumbnails).toMatchObject([{ why: 'the key slot does not open' }])
  })

  it('does not report what is left of a user who was removed', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10) })
    await app.ports.users.remove(ada.userId)
    expect(isSound(await verified(app))).toBe(true)
  })

  it('does not report a file that is gone by now', async () => {
    const { app, ada } = await vaultWith({ a: randomBytes(10) })
    const { vault, ports } = await operator(app)
    const { page } = ports.files
    ports.files.page = async (after, limit) => {
      const files = await page(after, limit)
      if (await app.ports.users.remove(ada.userId)) await app.ports.users.clearOut(ada.userId, 10)
      await app.ports.users.forget(ada.userId)
      return files
    }
    expect(await vault.verify(() => {})).toMatchObject({ files: 0, damaged: [], missing: [] })
  })
})

function putThumbnail(owner: Member, name: string) {
  const headers = { 'content-type': 'image/jpeg' }
  return owner.request(`/v1/files/${name}/thumbnail`, { method: 'PUT', headers, body: randomBytes(61) })
}

/** The first column of the rows that a statement returns. */
async function run(app: TestApp, sql: string): Promise<unknown[]> {
  const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
  try {
    return db.prepare<[], unknown>(sql).pluck().all()
  } finally {
    db.close()
  }
}

async function flipBit(path: string, at = HEADER + 1000) {
  const bytes = await readFile(path)
  bytes[at] = (bytes[at] as number) ^ 1
  await writeFile(path, bytes)
}

async function swapFrames(path: string) {
  const bytes = await readFile(path)
  const first = Buffer.from(bytes.subarray(HEADER, HEADER + FRAME))
  bytes.copyWithin(HEADER, HEADER + FRAME, HEADER + 2 * FRAME)
  first.copy(bytes, HEADER + FRAME)
  await writeFile(path, bytes)
}

async function putFolder(path: string) {
  await rm(path)
  await mkdir(path)
}

async function* one(text: string) {
  yield [Buffer.from(text)]
}

const byBlob = (a: { blob: string }, b: { blob: string }) => a.blob.localeCompare(b.blob)
