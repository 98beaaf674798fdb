import type { Readable } from 'node:stream'
import type { BlobReader } from '../../ports/blobs.ts'
import { StoreFault } from './faults.ts'

/** How long bytes may fail to come. Only who waits for them counts: a slow client may pause for as long as it likes. */
const STALL_MS = 5000
/** The same at the beginning, where the head of the answer was just there: a client waits for its own, two seconds at most. */
const FIRST_STALL_MS = 700

/**
 * Reads the bytes that `fetch` answers, into one buffer again and again. A store closes connections on which a slow
 * client lets nothing move, so where one breaks the rest is fetched once more; without a byte in between it is a fault.
 */
export function objectReader(
  first: Readable,
  start: number,
  end: number,
  fetch: (start: number) => Promise<Readable>,
): BlobReader {
  let source = first
  let at = start
  let brokeAt = -1
  let hasBegun = false
  let buffer = Buffer.alloc(0)
  // A connection may break while nobody reads; the next read finds out.
  source.on('error', () => {})

  return {
    async read(count) {
      const wanted = Math.min(count, end - at)
      if (buffer.length < wanted) buffer = Buffer.allocUnsafeSlow(wanted)
      for (let filled = 0; filled < wanted; ) {
        const chunk = await next(wanted - filled)
        chunk.copy(buffer, filled)
        filled += chunk.length
        at += chunk.length
      }
      hasBegun = true
      return buffer.subarray(0, wanted)
    },

    async close() {
      // Read to its end, a connection serves the next request; any other is of no use to anybody.
      if (at === end) source.resume()
      else source.destroy()
    },
  }

  async function next(most: number): Promise<Buffer> {
    for (;;) {
      const chunk = source.read(Math.min(most, source.readableLength || 1)) as Buffer | null
      if (chunk) return chunk
      if (source.readableEnded) throw new Error(`a blob ends at ${at}, before ${end}`)
      const broken = await arrival(source, hasBegun ? STALL_MS : FIRST_STALL_MS)
      if (!broken) continue
      if (brokeAt === at || (broken instanceof Stall && !hasBegun)) throw new StoreFault('reading', broken)
      brokeAt = at
      source.destroy()
      source = await fetch(at)
      source.on('error', () => {})
    }
  }
}

class Stall extends Error {}

/** Resolves once there is something to read, or the end, with `null`; with what broke the connection otherwise. */
function arrival(source: Readable, stallMs: number): Promise<Error | null> {
  return new Promise((resolve) => {
    const ready = () => done(null)
    const broken = (error?: Error) => done(error ?? source.errored ?? new Error('the connection broke'))
    const timer = setTimeout(() => broken(new Stall(`no bytes for ${stallMs} ms`)), stallMs)
    const done = (outcome: Error | null) => {
      clearTimeout(timer)
      source.off('readable', ready).off('end', ready).off('error', broken).off('close', broken)
      resolve(outcome)
    }
    if (source.destroyed) return broken()
    source.on('readable', ready).on('end', ready).on('error', broken).on('close', broken)
  })
}
