/** What the parts of the page tell each other about files, and what a file is to a person. */
import type { StoredFile } from '@minikeepsafe/client'

export type Kind = 'picture' | 'video' | 'audio' | 'other'

/** Raster pictures, audio and video are the only files that the server ever sends to be shown (`?disposition=inline`). */
const PICTURES = /^image\/(jpeg|png|gif|webp|avif|bmp|heic|heif|tiff|x-icon|vnd\.microsoft\.icon)\b/i

export function kindOf({ contentType }: Pick<StoredFile, 'contentType'>): Kind {
  if (PICTURES.test(contentType)) return 'picture'
  if (/^video\//i.test(contentType)) return 'video'
  if (/^audio\//i.test(contentType)) return 'audio'
  return 'other'
}

/** RFC 3339: the time by which the gallery sorts a file. */
export const shownTime = ({ takenAt, createdAt }: Pick<StoredFile, 'takenAt' | 'createdAt'>) => takenAt ?? createdAt

export type FileEvent = { type: 'file'; file: StoredFile } | { type: 'gone'; id: string }

const listeners = new Set<(event: FileEvent) => void>()

/** Calls `listen` for every file that this page has stored, changed or removed. Returns how to stop. */
export function onFileEvent(listen: (event: FileEvent) => void): () => void {
  listeners.add(listen)
  return () => void listeners.delete(listen)
}

export function tell(event: FileEvent): void {
  for (const listen of listeners) listen(event)
}
