/** Measures how long a store is busy with a write. While the store waits for bytes of a client, it is not busy. */
import type { BlobStore } from '../ports/blobs.ts'

export interface WriteWatch {
  put: BlobStore['put']
  /** How long the store has been busy with the oldest running write, in milliseconds; 0 without one. */
  waitMs(): number
}

export function watchWrites({ put }: Pick<BlobStore, 'put'>, now: () => number): WriteWatch {
  /** The running writes that the store is busy with, and since when. */
  const busy = new Map<symbol, number>()
  return {
    async put(blob, batches) {
      const write = Symbol()
      busy.set(write, now())
      try {
        await put(blob, watched(write, batches))
      } finally {
        busy.delete(write)
      }
    },

    waitMs: () => (busy.size === 0 ? 0 : now() - Math.min(...busy.values())),
  }

  async function* watched(write: symbol, batches: AsyncIterable<Uint8Array[]>) {
    busy.delete(write)
    try {
      for await (const batch of batches) {
        busy.set(write, now())
        yield batch
        busy.delete(write)
      }
    } finally {
      busy.set(write, now())
    }
  }
}
