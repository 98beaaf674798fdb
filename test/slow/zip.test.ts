/** Zip files of more than 4 GiB. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openPromise } from 'yauzl'
import { type ZipEntry, zipOf } from '../../src/http/zip/zip.ts'
import { temporaryFolder } from '../support/app.ts'
import { describeWithProgram, outputOf } from '../support/programs.ts'
import { bytesOf } from '../support/unzip.ts'
import { entry, inOrder } from '../support/zipped.ts'

const MiB = 1024 * 1024
const COMMONS_COMPRESS = '/usr/share/java/commons-compress.jar'
const hole = Buffer.alloc(MiB)

/** An entry of zeros. */
function zeros(path: string, sizeBytes: number): ZipEntry {
  const batches = (function* () {
    for (let left = sizeBytes; left > 0; left -= MiB) yield [hole.subarray(0, Math.min(left, MiB))]
  })()
  return { ...entry(path), sizeBytes, batches }
}

async function* zipOfLarge(sizeBytes: number): AsyncGenerator<Buffer> {
  const entries = [entry('before', 'sand'), zeros('large', sizeBytes), entry('behind', 'water')]
  for await (const batch of zipOf(inOrder(entries))) yield* batch
}

it('has an entry of more than 4 GiB, and others behind it', async () => {
  const path = join(await temporaryFolder(), 'large.zip')
  const sizeBytes = 4097 * MiB
  const file = await open(path, 'w')
  let at = 0
  for await (const bytes of zipOfLarge(sizeBytes)) {
    // Nothing is written for a hole, so that the file takes no room.
    if (bytes.buffer !== hole.buffer) await file.write(bytes, 0, bytes.length, at)
    at += bytes.length
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

/** With 5 bytes for each 65,535, the first is the last one that fits a size of four bytes. Java expects eight from there on. */
const LARGE = [4_294_639_635, 4_294_639_636, 4097 * MiB]

describeWithProgram('java', 'default-jdk-headless')('Java', () => {
  it.each(LARGE)(
    'reads an entry of %d bytes from a stream, and the one behind it',
    async (sizeBytes) => {
      const program = join(import.meta.dirname, '../support/ReadZip.java')
      expect(sizesOf(await outputOf('java', [program], zipOfLarge(sizeBytes)))).toEqual([4, sizeBytes, 5])
    },
    240_000,
  )

  it('reads an entry of more than 4 GiB from a stream with Apache commons-compress', async () => {
    const program = join(import.meta.dirname, '../support/ReadZipWithCommonsCompress.java')
    const output = await outputOf('java', ['-cp', COMMONS_COMPRESS, program], zipOfLarge(4097 * MiB))
    expect(sizesOf(output)).toEqual([4, 4097 * MiB, 5])
  }, 240_000)
})

describeWithProgram('bsdtar', 'libarchive-tools')('bsdtar', () => {
  it.each(LARGE.slice(1))(
    'reads an entry of %d bytes from a pipe, and the one behind it',
    async (sizeBytes) => {
      const list = await outputOf('bsdtar', ['-tvf', '-'], zipOfLarge(sizeBytes))
      expect(String(list).trim().split('\n')).toHaveLength(3)
    },
    240_000,
  )
})

const sizesOf = (output: Buffer) =>
  output
    .toString()
    .trim()
    .split('\n')
    .map((line) => Number(line.split(' ')[1]))
