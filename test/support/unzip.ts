/** Zip files as a reader sees them that shares no line with the writer. */
import { buffer } from 'node:stream/consumers'
import { crc32 } from 'node:zlib'
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl'

export interface Unzipped {
  path: string
  bytes: Buffer
  entry: Entry
}

/** Every entry in its order. Throws where the file is no whole zip file, or bytes do not fit their checksum. */
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
