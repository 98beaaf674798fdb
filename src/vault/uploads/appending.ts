/** Appends bytes to an upload, as sealed parts. */
import { createHash } from 'node:crypto'
import type { Upload } from '../../ports/uploads.ts'
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openUploadKey } from '../crypto/envelope.ts'
import { type AppendLock, openAppendLock } from './append-lock.ts'
import type { Completing } from './completing.ts'
import { type Stoppable, stoppable } from './stoppable.ts'
import type { StorePart } from './storing.ts'
import type { Append, Appended, Uploads } from './uploads.ts'

/** Bytes after which a long append is stored. After a crash the client sends at most these again. */
const PART_BYTES = 32 * 1024 * 1024

export type Appending = Pick<Uploads, 'append'> & Pick<AppendLock, 'stop'>

export function openAppending({
  ports: { uploads, clock },
  rules,
  keys,
  admission,
  background,
  store,
  claimed,
  drop,
  refuseQuota,
  complete,
}: Needs<'uploads' | 'clock', 'rules' | 'keys' | 'admission' | 'background'> &
  Pick<Completing, 'complete'> & {
    store: StorePart
    claimed(owner: string, id: string): Promise<Upload>
    drop(owner: string, id: string): Promise<boolean>
    refuseQuota(owner: string, bytes: number, isUpload: boolean): Promise<void>
  }): Appending {
  const lock = openAppendLock()

  return {
    append(owner, id, request) {
      const appending = append(owner, id, request)
      // Closing the vault waits for it, even if the client has left.
      const ended = appending.then(
        () => {},
        () => {},
      )
      background('an append to an upload', ended)
      return appending
    },

    stop: lock.stop,
  }

  async function append(owner: string, id: string, request: (upload: Upload) => Append): Promise<Appended> {
    const { stopped, release } = await lock.take(owner, id)
    let appended: { upload: Upload; append: Append }
    try {
      const known = await claimed(owner, id)
      const append = request(known)
      if (append.offset !== known.offset) throw problems.mismatchingOffset(known.offset, append.offset)
      if (known.fileId !== null) {
        // Only a request without bytes can repeat one whose response was lost.
        lengthOf({ ...known, sizeBytes: known.offset }, append)
        if (await hasBytes(append)) throw problems.inconsistentLength()
        return { upload: known, isWhole: true, placement: null }
      }
      appended = { append, upload: await receive(owner, known, append, stopped) }
    } finally {
      release()
    }
    const { upload, append: asked } = appended
    if (!isWhole(upload, asked.isLast)) return { upload, isWhole: false, placement: null }
    if (upload.sizeBytes !== null && upload.offset !== upload.sizeBytes) throw problems.inconsistentLength()
    if (upload.name === null && !asked.finish.form) return { upload, isWhole: true, placement: null }
    return complete(owner, upload, asked.finish)
  }

  /** Returns the upload with the bytes of the append. */
  async function receive(owner: string, known: Upload, append: Append, stopped: Promise<Problem>): Promise<Upload> {
    try {
      const sizeBytes = lengthOf(known, append)
      refuseLength(sizeBytes, append)
      await refuseQuota(owner, (append.announcedBytes ?? 0) - overheadOf(append), true)
      await admission.admit()
      const fileKey = openUploadKey(await keys.vaultKey(owner), owner, known)
      const upload = await storeAll(owner, { ...known, sizeBytes }, fileKey, append, stopped)
      if (sizeBytes !== known.sizeBytes && upload.offset === known.offset) await setLength(owner, upload)
      return upload
    } catch (error) {
      if (append.isStrict && error instanceof TooManyBytes) await drop(owner, known.id)
      throw error instanceof TooManyBytes ? problems.inconsistentLength() : error
    }
  }

  function refuseLength(sizeBytes: number | null, append: Append): void {
    const end = append.offset + (append.announcedBytes ?? 0)
    if (sizeBytes !== null && end > sizeBytes) throw new TooManyBytes()
    if (Math.max(end, sizeBytes ?? 0) > rules.maxFileBytes + overheadOf(append))
      throw problems.fileTooLarge(rules.maxFileBytes)
  }

  async function setLength(owner: string, upload: Upload): Promise<void> {
    const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes: null }
    if ((await uploads.append(owner, upload, null, change)) === 'stale') throw problems.uploadInUse()
  }

  /** If the bytes break off, those that came are stored before the error is thrown. */
  async function storeAll(
    owner: string,
    first: Upload,
    fileKey: Buffer,
    append: Append,
    stopped: Promise<Problem>,
  ): Promise<Upload> {
    const source = stoppable(append.bytes, stopped)
    let upload = first
    try {
      while (await source.hasMore()) upload = await storePart(owner, upload, fileKey, append, source)
    } finally {
      await source.release()
    }
    if (source.error()) throw source.error()
    // No part was stored, so nothing was checked.
    if (upload === first) append.check?.(createHash(append.algorithm))
    return upload
  }

  function storePart(
    owner: string,
    upload: Upload,
    fileKey: Buffer,
    append: Append,
    source: Stoppable,
  ): Promise<Upload> {
    const { check, algorithm } = append
    const overheadBytes = overheadOf(append)
    const hash = check && createHash(algorithm)
    // Only a complete body can be checked, so it becomes one part.
    const bytes = limited(source.upTo(check ? Number.POSITIVE_INFINITY : PART_BYTES), upload, overheadBytes)
    return store(owner, upload, fileKey, {
      bytes,
      hash,
      overheadBytes,
      check() {
        if (!hash) return
        if (source.error()) throw source.error()
        check?.(hash)
      },
    })
  }

  async function* limited(bytes: AsyncIterable<Uint8Array>, { offset, sizeBytes }: Upload, overheadBytes: number) {
    let end = offset
    // A part that is longer cannot fit the quota.
    const most = rules.quota.bytes === null ? null : offset + rules.quota.bytes + overheadBytes
    for await (const chunk of bytes) {
      end += chunk.length
      if (most !== null && end > most)
        throw problems.quotaExceeded(rules.quota.bytes as number, 'bytes', { isUpload: true })
      if (sizeBytes !== null && end > sizeBytes) throw new TooManyBytes()
      if (end > rules.maxFileBytes + overheadBytes) throw problems.fileTooLarge(rules.maxFileBytes)
      yield chunk
    }
  }
}

async function hasBytes({ announcedBytes, bytes }: Append): Promise<boolean> {
  if (announcedBytes !== null) return announcedBytes > 0
  for await (const chunk of bytes) if (chunk.length > 0) return true
  return false
}

class TooManyBytes extends Error {}

/** The bytes of a form around its file. */
const overheadOf = ({ finish }: Append): number => finish.form?.overheadBytes ?? 0

/** The length of the whole, by the upload and by all that the append says: its length, and the end of its last bytes. */
function lengthOf(upload: Upload, { sizeBytes, offset, isLast, announcedBytes }: Append): number | null {
  const end = isLast && announcedBytes !== null ? offset + announcedBytes : null
  const lengths = new Set([upload.sizeBytes, sizeBytes, end].filter((length) => length !== null))
  const [length = null] = lengths
  if (lengths.size > 1 || (length !== null && length < offset)) throw problems.inconsistentLength()
  return length
}

/** Whether the upload has all its bytes. A request of tus does not say so, and an upload of tus has the length for that. */
function isWhole({ protocol, offset, sizeBytes }: Upload, isLast: boolean | null): boolean {
  if (sizeBytes === null) return isLast === true
  return isLast === null || protocol === 'tus' ? offset === sizeBytes : isLast
}
