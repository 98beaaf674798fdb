/**
 * Writes zip files as a stream (PKWARE's APPNOTE 6.3.10). The checksum of an entry is known only after its bytes, so it
 * follows them. A reader that never seeks must then find the end of the bytes by itself. Deflated data marks its end, stored
 * data does not. So the bytes are sent as deflate blocks that are not compressed (RFC 1951, section 3.2.4): photos are
 * compressed already, and the size is known in advance. ZIP64 is used only above 4 GiB or 65,534 files, because some old
 * readers do not support it.
 */
import { crc32 } from 'node:zlib'
import { keptBytes } from './kept-bytes.ts'

export interface ZipEntry {
  /** Segments separated by `/`. Unique in a zip file. */
  path: string
  /** Milliseconds since the Unix epoch. */
  modifiedAt: number
  sizeBytes: number
  batches: AsyncIterable<Buffer[]> | Iterable<Buffer[]>
}

/** An entry that was written, as the directory needs it. */
interface Written extends Pick<ZipEntry, 'modifiedAt' | 'sizeBytes'> {
  path: Buffer
  offset: number
  checksum: number
}

/** The approximate size of a batch. */
const BATCH_BYTES = 1024 * 1024

/** The maximum content of one deflate block. */
const BLOCK_BYTES = 0xffff
/** One byte of flags, the length in two bytes, and the inverted length. */
const BLOCK_HEADER_BYTES = 5

/** In a field of 16 or 32 bits this value means: the ZIP64 part has the number. */
const MAX_16 = 0xffff
const MAX_32 = 0xffffffff

const PLAIN = 20
const ZIP64 = 45
/** Bit 3: the checksum and the sizes follow the bytes. Bit 11: names are UTF-8. */
const FLAGS = (1 << 3) | (1 << 11)
const DEFLATED = 8
const MADE_BY_UNIX = (3 << 8) | ZIP64
/** The upper half is the Unix mode: a regular file, readable and writable by its owner. */
const ATTRIBUTES = 0o100600 * 2 ** 16

