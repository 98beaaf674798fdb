/** Bytes that are kept until the end of a response. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** Bytes that are deflated together. */
const BLOCK_BYTES = 64 * 1024

export interface KeptBytes {
  add(bytes: Buffer): void
  sizeBytes(): number
  /** All of them in their order. */
  batches(): Generator<Buffer[]>
}

/** Keeps many small pieces. Deflated in blocks, they take a fraction of the memory that a buffer for each would take. */
export function keptBytes(): KeptBytes {
  const blocks: Buffer[] = []
  let pieces: Buffer[] = []
  let pieceBytes = 0
  let sizeBytes = 0
  return {
    add(bytes) {
      pieces.push(bytes)
      pieceBytes += bytes.length
      sizeBytes += bytes.length
      if (pieceBytes < BLOCK_BYTES) return
      blocks.push(deflateRawSync(Buffer.concat(pieces)))
      pieces = []
      pieceBytes = 0
    },
    sizeBytes: () => sizeBytes,
    *batches() {
      for (const block of blocks) yield [inflateRawSync(block)]
      if (pieces.length > 0) yield [Buffer.concat(pieces)]
    },
  }
}
