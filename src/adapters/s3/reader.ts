import type { Readable } from 'node:stream'
import type { BlobReader } from '../../ports/blobs.ts'
import { StoreError } from './errors.ts'

/** The timeout of a read without bytes. It runs only during a read: a slow client may pause for any time. */
const STALL_MS = 5000
/** The timeout of the first read. Shorter, because the response to the client must begin within two seconds. */
const FIRST_STALL_MS = 700

/**
 * Reads the bytes of `fetch` into one reused buffer. A store closes connections that are idle because of a slow client. So after
 * a broken connection the rest is fetched again. If it breaks again without a new byte, the read fails.
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
  // A connection may break between two reads. The next read notices it.
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
      // A connection whose response was read to the end can be reused. Any other is closed.
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
      if (brokeAt === at || (broken instanceof Stall && !hasBegun)) throw new StoreError('reading', broken)
      brokeAt = at
      source.destroy()
      source = await fetch(at)
      source.on('error', () => {})
    }
  }
}

class Stall extends Error {}

/** Resolves with `null` once there are bytes or the end. Resolves with the error if the connection breaks. */
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
