/**
 * Reads a content from its sealed parts. It returns only bytes of frames that opened, and of those only the requested
 * ones.
 */
import type { BlobStore } from '../../ports/blobs.ts'
import type { FileRepository, Part, SealedFile } from '../../ports/files.ts'
import { Damage, missingBlob } from '../files/damage.ts'
import {
  blobBytes,
  FRAME_BYTES,
  type FrameOpener,
  frameAt,
  frameOpener,
  HEADER_BYTES,
  ONE_PART,
  openPartKey,
  SEALED_FRAME_BYTES,
  type Secrets,
} from './envelope.ts'

/** Frames in one read. Twice as many are no cheaper, and are more expensive if many contents are read at once. */
const BATCH_FRAMES = 8
/** Parts in one query. */
const PAGE = 100
/** Bytes of small parts that are opened ahead. Of larger parts, one is. */
const AHEAD_BYTES = 4 * 1024 * 1024

export interface Range {
  start: number
  /** Inclusive, as in RFC 9110, section 14.1.2. */
  end: number
}

export interface ContentReader {
  /**
   * The next bytes, about half a MiB at most, in memory of their own; `null` after the last. Throws `Damage` if they
   * are not the bytes that were sealed.
   */
  next(): Promise<Buffer[] | null>
  /** Releases the blobs. Call it once, however the reading ended. */
  close(): Promise<void>
}

export interface ContentPorts {
  files: Pick<FileRepository, 'parts'>
  blobs: Pick<BlobStore, 'open' | 'opensAhead'>
  /** Awaited before each blob is opened. */
  opening?: () => Promise<void>
}

type Sealed = Pick<SealedFile, 'id' | 'version'>

/** The range of a whole content that is not empty. */
export const wholeOf = (sizeBytes: number): Range => ({ start: 0, end: sizeBytes - 1 })

/**
 * Opens a range of a content that is not empty. `null` if its first part or blob is not there: the version may have been
 * removed since its row was read. With `firstPart`, a version of one part needs no query.
 */
export async function openContent(
  ports: ContentPorts,
  file: Sealed,
  secrets: Secrets,
  range: Range,
  firstPart: Part | null = null,
): Promise<ContentReader | null> {
  const known = secrets.parts === ONE_PART && firstPart ? [firstPart] : null
  const parts = partsFrom(ports, file, secrets, range.start, known)
  let unopened = range.start
  const first = await openNext()
  if (!first || unopened > range.end) return first
  let current = first
  // A part is opened while others are read, because a store may take long to answer.
  const following: Promise<ContentReader | null>[] = []
  const smallParts = Math.floor((AHEAD_BYTES * secrets.parts) / secrets.sizeBytes)
  for (let n = 0; n < Math.min(Math.max(1, smallParts), ports.blobs.opensAhead); n += 1) openAhead()

  return {
    async next() {
      for (;;) {
        const chunks = await current.next()
        if (chunks) return chunks
        const next = await following.shift()
        if (!next && unopened <= range.end) throw new Damage(file.id, `its parts end at byte ${unopened}`)
        if (!next) return null
        await current.close()
        current = next
        openAhead()
      }
    },

    async close() {
      await current.close()
      for (const opening of following) await (await opening.catch(() => null))?.close()
    },
  }

  /** The reader of the next part; `null` if the part is not there or behind the range, or if the blob of the first is not there. */
  async function openNext(): Promise<ContentReader | null> {
    const { value: part } = await parts.next()
    if (!part || part.start > range.end) return null
    const start = unopened - part.start
    const end = Math.min(range.end - part.start, part.sizeBytes - 1)
    unopened = part.start + end + 1
    await ports.opening?.()
    const reader = await openPart(ports.blobs, file, part, keyOf(file, secrets, part), { start, end })
    if (!reader && part.start > range.start) throw missingBlob(file, part)
    return reader
  }

  function openAhead(): void {
    if (unopened > range.end) return
    const opening = openNext()
    // The error is thrown when the part is needed.
    opening.catch(() => {})
    following.push(opening)
  }
}

