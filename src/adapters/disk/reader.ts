import { close, closeSync, open, read } from 'node:fs'
import type { BlobReader } from '../../ports/blobs.ts'

/** A blob up to this size is closed synchronously: closing it in another thread would add a tenth to the cost of a read. */
const SMALL_BYTES = 64 * 1024

/** A plain descriptor: with many small files, file handles cost a fifth of the read. */
export function openForReading(path: string): Promise<number> {
  return new Promise((resolve, reject) => open(path, 'r', (error, fd) => (error ? reject(error) : resolve(fd))))
}

/**
 * Owns the descriptor. Reuses one buffer: new memory for every read costs several times as much as the read itself. It also
 * slows down the allocator for every later upload.
 */
export function blobReader(fd: number, start: number, end: number): BlobReader {
  let at = start
  let buffer = Buffer.alloc(0)

  return {
    async read(count) {
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
}

function readInto(fd: number, buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, buffer, offset, length, position, (error, bytesRead) => (error ? reject(error) : resolve(bytesRead)))
  })
}
