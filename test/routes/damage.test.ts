/** Blobs and rows that were tampered with: no wrong byte ever goes out, and no part is taken for the whole. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { blobsOnDisk, form, member, testApp } from '../support/app.ts'
import { pathOf } from '../support/blobs.ts'

const FRAME = 65_552
const HEADER = 40
const CONTENT = randomBytes(2_500_000)
const FRAMES = 39

const frameAt = (frame: number) => HEADER + frame * FRAME

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}

function exchanged(bytes: Buffer, one: number, other: number): Buffer {
  const copy = Buffer.from(bytes)
  bytes.copy(copy, frameAt(one), frameAt(other), frameAt(other + 1))
  bytes.copy(copy, frameAt(other), frameAt(one), frameAt(one + 1))
  return copy
}

async function tamperedWith(tamper: (blob: Buffer) => Buffer) {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('file', CONTENT)
  const path = await pathOf(app, ada, 'file')
  await writeFile(path, tamper(await readFile(path)))
  return { app, ada }
}

describe('before the first byte goes out, a 500', () => {
  it.each<[string, (blob: Buffer) => Buffer]>([
    ['a bit of the magic is flipped', (blob) => flipped(blob, 3)],
    ['a bit of the salt is flipped', (blob) => flipped(blob, 20)],
    ['a bit of the first frame is flipped', (blob) => flipped(blob, HEADER)],
    ['a bit of the first tag is flipped', (blob) => flipped(blob, frameAt(1) - 1)],
    ['the first frames are exchanged', (blob) => exchanged(blob, 0, 1)],
    ['a frame of the first batch took the place of another', (blob) => exchanged(blob, 3, 30)],
    ['a byte is missing at the beginning', (blob) => blob.subarray(1)],
    [
      'a frame is missing at the beginning',
      (blob) => Buffer.concat([blob.subarray(0, HEADER), blob.subarray(frameAt(1))]),
    ],
    ['nothing is left', () => Buffer.alloc(0)],
    ['the header alone is left', (blob) => blob.subarray(0, HEADER)],
  ])('where %s', async (_case, tamper) => {
    const { app, ada } = await tamperedWith(tamper)
    expect(await ada.get('file')).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toMatch(/file [\w-]+ is damaged: its blob [\w-]+\/[\w-]+ does not open/)
  })

  it('where the blob is that of another file', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('one', CONTENT)
    await ada.put('other', randomBytes(CONTENT.length))
    await writeFile(await pathOf(app, ada, 'one'), await readFile(await pathOf(app, ada, 'other')))
    expect(await ada.get('one')).toBeProblem(500, 'internal-error')
    expect((await ada.get('other')).status).toBe(200)
  })

  it('where the blob is that of an earlier version', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('file', CONTENT)
    const earlier = await readFile(await pathOf(app, ada, 'file'))
    await ada.put('file', randomBytes(CONTENT.length))
    await writeFile(await pathOf(app, ada, 'file'), earlier)
    expect(await ada.get('file')).toBeProblem(500, 'internal-error')
  })
})

describe('after the first byte, the connection breaks', () => {
  it.each<[string, (blob: Buffer) => Buffer]>([
    ['a bit is flipped', (blob) => flipped(blob, frameAt(20) + 5)],
    ['a bit of the last tag is flipped', (blob) => flipped(blob, blob.length - 1)],
    ['two frames are exchanged', (blob) => exchanged(blob, 20, 30)],
    ['a byte is missing at the end', (blob) => blob.subarray(0, -1)],
    ['the last frame is missing', (blob) => blob.subarray(0, frameAt(FRAMES - 1))],
    [
      'a frame in the middle is missing',
      (blob) => Buffer.concat([blob.subarray(0, frameAt(20)), blob.subarray(frameAt(21))]),
    ],
  ])('where %s', async (_case, tamper) => {
    const { app, ada } = await tamperedWith(tamper)
    await expect(ada.get('file')).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    expect(app.log.join('\n')).toMatch(/file [\w-]+ is damaged: its blob [\w-]+\/[\w-]+ does not open/)
  })
})

it('hands out whatever of a damaged file is whole', async () => {
  const { ada } = await tamperedWith((blob) => flipped(blob, frameAt(20) + 5))
  const range = await ada.get('file', { range: `bytes=${21 * 65_536}-` })
  expect([range.status, range.bytes.equals(CONTENT.subarray(21 * 65_536))]).toEqual([206, true])
  expect(await ada.get('file', { range: `bytes=${20 * 65_536}-` })).toBeProblem(500, 'internal-error')
})

it('is not led astray by what was appended', async () => {
  const { ada } = await tamperedWith((blob) => Buffer.concat([blob, blob.subarray(frameAt(FRAMES - 1))]))
  expect((await ada.get('file')).bytes.equals(CONTENT)).toBe(true)
})

it('is mended by sending the same bytes again', async () => {
  for (const headers of [{}, { 'if-match': '*' }]) {
    const { ada } = await tamperedWith((blob) => flipped(blob, frameAt(20)))
    const before = (await ada.request('/v1/files')).body
    expect((await ada.put('file', CONTENT, headers)).status).toBe(200)
    expect((await ada.get('file')).bytes.equals(CONTENT)).toBe(true)
    expect((await ada.request('/v1/files')).body).toEqual(before)
  }
  const { app, ada } = await tamperedWith((blob) => flipped(blob, frameAt(20)))
  const photo = form([{ name: 'file', content: CONTENT, filename: 'file' }])
  expect((await ada.request('/v1/files', { method: 'POST', ...photo })).status).toBe(200)
  expect((await ada.get('file')).bytes.equals(CONTENT)).toBe(true)
  await app.settled()
  expect(await blobsOnDisk(app)).toHaveLength(1)
})

it('replaces a damaged file', async () => {
  const { ada } = await tamperedWith(() => Buffer.alloc(0))
  expect((await ada.put('file', 'whole again')).status).toBe(200)
  expect((await ada.get('file')).body).toBe('whole again')
})

describe('a row that was tampered with', () => {
  const acts: [string, string][] = [
    ['has the seal and blob of another file', 'SELECT seal, version, size FROM files WHERE name = :other'],
    ['has another size', 'SELECT seal, version, 3 AS size FROM files WHERE name = :name'],
    ['has a seal of zeros', 'SELECT zeroblob(105) AS seal, version, size FROM files WHERE name = :name'],
  ]

  it.each(acts)('that %s is a 500', async (_case, select) => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('one', 'first')
    await ada.put('other', 'other')
    const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
    const change = db.prepare(select).get({ name: 'one', other: 'other' }) as Record<string, unknown>
    db.prepare("DELETE FROM files WHERE name = 'other'").run()
    db.prepare("UPDATE files SET seal = :seal, version = :version, size = :size WHERE name = 'one'").run(change)
    db.close()
    expect(await ada.get('one')).toBeProblem(500, 'internal-error')
    expect((await ada.request('/v1/files/one', { method: 'HEAD' })).status).toBe(500)
    expect(app.log.join('\n')).toContain('its seal does not open')
  })

  it('that has the whole of another user’s file is a 500', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('file', 'hers')
    const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
    db.prepare('UPDATE files SET user_id = ?').run(ben.userId)
    db.close()
    expect(await ben.get('file')).toBeProblem(500, 'internal-error')
  })

  it('whose vault has another user’s slot is a 500', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('file', 'hers')
    const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
    const { sealed } = db.prepare('SELECT sealed FROM key_slots WHERE user_id = ?').get(ben.userId) as {
      sealed: Buffer
    }
    db.prepare('UPDATE key_slots SET sealed = ?').run(sealed)
    db.close()
    expect(await ada.get('file')).toBeProblem(500, 'internal-error')
    // A slot that opened for another user would take new files.
    expect(await ada.put('new', 'hers')).toBeProblem(500, 'internal-error')
  })
})
