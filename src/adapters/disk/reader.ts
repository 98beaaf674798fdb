import { close, closeSync, fstat, open, read } from 'node:fs'
import type { BlobReader } from '../../ports/blobs.ts'
import type { Clock } from '../../ports/ports.ts'

/** A blob up to this size is closed synchronously: closing it in another thread would add a tenth to the cost of a read. */
const SMALL_BYTES = 64 * 1024
/** A deleted blob stays on the disk while it is open. So slow clients could keep far more there than the quota of a user. */
const DELETED_MS = 10 * 60_000
const CHECK_MS = 60_000

/** A plain descriptor: with many small files, file handles cost a fifth of the read. */
export function openForReading(path: string): Promise<number> {
  return new Promise((resolve, reject) => open(path, 'r', (error, fd) => (error ? reject(error) : resolve(fd))))
}

/**
 * Owns the descriptor. Reuses one buffer: new memory for every read costs several times as much as the read itself. It also
 * slows down the allocator for every later upload. A read fails once the blob has been deleted for some minutes.
 */
export function blobReader(fd: number, start: number, end: number, clock: Clock): BlobReader {
  let at = start
  let checkedAt = clock()
  let deletedSince: number | null = null
  let buffer = Buffer.alloc(0)

  return {
    async read(count) {
      await checkDeleted()
      const wanted = Math.min(count, end - at)
      if (buffer.length < wanted) buffer = Buffer.allocUnsafeSlow(wanted)
      for (let filled = 0; filled < wanted; ) {
        const bytesRead = await readInto(fd, buffer, filled, wanted - filled, at)
        if (bytesRead === 0) throw new Error(`a blob ends at ${at}, before ${end}`)
        filled += bytesRead
        at += bytesRead
      }
      return buffer.subarray(0, wanted)
    },

    async close() {
      if (end <= SMALL_BYTES) closeSync(fd)
      // In another thread: the last close of a deleted large file waits for its deletion.
      else await new Promise<void>((resolve, reject) => close(fd, (error) => (error ? reject(error) : resolve())))
    },
  }

  async function checkDeleted(): Promise<void> {
    const now = clock()
    if (now - checkedAt < CHECK_MS) return
    checkedAt = now
    if ((await linksOf(fd)) > 0) return
    deletedSince ??= now
    if (now - deletedSince < DELETED_MS) return
    throw Object.assign(new Error('a blob was deleted while it was read'), { code: 'ESTALE' })
  }
}

function linksOf(fd: number): Promise<number> {
  return new Promise((resolve, reject) => fstat(fd, (error, found) => (error ? reject(error) : resolve(found.nlink))))
}

function readInto(fd: number, buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, length, position, (error, bytesRead) => (error ? reject(error) : resolve(bytesRead)))
  })
}
