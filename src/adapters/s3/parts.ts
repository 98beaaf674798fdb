/** Splits batches into the parts of an upload to S3. */

/** S3 requires at least 5 MiB for each part except the last, and allows 10,000 parts. So a blob may have 78 GiB. */
export const PART_BYTES = 8 * 1024 * 1024

export type PartMemory = ReturnType<typeof partMemory>

/** Reuses the memory of parts: filling a part in new memory costs twice as much. Keeps at most `kept` free parts. */
export function partMemory(kept: number) {
  const spare: Buffer[] = []
  return {
    take: (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES),

    /** Releases a part that is not read any more. Buffers that are not of this memory are ignored. */
    release({ buffer }: Buffer): void {
      if (buffer.byteLength === PART_BYTES && spare.length < kept) spare.push(Buffer.from(buffer))
    },
  }
}

/**
 * Yields parts of `PART_BYTES`, and then the last one, which may be shorter or empty. The bytes are copied: this frees the
 * buffers of the socket at once, and a part that is sent again is one contiguous buffer.
 */
export async function* inParts(batches: AsyncIterable<Uint8Array[]>, memory: PartMemory) {
  let part: Buffer = Buffer.alloc(0)
  let filled = 0
  for await (const batch of batches) {
    makeRoom(batch.reduce((sum, { length }) => sum + length, 0))
    for (let chunk of batch) {
      while (filled + chunk.length > PART_BYTES) {
        part.set(chunk.subarray(0, PART_BYTES - filled), filled)
        chunk = chunk.subarray(PART_BYTES - filled)
        yield { bytes: part, last: false }
        part = memory.take()
        filled = 0
      }
      part.set(chunk, filled)
      filled += chunk.length
    }
  }
  yield { bytes: part.subarray(0, filled), last: true }

  /** Most blobs are one batch. Only longer blobs use the memory of a whole part. */
  function makeRoom(bytes: number): void {
    if (filled + bytes <= part.length || part.length === PART_BYTES) return
    const larger = filled === 0 && bytes < PART_BYTES ? Buffer.allocUnsafeSlow(bytes) : memory.take()
    larger.set(part.subarray(0, filled))
    part = larger
  }
}
