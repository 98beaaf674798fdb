/** Stores one file, with its date and its thumbnail. */
import { type StoredFile, sha256 } from '@minikeepsafe/client'
import { takenAtOf } from '../pictures/taken-at.ts'
import { makeThumbnail } from '../pictures/thumbnail.ts'
import { tell } from '../state/files.ts'
import { user } from '../state/session.ts'
import { uploadClient } from './client.ts'
import { type Item, progress } from './items.ts'
import { localTime } from './names.ts'

const MiB = 1024 * 1024
/** A larger file is sent in several requests, and may go on later: its digest is remembered until then. */
const SMALL_BYTES = 4 * MiB

/** `there`: the vault had the same bytes, and nothing was sent. Errors are those of the client. */
export async function send(item: Item, file: File, signal: AbortSignal): Promise<'done' | 'there'> {
  const owner = user()
  if (file.size > SMALL_BYTES) item.sha256 ??= await digestOf(item, file, signal)
  progress(item, 'sending', 0)
  const takenAt = await dateOf(file)
  const result = await uploadClient.upload(file, {
    name: item.name,
    signal,
    onConflict: item.onConflict,
    onProgress: ({ stored }) => progress(item, 'sending', stored),
    ...(item.type && { contentType: item.type }),
    ...(takenAt && { takenAt }),
    ...(item.sha256 && { sha256: item.sha256 }),
  })
  const show = async (stored: StoredFile) => {
    const shown = await withThumbnail(stored, file, signal)
    // A thumbnail takes a while. Another user may be signed in by now.
    if (user() === owner) tell({ type: 'file', file: shown })
  }
  if (result.outcome === 'stored') {
    await show(result.file)
    return 'done'
  }
  if (!item.wasTried) return 'there'
  // The response to an earlier attempt was lost.
  const stored = await uploadClient.find(result.file.name, { signal })
  if (stored) await show(stored)
  return 'done'
}

async function digestOf(item: Item, file: File, signal: AbortSignal): Promise<string> {
  const hash = sha256()
  for (let from = 0; from < file.size; from += MiB) {
    signal.throwIfAborted()
    progress(item, 'hashing', from)
    hash.update(new Uint8Array(await file.slice(from, from + MiB).arrayBuffer()))
  }
  return [...hash.digest()].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The camera's date; otherwise the date of the file, which phones set to it. */
async function dateOf(file: File): Promise<string | null> {
  if (!/^(?:image|video)\//.test(file.type)) return null
  return (await takenAtOf(file)) ?? (file.lastModified > 0 ? localTime(file.lastModified) : null)
}

/** A thumbnail is never worth an error: the next browser that shows the file makes one. */
async function withThumbnail(stored: StoredFile, file: File, signal: AbortSignal): Promise<StoredFile> {
  try {
    const thumbnail = stored.thumbnail === null && (await makeThumbnail(file, stored.contentType))
    if (!thumbnail) return stored
    await uploadClient.thumbnail.put(stored.name, thumbnail, { signal })
    const known = await uploadClient.find(stored.name, { signal })
    return known?.id === stored.id ? known : stored
  } catch {
    return stored
  }
}
