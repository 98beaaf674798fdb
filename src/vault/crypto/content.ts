/**
 * Reads a content from its sealed blob. It returns only bytes of frames that opened, and of those only the requested
 * ones.
 */
import type { BlobStore } from '../../ports/blobs.ts'
import type { SealedFile } from '../../ports/files.ts'
import { Damage } from '../files/damage.ts'
import {
  blobBytes,
  FRAME_BYTES,
  type FrameOpener,
  frameAt,
  frameOpener,
  HEADER_BYTES,
  SEALED_FRAME_BYTES,
  type Secrets,
} from './envelope.ts'

/** Frames in one read. Twice as many are no cheaper, and are more expensive if many contents are read at once. */
const BATCH_FRAMES = 8

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
  /** Releases the blob. Call it once, however the reading ended. */
  close(): Promise<void>
}

type Sealed = Pick<SealedFile, 'id' | 'blob'>

/** The range of a whole content that is not empty. */
export const wholeOf = (sizeBytes: number): Range => ({ start: 0, end: sizeBytes - 1 })

/** Opens a range of a content that is not empty; `null` if the blob is not there. */
export async function openContent(
  blobs: BlobStore,
  file: Sealed,
  { fileKey, sizeBytes }: Secrets,
  range: Range,
): Promise<ContentReader | null> {
  const first = Math.floor(range.start / FRAME_BYTES)
  const last = Math.floor(range.end / FRAME_BYTES)
  const end = Math.min(frameAt(last + 1), blobBytes(sizeBytes))
  // If the range begins in the first frame, header and frames are adjacent, so one read gets both.
  const header = first === 0 ? null : await headerOf(blobs, file)
  if (first > 0 && !header) return null
  const reader = await blobs.open(file.blob, first === 0 ? 0 : frameAt(first), end)
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
        openFrame ??= frameOpener(fileKey, header ?? sealed.subarray(0, HEADER_BYTES), sizeBytes)
        return framesIn(sealed.subarray(headerBytes), until, openFrame)
      } catch (error) {
        throw asDamage(file, error)
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

async function headerOf(blobs: BlobStore, file: Sealed): Promise<Buffer | null> {
  const reader = await blobs.open(file.blob, 0, HEADER_BYTES)
  if (!reader) return null
  try {
    return Buffer.from(await reader.read(HEADER_BYTES))
  } catch (error) {
    throw asDamage(file, error)
  } finally {
    await reader.close()
  }
}

/** `Damage` with this cause. An error of the system is returned as it is, because it says nothing about the file. */
function asDamage({ id, blob }: Sealed, error: unknown): unknown {
  const ofTheSystem = (error as NodeJS.ErrnoException).code?.startsWith('E')
  return ofTheSystem ? error : new Damage(id, `its blob ${blob} does not open`, error)
}
