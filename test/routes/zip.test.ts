import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { fromBufferPromise } from 'yauzl'
import { zipOf } from '../../src/http/zip/zip.ts'
import { unzip } from '../support/unzip.ts'
import { entry, inOrder, ZIPPED_AT as T, zipOfEntries as zipped } from '../support/zipped.ts'

const MiB = 1024 * 1024

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

  it('deflates, says that names are UTF-8, and tells times to the second', async () => {
    const [found] = await unzip(await zipped(entry('é', 'sand')))
    expect(found?.entry).toMatchObject({ compressionMethod: 8, versionNeededToExtract: 20 })
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

  it.each([
    [Date.UTC(1600, 11, 31), null, 0],
    [Date.UTC(1601, 0), 0x000a, 36],
    [Date.UTC(1955, 6, 1, 12), 0x000a, 36],
    [-1, 0x000a, 36],
    [0, 0x5455, 9],
    [Date.UTC(2038, 0, 19, 3, 14, 7), 0x5455, 9],
    [Date.UTC(2038, 0, 19, 3, 14, 8), 0x000a, 36],
    [Date.UTC(9999, 11, 31, 23, 59, 59), 0x000a, 36],
  ])('has the time %d in a field that every reader takes for the same time', async (modifiedAt, id, length) => {
    const zip = await zipped({ ...entry('a'), modifiedAt })
    const [found] = await unzip(zip)
    expect(found?.entry.extraFields.map((extra) => extra.id)).toEqual(id === null ? [] : [id])
    if (id !== null) expect(found?.entry.getLastModDate().getTime()).toBe(modifiedAt)
    // The local header, before the name.
    expect(zip.readUInt16LE(28)).toBe(length)
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

  it('is not made of fewer or more bytes than announced', async () => {
    await expect(zipped({ ...entry('a', 'sand'), sizeBytes: 5 })).rejects.toThrow(
      'received 4 bytes, and 5 were announced',
    )
    await expect(zipped({ ...entry('a', 'sand'), sizeBytes: 3 })).rejects.toThrow(
      'received more than the announced 3 bytes',
    )
  })

  it('has the same bytes of a file, whatever pieces they come in', async () => {
    const bytes = randomBytes(200_000)
    const whole = await zipped(entry('a', bytes))
    const pieces = [0, 1, 65_535, 65_536, 131_070, 199_999].map((at, n, all) => bytes.subarray(at, all[n + 1]))
    expect((await zipped(entry('a', ...pieces))).equals(whole)).toBe(true)
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
})
