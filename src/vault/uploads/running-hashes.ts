/** The SHA-256 of uploads of which this process has received all bytes so far, in order. */
import { createHash, type Hash } from 'node:crypto'
import type { Upload } from '../../ports/uploads.ts'

/** Hashes that are kept. The bytes of an upload without one are read again when it is complete. */
const MOST = 1000

export interface RunningHashes {
  /** The hash of all bytes that are stored, to go on with; `null` if this process has not seen all of them. */
  of(upload: Pick<Upload, 'id' | 'offset'>): Hash | null
  /** Replaces the hash of the upload: it is at `offset` now. `null`: the hash is not known any more. */
  keep(id: string, offset: number, hash: Hash | null): void
  forget(id: string): void
}

export function openRunningHashes(): RunningHashes {
  const hashes = new Map<string, { offset: number; hash: Hash }>()
  return {
    of({ id, offset }) {
      const known = hashes.get(id)
      if (known?.offset === offset) return known.hash.copy()
      return offset === 0 ? createHash('sha256') : null
    },

    keep(id, offset, hash) {
      // The last used hash is at the end.
      hashes.delete(id)
      if (hash) hashes.set(id, { offset, hash })
      const [oldest] = hashes.keys()
      if (hashes.size > MOST && oldest !== undefined) hashes.delete(oldest)
    },

    forget: (id) => void hashes.delete(id),
  }
}
