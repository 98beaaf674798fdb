/** Appends bytes to an upload, as sealed parts. One append of an upload runs at a time. */
import { createHash, type Hash } from 'node:crypto'
import type { Part } from '../../ports/files.ts'
import type { Upload } from '../../ports/uploads.ts'
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openUploadKey, sealPartKey } from '../crypto/envelope.ts'
import { runEnded } from '../files/admission.ts'
import { type Hashing, openBlobWriting, type WrittenBlob } from '../files/blob-writing.ts'
import type { Completing } from './completing.ts'
import type { RunningHashes } from './running-hashes.ts'
import { type Stoppable, stoppable } from './stoppable.ts'
import type { Append, Appended, Uploads } from './uploads.ts'

/** Bytes after which a long append is stored. After a crash the client sends at most these again. */
const PART_BYTES = 32 * 1024 * 1024
/** Each part is a row and a blob, however short it is. */
const MOST_PARTS = 20_000

export interface Appending extends Pick<Uploads, 'append'> {
  /** Ends the append of this process that still receives bytes. Those that arrived are stored before this resolves. */
  stop(owner: string, id: string): Promise<void>
}

interface Running {
  stop(): void
  /** Resolves once the bytes that arrived are stored. */
  stored: Promise<void>
}

export function openAppending({
  ports,
  rules,
  keys,
  admission,
  background,
  doubtfulBlobs,
  trash,
  hashes,
  claimed,
  drop,
  refuseQuota,
  complete,
}: Needs<
  'uploads' | 'blobs' | 'clock' | 'chance',
  'rules' | 'keys' | 'admission' | 'background' | 'doubtfulBlobs' | 'trash'
> &
  Pick<Completing, 'complete'> & {
    hashes: RunningHashes
    claimed(owner: string, id: string): Promise<Upload>
    drop(owner: string, id: string): Promise<boolean>
    refuseQuota(owner: string, bytes: number): Promise<void>
  }): Appending {
  const { uploads, clock, chance } = ports
  const { write } = openBlobWriting({ ports, admission, doubtfulBlobs })
  const running = new Map<string, Running>()

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

    stop,
  }

  async function stop(owner: string, id: string): Promise<void> {
    for (;;) {
      const other = running.get(keyOf(owner, id))
      if (!other) return
      other.stop()
      await other.stored
    }
  }

  async function append(owner: string, id: string, request: (upload: Upload) => Append): Promise<Appended> {
    // Of several that wait for the same one, the first to wake up goes on.
    while (running.has(keyOf(owner, id))) await stop(owner, id)
    const { stopped, release } = register(owner, id)
    let appended: { upload: Upload; append: Append }
    try {
      const known = await claimed(owner, id)
      const append = request(known)
      if (append.offset !== known.offset) throw problems.mismatchingOffset(known.offset, append.offset)
      if (known.fileId !== null) return { upload: known, placement: null }
      appended = { append, upload: await receive(owner, known, append, stopped) }
    } finally {
      release()
    }
    const { upload, append: asked } = appended
    const isComplete = upload.protocol === 'tus' ? upload.offset === upload.sizeBytes : asked.isLast
    if (!isComplete) return { upload, placement: null }
    if (upload.sizeBytes !== null && upload.offset !== upload.sizeBytes) throw problems.inconsistentLength()
    if (upload.name === null) return { upload, placement: null }
    return complete(owner, { ...upload, name: upload.name, sizeBytes: upload.offset }, asked.finish)
  }

  function register(owner: string, id: string) {
    const key = keyOf(owner, id)
    let release = () => {}
    let stopNow = () => {}
    const stopped = new Promise<Problem>((resolve) => {
      stopNow = () => resolve(problems.uploadInUse())
    })
    const stored = new Promise<void>((resolve) => {
      release = () => {
        running.delete(key)
        resolve()
      }
    })
    running.set(key, { stop: stopNow, stored })
    return { stopped, release }
  }

  /** Returns the upload with the bytes of the append. */
  async function receive(owner: string, known: Upload, append: Append, stopped: Promise<Problem>): Promise<Upload> {
    try {
      if (known.parts >= MOST_PARTS) throw problems.tooManyParts(MOST_PARTS)
      const sizeBytes = lengthOf(known, append)
      refuseLength(sizeBytes, append)
      await refuseQuota(owner, append.announcedBytes ?? 0)
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

  function refuseLength(sizeBytes: number | null, { offset, announcedBytes }: Append): void {
    const end = offset + (announcedBytes ?? 0)
    if (sizeBytes !== null && end > sizeBytes) throw new TooManyBytes()
    if (Math.max(end, sizeBytes ?? 0) > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
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

  async function storePart(
    owner: string,
    upload: Upload,
    fileKey: Buffer,
    { check, algorithm }: Append,
    source: Stoppable,
  ): Promise<Upload> {
    const key = chance.bytes(32)
    const whole = hashes.of(upload)
    const own = check && createHash(algorithm)
    // Only a complete body can be checked, so it becomes one part.
    const bytes = source.upTo(check ? Number.POSITIVE_INFINITY : PART_BYTES)
    const written = await write(key, limited(bytes, upload), spread(whole, own))
    try {
      if (own && source.error()) throw source.error()
      if (own) check(own)
      const part = { start: upload.offset, sizeBytes: written.sizeBytes }
      const seal = sealPartKey(fileKey, chance.bytes(12), part, key)
      const at = await record(owner, upload, { ...part, blob: written.blob, seal }, written)
      const offset = upload.offset + written.sizeBytes
      hashes.keep(upload.id, offset, whole)
      return { ...upload, offset, parts: upload.parts + 1, touchedAt: at }
    } finally {
      await written.dropUnlessPlaced()
    }
  }

  async function record(owner: string, upload: Upload, part: Part, { offer, blob }: WrittenBlob): Promise<number> {
    const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes: rules.quota.bytes }
    const commit = () => offer(() => uploads.append(owner, upload, part, change))
    let answer = await commit()
    // Expired trash does not count for the quota.
    if (answer === 'quota' && (await trash.expireOf(owner))) answer = await commit()
    if (answer === 'done') return change.at
    if (answer === 'quota') throw problems.quotaExceeded(rules.quota.bytes as number, 'bytes')
    if (answer === 'stale') throw problems.uploadInUse((await uploads.find(owner, upload.id))?.offset)
    admission.end(blob.slice(0, blob.indexOf('/')))
    throw runEnded()
  }

  async function* limited(bytes: AsyncIterable<Uint8Array>, { offset, sizeBytes }: Upload) {
    let end = offset
    for await (const chunk of bytes) {
      end += chunk.length
      if (sizeBytes !== null && end > sizeBytes) throw new TooManyBytes()
      if (end > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
      yield chunk
    }
  }
}

class TooManyBytes extends Error {}

/** Ids of users and uploads have no spaces. */
const keyOf = (owner: string, id: string) => `${owner} ${id}`

/** The length of the whole, by the upload and the append. */
function lengthOf(upload: Upload, { sizeBytes, offset }: Append): number | null {
  if (sizeBytes === null) return upload.sizeBytes
  if (sizeBytes < offset || (upload.sizeBytes !== null && upload.sizeBytes !== sizeBytes)) {
    throw problems.inconsistentLength()
  }
  return sizeBytes
}

/** Feeds both hashes. */
function spread(whole: Hash | null, own: Hash | null): Hashing {
  return {
    update(chunk) {
      whole?.update(chunk)
      own?.update(chunk)
    },
  }
}
