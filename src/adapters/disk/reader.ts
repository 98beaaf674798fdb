import type { FileHandle } from 'node:fs/promises'
import type { BlobReader } from '../../ports.ts'

/**
 * Owns the open file. It reads into one buffer again and again: new memory for every read costs several times what the
 * reading does, here and, by what it does to the allocator, in every upload after it.
 */
export function blobReader(file: FileHandle, start: number, end: number): BlobReader {
  let at = start
  let buffer = Buffer.alloc(0)

  return {
    async read(count) {
      const wanted = Math.min(count, end - at)
      if (buffer.length < wanted) buffer = Buffer.allocUnsafeSlow(wanted)
      for (let filled = 0; filled < wanted; ) {
        const { bytesRead } = await file.read(buffer, filled, wanted - filled, at)
        if (bytesRead === 0) throw new Error(`a blob ends at ${at}, before ${end}`)
        filled += bytesRead
        at += bytesRead
      }
      return buffer.subarray(0, wanted)
    },

    close: () => file.close(),
  }
}
