import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fromBufferPromise, openPromise } from 'yauzl'
import { type ZipEntry, zipOf } from '../../src/routes/zip.ts'
import { temporaryFolder } from '../support/app.ts'
import { bytesOf, unzip } from '../support/unzip.ts'

const MiB = 1024 * 1024
const T = Date.UTC(2026, 10, 22, 8, 30, 7)

const entry = (path: string, ...batch: (Buffer | string)[]): ZipEntry => {
  const parts = batch.map((part) => Buffer.from(part))
  const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0)
  return { path, modifiedAt: T, sizeBytes, batches: [parts] }
}

async function* inOrder(entries: Iterable<ZipEntry>): AsyncGenerator<ZipEntry> {
  yield* entries
}

async function zipped(...entries: ZipEntry[]): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const batch of zipOf(inOrder(entries))) parts.push(...batch)
  return Buffer.concat(parts)
}

describe('a zip file', () => {
  it('has every entry as it was given, in its order', async () => {
    const large = randomBytes(3 * MiB)
    const given = [
      entry('files/b', 'two ', 'parts'),
      entry('files/Ünï 日本 🏖.jpg', 'sand'),
      entry('files/empty'),
      entry('files/large', large),
      entry('a', 'last'),
    ]
    const found = await unzip(await zipped(...given))
    expect(found.map(({ path }) => path)).toEqual(given.map(({ path }) => path))
    expect(found.map(({ bytes }) => bytes.length)).toEqual([9, 4, 0, large.length, 4])
    expect(found[3]?.bytes.equals(large)).toBe(true)
  })

  it('stores, says that names are UTF-8, and tells times to the second', async () => {
    const [found] = await unzip(await zipped(entry('é', 'sand')))
    expect(found?.entry).toMatchObject({ compressionMethod: 0, versionNeededToExtract: 20 })
    expect(found?.entry.generalPurposeBitFlag).toBe(0b1000_0000_1000)
    expect(found?.entry.getLastModDate().getTime()).toBe(T)
    expect(found?.entry.getLastModDate({ forceDosFormat: true, timezone: 'UTC' }).getTime()).toBe(T - 1000)
    expect((found?.entry.externalFileAttributes ?? 0) >>> 16).toBe(0o100600)
  })

  it.each([
    [-1, Date.UTC(1980, 0)],
    [Date.UTC(2200, 0), Date.UTC(2107, 0)],
  ])('takes the time %d for one that the format knows', async (modifiedAt, known) => {
    const [found] = await unzip(await zipped({ ...entry('a'), modifiedAt }))
    expect(found?.entry.getLastModDate({ forceDosFormat: true, timezone: 'UTC' }).getTime()).toBe(known)
  })

  it('of nothing is one', async () => {
    expect(await unzip(await zipped())).toEqual([])
  })

  it('comes in batches of about 1 MiB, each entry asked for when those before it were taken', async () => {
    const asked: string[] = []
    const entries = (async function* () {
      for (const path of ['a', 'b', 'c']) {
        asked.push(path)
        yield entry(path, randomBytes(MiB))
      }
    })()
    const zip = zipOf(entries)
    const first = (await zip.next()).value as Buffer[]
    expect(Buffer.concat(first).length).toBeLessThan(1.1 * MiB)
    expect(asked).toEqual(['a'])
    await zip.return(undefined)
    expect(asked).toEqual(['a'])
  })

  it('is not made of bytes that are fewer than announced', async () => {
    await expect(zipped({ ...entry('a', 'sand'), sizeBytes: 5 })).rejects.toThrow('4 bytes came, and 5 were announced')
  })

  it('may have more entries than fit a plain one', async () => {
    const count = 70_000
    const entries = (function* () {
      for (let n = 0; n < count; n += 1) yield entry(`files/${n}`)
    })()
    const parts: Buffer[] = []
    for await (const batch of zipOf(inOrder(entries))) parts.push(...batch)
    const names = new Set<string>()
    const zip = await fromBufferPromise(Buffer.concat(parts))
    for await (const { fileName } of zip.eachEntry()) names.add(fileName)
    expect([zip.entryCount, names.size]).toEqual([count, count])
  })

  it('may have an entry of more than 4 GiB, and others behind it', async () => {
    const path = join(await temporaryFolder(), 'large.zip')
    const hole = Buffer.alloc(MiB)
    const sizeBytes = 4097 * MiB
    const large = { path: 'large', modifiedAt: T, sizeBytes, batches: new Array(4097).fill([hole]) }
    const file = await open(path, 'w')
    let at = 0
    for await (const batch of zipOf(inOrder([entry('before', 'sand'), large, entry('behind', 'water')]))) {
      for (const bytes of batch) {
        // Nothing is written for a hole, so that the file takes no room.
        if (bytes !== hole) await file.write(bytes, 0, bytes.length, at)
        at += bytes.length
      }
    }
    await file.close()

    const zip = await openPromise(path)
    const found = new Map<string, { size: number; version: number; bytes: string | null }>()
    for await (const one of zip.eachEntry()) {
      const bytes = one.uncompressedSize > MiB ? null : String(await bytesOf(zip, one))
      found.set(one.fileName, { size: one.uncompressedSize, version: one.versionNeededToExtract, bytes })
      if (one.fileName !== 'large') continue
      const local = await zip.readLocalFileHeaderPromise(one)
      expect([local.versionNeededToExtract, local.extraField.readUInt16LE(9)]).toEqual([45, 1])
    }
    expect(Object.fromEntries(found)).toEqual({
      before: { size: 4, version: 20, bytes: 'sand' },
      large: { size: sizeBytes, version: 45, bytes: null },
      behind: { size: 5, version: 45, bytes: 'water' },
    })
  }, 120_000)
})
