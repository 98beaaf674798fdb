/** Files that came without a thumbnail, for example by curl, get one from the first browser that shows them. */
import { etagOf, type StoredFile, VaultError } from '@minikeepsafe/client'
import { effect } from '@preact/signals'
import { kindOf, tell } from '../state/files.ts'
import { client, phase } from '../state/session.ts'
import { mayOpen } from './openable.ts'

const MOST_AT_ONCE = 2
/** The gallery scrolled on: older requests are forgotten, and made again when it comes back. */
const MOST_WAITING = 100
const MOST_BYTES = 30 * 1024 * 1024

const waiting = new Map<string, StoredFile>()
const tried = new Set<string>()
let running = 0
/** The server takes no thumbnails: it is read-only, or the quota is used up. */
let isStopped = false
let session = new AbortController()

effect(() => {
  if (phase.value !== 'signed-out') return
  session.abort()
  session = new AbortController()
  waiting.clear()
  tried.clear()
  isStopped = false
})

/**
 * The gallery shows a file without a thumbnail: makes and sends one, the newest request first, two at a time, on a connection that
 * is fast enough. Each file is tried once. Nothing is said of failures.
 */
export function wantThumbnail(file: StoredFile): void {
  if (file.thumbnail !== null || tried.has(file.id) || isStopped || !isFast()) return
  const kind = kindOf(file)
  const isPicture = kind === 'picture' && file.size <= MOST_BYTES && mayOpen(file.contentType)
  if (file.size === 0 || !(isPicture || kind === 'video')) return
  waiting.delete(file.id)
  waiting.set(file.id, file)
  const [oldest] = waiting.keys()
  if (waiting.size > MOST_WAITING && oldest !== undefined) waiting.delete(oldest)
  next()
}

function next(): void {
  const newest = [...waiting.values()].at(-1)
  if (running >= MOST_AT_ONCE || newest === undefined || isStopped) return
  waiting.delete(newest.id)
  tried.add(newest.id)
  running += 1
  const { signal } = session
  void give(newest, signal)
    .catch((error) => {
      if (error instanceof VaultError && ['read-only', 'quota-exceeded'].includes(error.code) && !signal.aborted)
        isStopped = true
    })
    .finally(() => {
      running -= 1
      next()
    })
}

async function give(file: StoredFile, signal: AbortSignal): Promise<void> {
  const thumbnail = await made(file, signal)
  if (thumbnail === null || signal.aborted) return
  await client.thumbnail.put(file.name, thumbnail, { ifMatch: etagOf(file), signal })
  const found = await client.find(file.name, { signal })
  if (found?.id === file.id) tell({ type: 'file', file: found })
}

async function made(file: StoredFile, signal: AbortSignal): Promise<Blob | null> {
  const { makeFilmThumbnail, makeThumbnail } = await import('./thumbnail.ts')
  const url = client.urls.file(file.name, { inline: true })
  if (kindOf(file) === 'video') return makeFilmThumbnail(url)
  if (!mayOpen(file.contentType)) return null
  const response = await fetch(url, { signal })
  // The name may have got another content meanwhile.
  if (!response.ok || response.headers.get('etag') !== etagOf(file)) return null
  return makeThumbnail(await response.blob(), file.contentType)
}

function isFast(): boolean {
  const { connection } = navigator as { connection?: { saveData?: boolean; effectiveType?: string } }
  return !connection?.saveData && ['4g', undefined].includes(connection?.effectiveType)
}
