/** Downloads: verified, and continued after a break. */
import { mayHaveArrived, sleep, throwIfAborted, waitMs, wasRefusedForNow } from './backoff.ts'
import { hexOf, sha256In } from './encoding.ts'
import { VaultError } from './errors.ts'
import type { Hash } from './sha256.ts'
import { chunksOf, streamOf } from './streams.ts'
import { expected, pathOfFile, type Transport, timeLimit } from './transport.ts'

export interface DownloadOptions {
  /** The bytes from `from` to before `to`, or to the end: one byte at least. A part is not verified by digest. */
  range?: { from: number; to?: number }
  /** Called after each chunk. */
  onProgress?: (progress: { received: number; size: number }) => void
  signal?: AbortSignal
}

export interface Download extends AsyncIterable<Uint8Array> {
  /** How many bytes come. */
  size: number
  contentType: string
  etag: string
  /** The digest of the whole file in hex. */
  sha256: string | null
  /** The bytes can be read once, in one of these ways. Each fails at its end if a whole file has not its digest. */
  readonly stream: ReadableStream<Uint8Array>
  bytes(): Promise<Uint8Array>
  blob(): Promise<Blob>
}

interface Span {
  from: number
  /** Before this byte. */
  to: number
}

export function openDownload(transport: Transport, createHash: () => Hash) {
  return async function download(name: string, options: DownloadOptions = {}): Promise<Download> {
    const { range, onProgress, signal } = options
    const first = await request(name, range, {}, signal)
    const { headers, status } = first.response
    const span = spanOf(first.response)
    const size = span === null ? null : span.to - span.from
    const etag = headers.get('etag') ?? ''
    const sha256 = sha256In(headers.get('repr-digest'))
    const contentType = headers.get('content-type') ?? 'application/octet-stream'
    const isWhole = status === 200

    return {
      ...{ size: size ?? 0, contentType, etag, sha256 },
      [Symbol.asyncIterator]: chunks,
      get stream() {
        return streamOf(chunks())
      },
      bytes: async () => joined(await collected(chunks())),
      blob: async () => new Blob((await collected(chunks())) as BlobPart[], { type: contentType }),
    }

    async function* chunks(): AsyncGenerator<Uint8Array> {
      const hash = isWhole && sha256 !== null ? createHash() : null
      let received = 0
      let current: Awaited<ReturnType<typeof request>> | null = first
      for (let breaks = 0; current !== null; ) {
        try {
          for await (const chunk of current.chunks()) {
            hash?.update(chunk)
            received += chunk.length
            breaks = 0
            onProgress?.({ received, size: size ?? received })
            yield chunk
          }
          if (size !== null && received < size) throw new VaultError('network-error', 'The download broke off.')
          current = null
        } catch (error) {
          throwIfAborted(signal)
          const mayGoOn = span !== null && error instanceof VaultError && canGoOn(error)
          const ms = mayGoOn && breaks < transport.retry.attempts ? waitMs(breaks, error, transport.retry) : null
          if (ms === null || span === null) throw error
          breaks += 1
          await sleep(ms, signal)
          const rest = { from: span.from + received, to: span.to }
          // `If-Match`: the other bytes must be of the same version.
          current = rest.from < rest.to ? await request(name, rest, { 'if-match': etag }, signal) : null
        }
      }
      if (hash !== null && hexOf(hash.digest()) !== sha256) {
        throw new VaultError('damaged-download', `The bytes of the download do not have the digest ${sha256}.`)
      }
    }
  }

  async function request(
    name: string,
    range: DownloadOptions['range'],
    conditions: Record<string, string>,
    signal: AbortSignal | undefined,
  ) {
    const headers = { ...conditions, range: rangeField(range) }
    // Covers the body, too: it is aborted if no chunk comes for this long.
    const limit = timeLimit(transport.timeoutMs, signal)
    try {
      const call = { path: pathOfFile(name), headers, signal: limit.signal, isStream: true }
      const response = await transport.send(call, (response) => response)
      expected(response.headers.get('repr-digest') !== null)
      if (range) expected(response.status === 206 && isPartOf(range, spanOf(response)))
      return { response, chunks: () => chunksOf(response, limit) }
    } catch (error) {
      // Nobody reads the body.
      limit.abort()
      limit.clear()
      throw error
    }
  }
}

const canGoOn = (error: VaultError) => mayHaveArrived(error) || wasRefusedForNow(error)

/** A proxy may send the whole file, or another part. The file may end before the range does. */
const isPartOf = ({ from, to = Number.POSITIVE_INFINITY }: { from: number; to?: number }, span: Span | null) =>
  span !== null && span.from === from && span.to <= to

/** To a server, an invalid `Range` is none, and it would send the whole file (RFC 9110, section 14.2). */
function rangeField(range: DownloadOptions['range']): string | undefined {
  if (!range) return undefined
  const { from, to = from + 1 } = range
  const isValid = Number.isSafeInteger(from) && Number.isSafeInteger(to) && from >= 0 && to > from
  if (!isValid) throw new VaultError('invalid-request', 'The range is not one of whole bytes, or it is empty.')
  return `bytes=${from}-${range.to === undefined ? '' : to - 1}`
}

function spanOf({ headers, status }: Response): Span | null {
  if (status === 206) {
    const [, from, last] = /^bytes (\d+)-(\d+)\//.exec(headers.get('content-range') ?? '') ?? []
    return last === undefined ? null : { from: Number(from), to: Number(last) + 1 }
  }
  const length = headers.get('content-length')
  return length === null ? null : { from: 0, to: Number(length) }
}

async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
}

function joined(chunks: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
