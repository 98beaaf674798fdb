/** Batches as parts for an upload to S3. */

/** Each part but the last has at least 5 MiB; and as there are 10,000 at most, this many carry a blob of 78 GiB. */
export const PART_BYTES = 8 * 1024 * 1024

export type PartMemory = ReturnType<typeof partMemory>

/** Memory for parts that is used again: a part in new memory costs twice as much to gather. At most so many are kept. */
export function partMemory(kept: number) {
  const spare: Buffer[] = []
  return {
    take: (): Buffer => spare.pop() ?? Buffer.allocUnsafeSlow(PART_BYTES),

    /** Only for what nobody reads any more. Bytes of other memory are none of its business. */
    give({ buffer }: Buffer): void {
      if (buffer.byteLength === PART_BYTES && spare.length < kept) spare.push(Buffer.from(buffer))
    },
  }
}

/**
 * Parts of `PART_BYTES`, and then the last one, which may be shorter or empty. The bytes are copied as they come: what a
 * socket read them into is free at once, and a part that is sent again has them in one piece.
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

  /** Most blobs are one batch: only longer ones take the memory of a whole part. */
  function makeRoom(bytes: number): void {
    if (filled + bytes <= part.length || part.length === PART_BYTES) return
    const larger = filled === 0 && bytes < PART_BYTES ? Buffer.allocUnsafeSlow(bytes) : memory.take()
    larger.set(part.subarray(0, filled))
    part = larger
  }
}