/** The parts of a version, from the one with the byte at `from`. Throws `Damage` at a gap. */
export async function* partsFrom(
  { files }: Pick<ContentPorts, 'files'>,
  { id, version }: Sealed,
  { sizeBytes }: Pick<Secrets, 'sizeBytes'>,
  from: number,
  known: Part[] | null = null,
): AsyncGenerator<Part, undefined> {
  let at = from
  for (let first = true; first || at < sizeBytes; first = false) {
    const page = known ?? (await files.parts(version, at, PAGE))
    if (page.length === 0 && first) return
    for (const part of page) {
      const end = part.start + part.sizeBytes
      const follows = part.start <= at && (at === from || part.start === at) && (at < end || sizeBytes === 0)
      if (!follows) throw new Damage(id, `its parts have a gap at byte ${at}`)
      at = end
      yield part
    }
    if (page.length === 0) throw new Damage(id, `its parts end at byte ${at}`)
  }
}

function keyOf(file: Sealed, secrets: Secrets, part: Part): Buffer {
  try {
    return openPartKey(secrets, part)
  } catch (cause) {
    throw new Damage(file.id, `the seal of its part at byte ${part.start} does not open`, { cause })
  }
}

/** Opens a range of one part; `null` if its blob is not there. */
async function openPart(
  blobs: ContentPorts['blobs'],
  file: Sealed,
  { blob, sizeBytes }: Part,
  key: Buffer,
  range: Range,
): Promise<ContentReader | null> {
  const first = Math.floor(range.start / FRAME_BYTES)
  const last = Math.floor(range.end / FRAME_BYTES)
  const end = Math.min(frameAt(last + 1), blobBytes(sizeBytes))
  // If the range begins in the first frame, header and frames are adjacent, so one read gets both.
  const header = first === 0 ? null : await headerOf(blobs, file, blob)
  if (first > 0 && !header) return null
  const reader = await blobs.open(blob, first === 0 ? 0 : frameAt(first), end)
  if (!reader) return null

  let openFrame: FrameOpener | null = null
  let frame = first
  return {
    async next() {
      if (frame > last) return null
      const until = Math.min(frame + BATCH_FRAMES, last + 1)
      const headerBytes = openFrame || header ? 0 : HEADER_BYTES
      try {
        const sealed = await reader.read(headerBytes + Math.min(frameAt(until), end) - frameAt(frame))
        openFrame ??= frameOpener(key, header ?? sealed.subarray(0, HEADER_BYTES), sizeBytes)
        return framesIn(sealed.subarray(headerBytes), until, openFrame)
      } catch (error) {
        throw asDamage(file, blob, error)
      }
    },

    close: () => reader.close(),
  }

  /** The requested bytes of the frames up to this one. */
  function framesIn(sealed: Buffer, until: number, openFrame: FrameOpener): Buffer[] {
    const opened: Buffer[] = []
    for (let at = 0; frame < until; at += SEALED_FRAME_BYTES, frame += 1) {
      const bytes = openFrame(frame, sealed.subarray(at, at + SEALED_FRAME_BYTES))
      const start = frame * FRAME_BYTES
      opened.push(bytes.subarray(Math.max(0, range.start - start), range.end + 1 - start))
    }
    return opened
  }
}

async function headerOf(blobs: ContentPorts['blobs'], file: Sealed, blob: string): Promise<Buffer | null> {
  const reader = await blobs.open(blob, 0, HEADER_BYTES)
  if (!reader) return null
  try {
    return Buffer.from(await reader.read(HEADER_BYTES))
  } catch (error) {
    throw asDamage(file, blob, error)
  } finally {
    await reader.close()
  }
}

/** `Damage` with this cause. An error of the system is returned as it is, because it says nothing about the file. */
function asDamage({ id }: Sealed, blob: string, error: unknown): unknown {
  const ofTheSystem = (error as NodeJS.ErrnoException).code?.startsWith('E')
  return ofTheSystem ? error : new Damage(id, 'does not open', { blob, cause: error })
}
