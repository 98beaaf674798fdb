import type { FileHandle } from 'node:fs/promises'
import type { BlobReader } from '../../ports.ts'

/** Reads of about this size cost the least for each byte. */
const READ_BYTES = 1024 * 1024

/**
 * Owns the open file. It reads into two buffers in turn: new memory for every read costs several times what the
 * reading does, here and, by what it does to the allocator, in every upload after it.
 */
export function blobReader(file: FileHandle, start: number, end: number): BlobReader {
  let at = start
  let [free, handedOut] = [Buffer.alloc(0), Buffer.alloc(0)]

  return {
    async next() {
      const wanted = Math.min(READ_BYTES, end - at + 1)
      if (wanted <= 0) return null
      if (free.length < wanted) free = Buffer.allocUnsafeSlow(wanted)
      const { bytesRead } = await file.read(free, 0, wanted, at)
      if (bytesRead === 0) throw new Error(`a blob ends at ${at}, before ${end + 1}`)
      at += bytesRead
      ;[free, handedOut] = [handedOut, free]
      return handedOut.subarray(0, bytesRead)
    },

    close: () => file.close(),
  }
}
