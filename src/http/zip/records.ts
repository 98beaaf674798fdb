/** The records of a zip file, as PKWARE's APPNOTE 6.3.10 defines them. Section numbers are those of the APPNOTE. */
import type { ZipEntry } from './zip.ts'

/** An entry that was written, as the directory needs it. */
export interface Written extends Pick<ZipEntry, 'modifiedAt' | 'zoneMinutes' | 'sizeBytes'> {
  path: Buffer
  offset: number
  checksum: number
}

/** The maximum content of one deflate block. */
export const BLOCK_BYTES = 0xffff
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

/** RFC 1951, sections 3.2.3 and 3.2.4. */
export function blockHeader(lengthBytes: number, last: boolean): Buffer {
  return Buffer.concat([Buffer.of(last ? 1 : 0), u16(lengthBytes), u16(~lengthBytes & MAX_16)])
}

/** The header of every block except the last one of an entry. */
export const FULL_BLOCK = blockHeader(BLOCK_BYTES, false)

/** An entry's size in the zip. */
function packedBytes(sizeBytes: number): number {
  return sizeBytes + BLOCK_HEADER_BYTES * Math.max(1, Math.ceil(sizeBytes / BLOCK_BYTES))
}

/** Section 4.3.7. */
export function localHeader({ path, modifiedAt, zoneMinutes, sizeBytes }: Written): Buffer {
  const large = isLarge(sizeBytes)
  // The sizes follow the bytes. The header only says whether each size has eight bytes.
  const extra = [modified(modifiedAt), ...(large ? [field(0x0001, u64(0), u64(0))] : [])]
  const size = u32(large ? MAX_32 : 0)
  return record(0x04034b50, [
    u16(large ? ZIP64 : PLAIN),
    u16(FLAGS),
    u16(DEFLATED),
    dosTime(modifiedAt, zoneMinutes),
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
export function descriptor({ sizeBytes, checksum }: Written): Buffer {
  const size = isLarge(sizeBytes) ? u64 : u32
  return record(0x08074b50, [u32(checksum), size(packedBytes(sizeBytes)), size(sizeBytes)])
}

/** Whether sizes have eight bytes. Readers that never seek, such as Java's, use the same rule. */
function isLarge(sizeBytes: number): boolean {
  return packedBytes(sizeBytes) > MAX_32
}

/** Section 4.3.12. The ZIP64 part (section 4.5.3) has only the numbers that do not fit. */
export function directoryRecord({ path, modifiedAt, zoneMinutes, sizeBytes, offset, checksum }: Written): Buffer {
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
    dosTime(modifiedAt, zoneMinutes),
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
export function endOf(count: number, start: number, sizeBytes: number): Buffer {
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

/** The time of the zone in units of two seconds. The format has no time zone. Newer readers use `modified` instead. */
function dosTime(ms: number, zoneMinutes: number): Buffer {
  const at = new Date(Math.max(ms + zoneMinutes * 60_000, Date.UTC(1980, 0)))
  const time = (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1)
  const date = (Math.min(at.getUTCFullYear() - 1980, 127) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate()
  return Buffer.concat([u16(time), u16(date)])
}

const NTFS_EPOCH_MS = Date.UTC(1601, 0)

/**
 * The time of the last change. From 1970 to 2038 it is Info-ZIP's extended timestamp, in seconds since the Unix epoch. Its numbers
 * may be negative, but 7-Zip and libarchive read those as times after 2038. So all other times are NTFS timestamps, in units of
 * 100 ns since 1601 (section 4.5.5): readers that do not know these show the nearest year of the format.
 */
function modified(ms: number): Buffer {
  const seconds = Math.floor(ms / 1000)
  if (seconds >= 0 && seconds <= 0x7fffffff) return field(0x5455, Buffer.of(1), u32(seconds))
  if (ms < NTFS_EPOCH_MS) return Buffer.alloc(0)
  // Of the last change, the last access and the creation. Readers take a 0 for 1601.
  const time = u64(BigInt(ms - NTFS_EPOCH_MS) * 10_000n)
  return field(0x000a, u32(0), u16(1), u16(24), time, time, time)
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

function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}
