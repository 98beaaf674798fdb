import { kindOf } from '../state/files.ts'
import { type Drawable, encode, type Size } from './encoding.ts'
import { cannotOpen } from './openable.ts'
import type { Job } from './thumbnail-worker.ts'

/** Opened, a picture takes 4 bytes for each pixel: this one half a GiB. */
const MOST_PIXELS = 130_000_000
const PATIENCE_MS = 20_000

/**
 * Makes a thumbnail in the browser: at most 512 px and about 40 KB, the right way up, one at a time. `null` if the browser cannot
 * open the file, and for a file that is neither a picture nor a video. It never throws.
 */
export function makeThumbnail(file: Blob, contentType: string): Promise<Blob | null> {
  const kind = kindOf({ contentType })
  if (kind !== 'picture' && kind !== 'video') return Promise.resolve(null)
  return inTurn(async () => {
    const url = URL.createObjectURL(file)
    try {
      if (kind === 'video') return await ofFilm(url)
      const thumbnail = await ofPicture(file, url)
      if (thumbnail === null) cannotOpen(contentType)
      return thumbnail
    } finally {
      URL.revokeObjectURL(url)
    }
  })
}

/** The same for a video that is on the server: the browser reads only the parts that it needs. */
export function makeFilmThumbnail(url: string): Promise<Blob | null> {
  return inTurn(() => ofFilm(url))
}

let last: Promise<unknown> = Promise.resolve()

function inTurn(make: () => Promise<Blob | null>): Promise<Blob | null> {
  const made = last.then(make).catch(() => null)
  last = made
  return made
}

async function ofPicture(file: Blob, url: string): Promise<Blob | null> {
  const image = new Image()
  try {
    // The browser reads the size and the orientation, and does not open the whole picture yet.
    await happened(image, 'load', () => {
      image.src = url
    })
    const size = { width: image.naturalWidth, height: image.naturalHeight }
    if (size.width === 0 || size.width * size.height > MOST_PIXELS) return null
    return (await inWorker({ file, size })) ?? (await onPage(image, size))
  } finally {
    image.src = ''
  }
}

/** A frame near the start. The first one is often black. */
async function ofFilm(url: string): Promise<Blob | null> {
  const film = document.createElement('video')
  film.muted = true
  film.playsInline = true
  film.preload = 'auto'
  try {
    await happened(film, 'loadeddata', () => {
      film.src = url
      film.load()
    })
    const second = Number.isFinite(film.duration) ? Math.min(1, film.duration / 10) : 0
    if (second > 0) {
      await happened(film, 'seeked', () => {
        film.currentTime = second
      })
    }
    return film.videoWidth === 0 ? null : await onPage(film, { width: film.videoWidth, height: film.videoHeight })
  } finally {
    film.removeAttribute('src')
    film.load()
  }
}

function onPage(picture: Drawable, size: Size): Promise<Blob | null> {
  return encode(picture, size, (of) => Object.assign(document.createElement('canvas'), of))
}

let worker: Worker | null = null

/** `null` if the worker cannot open it, or the browser has none with a canvas. */
async function inWorker(job: Job): Promise<Blob | null> {
  if (typeof OffscreenCanvas === 'undefined') return null
  try {
    worker ??= new Worker(new URL('./thumbnail-worker.ts', import.meta.url), { type: 'module' })
    const own = worker
    const message = await happened<MessageEvent<Blob | null>>(own, 'message', () => own.postMessage(job))
    return message.data
  } catch {
    worker?.terminate()
    worker = null
    return null
  }
}

/** Waits for the event. An `error`, or no event for a long time, throws. */
function happened<Kind extends Event>(on: EventTarget, type: string, begin: () => void): Promise<Kind> {
  const over = new AbortController()
  return new Promise<Kind>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${type} in time`)), PATIENCE_MS)
    over.signal.addEventListener('abort', () => clearTimeout(timer))
    on.addEventListener(type, (event) => resolve(event as Kind), { signal: over.signal })
    on.addEventListener('error', () => reject(new Error(`no ${type}`)), { signal: over.signal })
    begin()
  }).finally(() => over.abort())
}
