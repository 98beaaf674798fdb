/** The SHA-256 of uploads of which this process has received all bytes so far, in order. */
import { createHash, type Hash } from 'node:crypto'
import type { Upload } from '../../ports/uploads.ts'

/** The maximum of hashes. The bytes of an upload without one are read again when it is complete. */
const MOST = 1000

export interface RunningHashes {
  /** The hash of all bytes that are stored, to go on with; `null` if this process has not seen all of them. */
  of(owner: string, upload: Pick<Upload, 'id' | 'offset'>): Hash | null
  /** Replaces the hash of the upload: it is at `offset` now. `null`: the hash is not known any more. */
  keep(owner: string, id: string, offset: number, hash: Hash | null): void
  forget(owner: string, id: string): void
}

/** A full cache evicts the least recently used hash of the owner with the most hashes. So the uploads of others keep theirs. */
export function openRunningHashes(most = MOST): RunningHashes {
  const hashes = new Map<string, Map<string, { offset: number; hash: Hash }>>()
  let count = 0

  return {
    of(owner, { id, offset }) {
      const known = hashes.get(owner)?.get(id)
      if (known?.offset === offset) return known.hash.copy()
      return offset === 0 ? createHash('sha256') : null
    },

    keep(owner, id, offset, hash) {
      forget(owner, id)
      if (!hash) return
      const own = hashes.get(owner) ?? new Map()
      // The last used hash is at the end.
      hashes.set(owner, own.set(id, { offset, hash }))
      count += 1
      if (count > most) forgetOne()
    },

    forget,
  }

  function forget(owner: string, id: string): void {
    const own = hashes.get(owner)
    if (!own?.delete(id)) return
    count -= 1
    if (own.size === 0) hashes.delete(owner)
  }

  function forgetOne(): void {
    let [owner, size] = ['', 0]
    for (const [other, own] of hashes) if (own.size > size) [owner, size] = [other, own.size]
    const [oldest] = hashes.get(owner)?.keys() ?? []
    if (oldest !== undefined) forget(owner, oldest)
  }
}
