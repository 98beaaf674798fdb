/**
 * Long content that no test keeps or hashes: blocks of 1 MiB, all from one pattern, each with its number in its first four
 * bytes. A SHA-256 of 1 GiB takes seconds; a comparison of the same bytes takes a tenth of that.
 */
import { createCipheriv } from 'node:crypto'

export const MiB = 1024 * 1024
const TAIL = Buffer.from('the end of it')
/** AES-128 in counter mode, of zeros under a key of zeros. */
const PATTERN = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(MiB))

export interface Film {
  sizeBytes: number
  /** What `sha256sum` makes of it. */
  sha256: string
  /** Its blocks, each a buffer of its own. */
  blocks(): Generator<Buffer>
  /** Its bytes from `start` to `end`, both included. At most 1 MiB. */
  slice(start: number, end: number): Buffer
  /** Reads to the end of the stream. Throws if it has other bytes, fewer or more. */
  compare(stream: AsyncIterable<Buffer>): Promise<void>
}

export const ONE_GIB = filmOf(1024, '', '79a9de80f9b9c3e633ab38e39b09da6112b919f12cc08bbb95520d6f57a89efd')
export const FIVE_GIB = filmOf(5 * 1024, TAIL, '265361d7f915b33f83931cc45e05470bea6b69367ad52da120861351a965d2e4')

function filmOf(count: number, end: Buffer | '', sha256: string): Film {
  const tail = Buffer.from(end)
  const sizeBytes = count * MiB + tail.length
  const block = (n: number) => (n < count ? numbered(n) : tail)
  return {
    sizeBytes,
    sha256,
    *blocks() {
      for (let n = 0; n < count; n += 1) yield block(n)
      if (tail.length > 0) yield tail
    },
    slice(start, end) {
      const first = Math.floor(start / MiB)
      return Buffer.concat([block(first), block(first + 1)]).subarray(start % MiB, end + 1 - first * MiB)
    },
    async compare(stream) {
      let at = 0
      let n = 0
      let expected = block(n)
      for await (const bytes of stream) {
        for (let from = 0; from < bytes.length; ) {
          if (at >= sizeBytes) throw new Error(`there is more than ${sizeBytes} bytes`)
          const part = bytes.subarray(from, from + expected.length)
          if (!part.equals(expected.subarray(0, part.length))) throw new Error(`other bytes behind byte ${at}`)
          from += part.length
          at += part.length
          expected = expected.subarray(part.length)
          if (expected.length > 0) continue
          n += 1
          expected = block(n)
        }
      }
      if (at !== sizeBytes) throw new Error(`it ended after ${at} of ${sizeBytes} bytes`)
    },
  }
}

function numbered(n: number): Buffer {
  const bytes = Buffer.from(PATTERN)
  bytes.writeUInt32BE(n, 0)
  return bytes
}
