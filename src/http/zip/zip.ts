/**
 * Writes zip files as a stream (PKWARE's APPNOTE 6.3.10). The checksum of an entry is known only after its bytes, so it
 * follows them. A reader that never seeks must then find the end of the bytes by itself. Deflated data marks its end, stored
 * data does not. So the bytes are sent as deflate blocks that are not compressed (RFC 1951, section 3.2.4): photos are
 * compressed already, and the size is known in advance. ZIP64 is used only above 4 GiB or 65,534 files, because some old
 * readers do not support it.
 */
import { crc32 } from 'node:zlib'
import { keptBytes } from './kept-bytes.ts'
import {
  BLOCK_BYTES,
  blockHeader,
  descriptor,
  directoryRecord,
  endOf,
  FULL_BLOCK,
  localHeader,
  type Written,
} from './records.ts'

export interface ZipEntry {
  /** Segments separated by `/`. Unique in a zip file. */
  path: string
  /** Milliseconds since the Unix epoch. */
  modifiedAt: number
  /** The time zone in which old readers show it, in minutes east of UTC. */
  zoneMinutes: number
  sizeBytes: number
  batches: AsyncIterable<Buffer[]> | Iterable<Buffer[]>
}

/** The approximate size of a batch. */
const BATCH_BYTES = 1024 * 1024

/**
 * The zip file in batches of about 1 MiB. The next entry is read when the entries before it are consumed. `keep` gets the memory that the
 * directory of the zip takes until the end, in pieces.
 */
export async function* zipOf(
  entries: AsyncIterable<ZipEntry>,
  keep: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer[]> {
  const directory = keptBytes(keep)
  let count = 0
  let offset = 0
  let ready: Buffer[] = []
  let readyBytes = 0

  for await (const { path, modifiedAt, zoneMinutes, sizeBytes, batches } of entries) {
    const entry: Written = { path: Buffer.from(path), modifiedAt, zoneMinutes, sizeBytes, offset, checksum: 0 }
    add(localHeader(entry))
    let received = 0
    if (sizeBytes === 0) add(blockHeader(0, true))
    for await (const batch of batches) {
      for (const bytes of batch) {
        if (received + bytes.length > sizeBytes) throw new Error(`received more than the announced ${sizeBytes} bytes`)
        entry.checksum = crc32(bytes, entry.checksum)
        addInBlocks(bytes, received, sizeBytes)
        received += bytes.length
      }
      if (readyBytes >= BATCH_BYTES) yield take()
    }
    if (received !== sizeBytes) throw new Error(`received ${received} bytes, and ${sizeBytes} were announced`)
    add(descriptor(entry))
    directory.add(directoryRecord(entry))
    count += 1
    if (readyBytes >= BATCH_BYTES) yield take()
  }

  const start = offset
  for (const [records] of directory.batches()) {
    add(records as Buffer)
    yield take()
  }
  add(endOf(count, start, offset - start))
  yield take()

  function add(bytes: Buffer) {
    ready.push(bytes)
    readyBytes += bytes.length
    offset += bytes.length
  }

  /** `received` is the number of bytes of the entry before these. A block has one header, even if its bytes come in pieces. */
  function addInBlocks(bytes: Buffer, received: number, sizeBytes: number) {
    for (let at = 0; at < bytes.length; ) {
      const inBlock = (received + at) % BLOCK_BYTES
      const left = sizeBytes - received - at
      if (inBlock === 0) add(left > BLOCK_BYTES ? FULL_BLOCK : blockHeader(left, true))
      const piece = bytes.subarray(at, at + BLOCK_BYTES - inBlock)
      add(piece)
      at += piece.length
    }
  }

  function take(): Buffer[] {
    const taken = ready
    ready = []
    readyBytes = 0
    return taken
  }
}
