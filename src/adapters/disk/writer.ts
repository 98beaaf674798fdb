import type { FileHandle } from 'node:fs/promises'

/** Writes one batch while the next one is gathered. Settles once no write is under way any more. */
export async function writeAll(file: FileHandle, batches: AsyncIterable<Uint8Array[]>): Promise<void> {
  let writing: Promise<void> = Promise.resolve()
  try {
    for await (const batch of batches) {
      await writing
      writing = writeBatch(file, batch)
      // Awaited with the next batch: until then its failure is nobody's unhandled rejection.
      writing.catch(() => {})
    }
  } finally {
    await writing
  }
}

async function writeBatch(file: FileHandle, batch: Uint8Array[]): Promise<void> {
  let rest = batch
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest)
    rest = dropBytes(rest, bytesWritten)
  }
}

/** A write may take less than it was given, as on a disk that is nearly full. */
function dropBytes(chunks: Uint8Array[], count: number): Uint8Array[] {
  let dropped = 0
  for (const [index, chunk] of chunks.entries()) {
    if (dropped + chunk.length > count) return [chunk.subarray(count - dropped), ...chunks.slice(index + 1)]
    dropped += chunk.length
  }
  return []
}
