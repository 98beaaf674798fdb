/** Sizes and lengths. The server does not know them: the thumbnail has the ratio, and the picture itself its size. */
import type { StoredFile } from '@minikeepsafe/client'
import { LONGEST_SIDE, type Size } from '../pictures/encoding.ts'
import { client } from '../state/session.ts'

/** A thumbnail that comes later than this is not waited for. */
const PATIENCE_MS = 600
const SUPPOSED_LONGEST_SIDE = 4000
/** A small picture is shown at most so much larger than it is. */
const MOST_ENLARGED = 2

const thumbnails = new Map<string, Size>()
const pictures = new Map<string, Size>()
const lengths = new Map<string, number>()

export function forgetSizes(): void {
  thumbnails.clear()
  pictures.clear()
  lengths.clear()
}

/** Reads the ratio of the thumbnail, which the browser has already if the gallery shows it. */
export async function prepareSize({ name, sha256, thumbnail }: StoredFile): Promise<void> {
  if (thumbnail === null || thumbnails.has(sha256)) return
  const image = new Image()
  const loaded = new Promise<void>((resolve) => {
    image.onload = () => {
      thumbnails.set(sha256, { width: image.naturalWidth, height: image.naturalHeight })
      resolve()
    }
    image.onerror = () => resolve()
    setTimeout(resolve, PATIENCE_MS)
  })
  image.src = client.urls.thumbnail(name, thumbnail)
  await loaded
}

/** The picture has been opened. */
export function learnSize({ sha256 }: StoredFile, size: Size): void {
  pictures.set(sha256, size)
}

/** Of the picture itself, once it has been opened. */
export const knownSize = ({ sha256 }: StoredFile): Size | undefined => pictures.get(sha256)

export function learnLength({ sha256 }: StoredFile, ms: number): void {
  lengths.set(sha256, ms)
}

/** Of a film or a sound, in milliseconds, once it has been opened. */
export const knownLength = ({ sha256 }: StoredFile): number | undefined => lengths.get(sha256)

/** For the first layout: exact for a picture that was open before, else with the right ratio if there is a thumbnail. */
export function layoutSize(file: StoredFile, window: Size): Size {
  const known = pictures.get(file.sha256)
  if (known) return enlarged(known, window)
  const thumbnail = thumbnails.get(file.sha256)
  if (!thumbnail) return window
  const longest = Math.max(thumbnail.width, thumbnail.height)
  // Thumbnails are never larger than their picture.
  return longest < LONGEST_SIDE ? enlarged(thumbnail, window) : scaled(thumbnail, SUPPOSED_LONGEST_SIDE / longest)
}

/** PhotoSwipe shows nothing larger than it is; a small picture counts as a larger one. */
export function enlarged(size: Size, window: Size): Size {
  const fit = Math.min(window.width / size.width, window.height / size.height)
  return scaled(size, Math.min(MOST_ENLARGED, Math.max(1, fit)))
}

const scaled = ({ width, height }: Size, by: number): Size => ({ width: width * by, height: height * by })