/** The zip file in batches of about 1 MiB. The next entry is read when the entries before it are consumed. */
export async function* zipOf(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Buffer[]> {
  const directory = keptBytes()
  let count = 0
  let offset = 0
  let ready: Buffer[] = []
  let readyBytes = 0

  for await (const { path, modifiedAt, sizeBytes, batches } of entries) {
    const entry: Written = { path: Buffer.from(path), modifiedAt, sizeBytes, offset, checksum: 0 }
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

/** RFC 1951, sections 3.2.3 and 3.2.4. */
function blockHeader(lengthBytes: number, last: boolean): Buffer {
  return Buffer.concat([Buffer.of(last ? 1 : 0), u16(lengthBytes), u16(~lengthBytes & MAX_16)])
}

/** The header of every block except the last one of an entry. */
const FULL_BLOCK = blockHeader(BLOCK_BYTES, false)

/** An entry's size in the zip. */
function packedBytes(sizeBytes: number): number {
  return sizeBytes + BLOCK_HEADER_BYTES * Math.max(1, Math.ceil(sizeBytes / BLOCK_BYTES))
}

/** Section 4.3.7. */
function localHeader({ path, modifiedAt, sizeBytes }: Written): Buffer {
  const large = isLarge(sizeBytes)
  // The sizes follow the bytes. The header only says whether each size has eight bytes.
  const extra = [modified(modifiedAt), ...(large ? [field(0x0001, u64(0), u64(0))] : [])]
  const size = u32(large ? MAX_32 : 0)
  return record(0x04034b50, [
    u16(large ? ZIP64 : PLAIN),
    u16(FLAGS),
    u16(DEFLATED),
    dosTime(modifiedAt),
    u32(0),
    size,
    size,
    u16(path.length),
    u16(lengthOf(extra)),
    path,
    ...extra,
  ])
}

/** Section 4.3.9. */
function descriptor({ sizeBytes, checksum }: Written): Buffer {
  const size = isLarge(sizeBytes) ? u64 : u32
  return record(0x08074b50, [u32(checksum), size(packedBytes(sizeBytes)), size(sizeBytes)])
}

/** Whether sizes have eight bytes. Readers that never seek, such as Java's, use the same rule. */
function isLarge(sizeBytes: number): boolean {
  return packedBytes(sizeBytes) > MAX_32
}

/** Section 4.3.12. The ZIP64 part (section 4.5.3) has only the numbers that do not fit. */
function directoryRecord({ path, modifiedAt, sizeBytes, offset, checksum }: Written): Buffer {
  const packed = packedBytes(sizeBytes)
  // MAX_32 itself is no valid size: it means that the ZIP64 part has the size.
  const wide = packed >= MAX_32
  const large = wide ? [u64(sizeBytes), u64(packed)] : []
  const far = offset >= MAX_32 ? [u64(offset)] : []
  const beyond = [...large, ...far]
  const extra = [modified(modifiedAt), ...(beyond.length > 0 ? [field(0x0001, ...beyond)] : [])]
  return record(0x02014b50, [
    u16(MADE_BY_UNIX),
    u16(beyond.length > 0 ? ZIP64 : PLAIN),
    u16(FLAGS),
    u16(DEFLATED),
    dosTime(modifiedAt),
    u32(checksum),
    u32(wide ? MAX_32 : packed),
    u32(wide ? MAX_32 : sizeBytes),
    u16(path.length),
    u16(lengthOf(extra)),
    u16(0),
    u16(0),
    u16(0),
    u32(ATTRIBUTES),
    u32(Math.min(offset, MAX_32)),
    path,
    ...extra,
  ])
}

/** Section 4.3.16, after sections 4.3.14 and 4.3.15 if a number does not fit. */
function endOf(count: number, start: number, sizeBytes: number): Buffer {
  const plain = record(0x06054b50, [
    u16(0),
    u16(0),
    u16(Math.min(count, MAX_16)),
    u16(Math.min(count, MAX_16)),
    u32(Math.min(sizeBytes, MAX_32)),
    u32(Math.min(start, MAX_32)),
    u16(0),
  ])
  if (count < MAX_16 && sizeBytes < MAX_32 && start < MAX_32) return plain
  const numbers = [u64(count), u64(count), u64(sizeBytes), u64(start)]
  // The length counts only what follows the length field.
  const versions = [u16(MADE_BY_UNIX), u16(ZIP64), u32(0), u32(0)]
  const end = record(0x06064b50, [u64(lengthOf([...versions, ...numbers])), ...versions, ...numbers])
  const locator = record(0x07064b50, [u32(0), u64(start + sizeBytes), u32(1)])
  return Buffer.concat([end, locator, plain])
}

/** The time in units of two seconds. The format has no time zone; UTC is used. Newer readers use `modified` instead. */
function dosTime(ms: number): Buffer {
  const at = new Date(Math.max(ms, Date.UTC(1980, 0)))
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
  const date = (Math.min(at.getUTCFullYear() - 1980, 127) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
  return Buffer.concat([u16(time), u16(date)])
}

/** Info-ZIP's extended timestamp: the time of the last change in seconds since the Unix epoch. */
function modified(ms: number): Buffer {
  return field(0x5455, Buffer.of(1), u32(Math.max(0, Math.min(Math.floor(ms / 1000), 0x7fffffff))))
}

/** An extra field, section 4.5.1. */
function field(id: number, ...parts: Buffer[]): Buffer {
  return Buffer.concat([u16(id), u16(lengthOf(parts)), ...parts])
}

function record(signature: number, parts: Buffer[]): Buffer {
  return Buffer.concat([u32(signature), ...parts])
}

const lengthOf = (parts: Buffer[]) => parts.reduce((sum, { length }) => sum + length, 0)

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
