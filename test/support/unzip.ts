/** Reads zip files with code that is independent of the writer. */
import { buffer } from 'node:stream/consumers'
import { crc32, inflateRawSync } from 'node:zlib'
import { expect } from 'vitest'
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl'

export interface Unzipped {
  path: string
  bytes: Buffer
  entry: Entry
}

/** The entries in order. Throws for an incomplete zip file or a wrong checksum. */
export async function unzip(bytes: Buffer): Promise<Unzipped[]> {
  const zip = await fromBufferPromise(bytes)
  const found: Unzipped[] = []
  for await (const entry of zip.eachEntry())
    found.push({ path: entry.fileName, bytes: await bytesOf(zip, entry), entry })
  return found
}

export async function bytesOf(zip: ZipFile, entry: Entry): Promise<Buffer> {
  const bytes = await buffer(await zip.openReadStreamPromise(entry))
  if (crc32(bytes) !== entry.crc32) throw new Error(`the bytes of ${entry.fileName} do not fit their checksum`)
  return bytes
}

/** Reads as a reader that never seeks, such as Java's: by the local headers and the ends of deflated data. */
export function unzipForward(zip: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  let at = 0
  while (zip.readUInt32LE(at) === 0x04034b50) {
    const start = at + 30 + zip.readUInt16LE(at + 26) + zip.readUInt16LE(at + 28)
    const path = zip.toString('utf8', at + 30, at + 30 + zip.readUInt16LE(at + 26))
    const { buffer: bytes, engine } = inflateRawSync(zip.subarray(start), { info: true }) as unknown as Inflated
    const descriptor = start + engine.bytesWritten
    const fields = [0, 4, 8, 12].map((field) => zip.readUInt32LE(descriptor + field))
    expect(fields).toEqual([0x08074b50, crc32(bytes), engine.bytesWritten, bytes.length])
    found.set(path, bytes)
    at = descriptor + 16
  }
  return found
}

interface Inflated {
  buffer: Buffer
  engine: { bytesWritten: number }
}
