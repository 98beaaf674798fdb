/** Bytes that are buffered until the end of a response. */
import { deflateRawSync, inflateRawSync } from 'node:zlib'

/** The size of a block that is deflated. */
const BLOCK_BYTES = 64 * 1024

export interface KeptBytes {
  add(bytes: Buffer): void
  sizeBytes(): number
  /** All of them in their order. */
  batches(): Generator<Buffer[]>
}

/**
 * Buffers many small pieces. They are deflated in blocks, which needs a fraction of the memory of single buffers. `keep` gets the size of
 * each block.
 */
export function keptBytes(keep: (bytes: number) => void): KeptBytes {
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
      const block = deflateRawSync(Buffer.concat(pieces))
      blocks.push(block)
      keep(block.length)
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
