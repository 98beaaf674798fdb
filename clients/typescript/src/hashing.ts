/** The SHA-256 of what is uploaded and downloaded. */
import { throwIfAborted } from './backoff.ts'
import { hexOf } from './encoding.ts'
import type { Hash } from './sha256.ts'
import type { Readable } from './sources.ts'

export interface Hashing {
  createHash: () => Hash
  /** A faster way for bytes that are all in memory, where there is one. */
  digest?: ((bytes: Uint8Array) => Promise<Uint8Array>) | undefined
}

const PIECE_BYTES = 1024 * 1024

/** The digest of a source in hex. It is read in pieces of 1 MiB. */
export async function digestOf(
  source: Readable,
  { createHash, digest }: Hashing,
  { onProgress, signal }: { onProgress?: ((bytes: number) => void) | undefined; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  if (digest && source.isInMemory) return hexOf(await digest(await source.bytes(0, source.size)))
  const hash = createHash()
  for (let from = 0; from < source.size; from += PIECE_BYTES) {
    throwIfAborted(signal)
    const to = Math.min(source.size, from + PIECE_BYTES)
    hash.update(await source.bytes(from, to))
    onProgress?.(to)
  }
  return hexOf(hash.digest())
}
