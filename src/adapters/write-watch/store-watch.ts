/** Notices a store that answers reads and hangs on writes, so that uploads are refused instead of waiting for it. */
import type { BlobStore } from '../../ports/blobs.ts'
import { EVERY_MS, isFull, openProbe } from './probe.ts'

/** A store whose ability to write can be tried. */
export interface ProbedStore extends BlobStore {
  /** Throws if the store cannot be reached, or cannot be used at all. */
  check(): Promise<void>
  /** Writes a few bytes durably, and removes them. */
  probe(): Promise<void>
  close(): Promise<void>
}

export interface WatchedStore extends BlobStore {
  /** Throws within two seconds if the store cannot be used, or if writes hang. */
  check(): Promise<void>
  close(): Promise<void>
}

/**
 * An upload that finds a hanging store is refused within two seconds: the last probe is at most `EVERY_MS` old, another
 * takes `LIMIT_MS`, and `SCAN_MS` passes before it.
 */
const SCAN_MS = 100
/** Writes that take longer are a reason for a probe. */
const SLOW_MS = 200
/**
 * Many bytes of an upload may wait for a slow disk or a slow line, which takes longer than a probe may. So an upload that has sent
 * more than `SMALL_BYTES` has more time.
 */
const SMALL_BYTES = 8 * 1024 * 1024
const LARGE_SLOW_MS = 10_000

/** Work that waits for the store. `since`: when the wait began; `null` while the work waits for its client. */
interface Waiting {
  since: number | null
  bytes: number
  fail(error: Error): void
}

/**
 * Watches `put` and `delete`. Once writes hang, running ones fail and new ones are refused with the code `EUNREACHABLE`. Probes go
 * on, and the store is used again as soon as one succeeds. `restMs`: the minimum time between two probes of `check` while there are
 * no uploads.
 */
export function watchWrites(store: ProbedStore, restMs: number): WatchedStore {
  const { probe, refuse, stop } = openProbe(store.probe, (ms) =>
    hangs(`the store takes no writes: a few bytes were not stored within ${ms} ms`),
  )
  const waiting = new Set<Waiting>()
  let timer: NodeJS.Timeout | null = null

  return {
    ...store,

    async put(blob, batches) {
      refuse()
      const stop = new AbortController()
      await watched((work) => store.put(blob, timed(batches, work, stop.signal), stop.signal), stop)
    },

    async delete(blobs) {
      await watched(() => store.delete(blobs))
    },

    async check() {
      await store.check()
      await probe(restMs).catch((error) => {
        if (!isFull(error)) throw error
      })
    },

    async close() {
      stopScanning()
      stop()
      await store.close()
    },
  }

  async function watched(begin: (work: Waiting) => Promise<void>, stop?: AbortController): Promise<void> {
    let fail = (_error: Error) => {}
    const hung = new Promise<never>((_, reject) => {
      fail = reject
    })
    // Nothing awaits it after the race.
    hung.catch(() => {})
    const work: Waiting = {
      since: performance.now(),
      bytes: 0,
      fail(error) {
        stop?.abort(error)
        fail(error)
      },
    }
    waiting.add(work)
    timer ??= setInterval(scan, SCAN_MS).unref()
    try {
      await Promise.race([begin(work), hung])
    } finally {
      waiting.delete(work)
      if (waiting.size === 0) stopScanning()
    }
  }

  function stopScanning(): void {
    if (timer) clearInterval(timer)
    timer = null
  }

  function scan(): void {
    const now = performance.now()
    const slow = [...waiting].filter((work) => isSlow(work, now))
    if (slow.length === 0) return
    probe(EVERY_MS).catch((error) => {
      for (const work of slow) if (isSlow(work, performance.now())) work.fail(error)
    })
  }
}

function isSlow({ since, bytes }: Waiting, now: number): boolean {
  return since !== null && now - since > (bytes > SMALL_BYTES ? LARGE_SLOW_MS : SLOW_MS)
}

/** The same batches. While the client has to send the next one, the time does not count as the store's. */
async function* timed(batches: AsyncIterable<Uint8Array[]>, work: Waiting, signal: AbortSignal) {
  const source = batches[Symbol.asyncIterator]()
  const end = () => void source.return?.()
  // The store may never ask for a batch again, but the client must be released.
  signal.addEventListener('abort', end)
  try {
    for (;;) {
      signal.throwIfAborted()
      work.since = null
      const { value, done } = await source.next()
      work.since = performance.now()
      if (done) return
      for (const { length } of value) work.bytes += length
      yield value
    }
  } finally {
    signal.removeEventListener('abort', end)
    await source.return?.()
  }
}

function hangs(message: string): Error {
  return Object.assign(new Error(message), { code: 'EUNREACHABLE' })
}
