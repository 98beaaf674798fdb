/**
 * Uploads that arrive in several requests. An append is one or more sealed parts of the version that the upload becomes, so
 * completing an upload moves no bytes. The protocols are in `routes/uploads/`; here is what they have in common.
 */
import { createHash, type Hash } from 'node:crypto'
import type { MovedPart, Upload } from '../../ports/uploads.ts'
import { type Problem, problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openContent, partsFrom, wholeOf } from '../crypto/content.ts'
import { openPartKey, openUploadKey, type Secrets, sealPartKey, sealUploadKey } from '../crypto/envelope.ts'
import { runEnded } from './admission.ts'
import { type Hashing, openBlobWriting } from './blob-writing.ts'
import { missingBlob } from './damage.ts'
import { fileName } from './names.ts'
import type { Placement } from './placing.ts'
import type { StoredFile } from './stored-file.ts'

/** Bytes after which a long append is stored. After a crash the client sends at most these again. */
const PART_BYTES = 32 * 1024 * 1024
/** The most uploads of one user that are not complete. */
const MOST_OPEN = 1000
/** Digests of uploads that this process has seen from the first byte on. */
const MOST_DIGESTS = 1000
/** Parts that are moved in one transaction. Other requests wait for it. */
const MOST_MOVED = 5000
/** Expired uploads that are removed in one transaction. */
const BATCH = 50

export interface NewUpload extends Pick<Upload, 'contentType' | 'sizeBytes' | 'onConflict' | 'protocol' | 'terms'> {
  /** `null` for an upload that will only be a part of another one. */
  name: string | null
  /** The digest of the whole that the client announced, in hex; with it, equal bytes under the name are no conflict. */
  sha256: string | null
  /** Throws if the file of the name is not what the client requires. */
  guard(current: StoredFile | null): void
}

export interface Append {
  offset: number
  bytes: AsyncIterable<Uint8Array>
  /** The length of the whole, if the request says it. */
  sizeBytes: number | null
  /** `ietf`: the request says that the upload is complete with it. */
  isLast: boolean
  /** Throws if the bytes of this append are not those that the client intended. Then none of them is stored. */
  check: ((hash: Hash) => void) | null
  /** The algorithm of the hash for `check`. */
  algorithm: 'sha1' | 'sha256'
  /** As at the creation: what must hold when the upload becomes a file. */
  finish: Pick<NewUpload, 'sha256' | 'guard'>
}

export interface Appended {
  upload: Upload
  /** The file, if the upload is complete now. */
  placement: Placement | null
}

export interface Uploads {
  begin(owner: string, upload: NewUpload): Promise<Upload>
  /** An upload as it is now. An append that still runs ends: its client has come back on another connection. */
  find(owner: string, id: string): Promise<Upload>
  append(owner: string, id: string, append: (upload: Upload) => Append): Promise<Appended>
  /** Makes one file of uploads that have all their bytes, in this order. Those uploads are gone then. No bytes are moved. */
  concatenate(owner: string, upload: NewUpload, pieces: string[]): Promise<Appended>
  list(owner: string): Promise<Upload[]>
  remove(owner: string, id: string): Promise<void>
  /** When an upload expires if nothing is appended. */
  expiresAt(upload: Pick<Upload, 'touchedAt'>): number
  /** Removes the expired uploads of all users. */
  expire(): Promise<void>
}

interface Running {
  stop(): void
  ended: Promise<unknown>
}

export function openUploads({
  ports,
  rules,
  keys,
  admission,
  background,
  repeat,
  doubtfulBlobs,
  collect,
  placing,
  trash,
}: Needs<
  'uploads' | 'files' | 'blobs' | 'clock' | 'chance' | 'users',
  'rules' | 'keys' | 'admission' | 'background' | 'repeat' | 'doubtfulBlobs' | 'collect' | 'placing' | 'trash'
>): Uploads {
  const { uploads, files, users, clock, chance } = ports
  const { write } = openBlobWriting({ ports, admission, doubtfulBlobs })
  const running = new Map<string, Running>()
  const digests = new Map<string, { offset: number; hash: Hash }>()

  return {
    begin,

    async concatenate(owner, given, pieces) {
      for (const id of pieces) await stopRunning(id)
      const whole = await begin(owner, given)
      const vaultKey = await keys.vaultKey(owner)
      const fileKey = openUploadKey(vaultKey, owner, whole)
      const moved = await movedParts(owner, vaultKey, fileKey, pieces)
      if ((await uploads.concatenate(owner, whole.id, moved, clock())) === 'stale') {
        await uploads.remove(owner, whole.id)
        throw problems.uploadInUse()
      }
      const last = moved.at(-1)
      const claimed = await uploads.claim(owner, whole.id)
      if (!claimed || !last || claimed.sizeBytes === null) throw problems.uploadNotFound()
      return complete(owner, { ...claimed, sizeBytes: claimed.sizeBytes }, fileKey, given)
    },

    async list(owner) {
      return (await uploads.list(owner)).filter((upload) => !isExpired(upload))
    },

    append(owner, id, append) {
      const appending = inTurn(id, (stopped) => appendTo(owner, id, append, stopped))
      background(
        'an append',
        appending.then(
          () => {},
          () => {},
        ),
      )
      return appending
    },

    find,

    async remove(owner, id) {
      await stopRunning(id)
      if (!(await uploads.remove(owner, id))) throw problems.uploadNotFound()
      digests.delete(id)
      await collect([id])
    },

    expiresAt,

    expire: () => expireUploads({ ports, rules, repeat, collect }),
  }

  async function begin(owner: string, { name: anyName, sha256, guard, ...given }: NewUpload): Promise<Upload> {
    const name = anyName === null ? null : fileName(anyName)
    refuseSize(given.sizeBytes)
    await admission.admit()
    const vaultKey = await keys.vaultKey(owner)
    if (name !== null) {
      const { current } = await placing.currentSpot(owner, name)
      guard(current)
      if (given.onConflict === 'fail' && current && current.sha256 !== sha256) throw problems.fileExists()
    }
    await refuseQuota(owner, given.sizeBytes ?? 0)
    const [id, now] = [chance.id(), clock()]
    const seal = sealUploadKey(vaultKey, chance.bytes(12), owner, id, chance.bytes(32))
    const times = { createdAt: now, touchedAt: now }
    const upload = { id, name, ...given, offset: 0, parts: 0, seal, ...times, claim: 0, fileId: null, fileName: null }
    const answer = await uploads.create(owner, upload, MOST_OPEN)
    if (answer === 'gone') throw problems.unauthorized()
    if (answer === 'full') throw problems.tooManyUploads(MOST_OPEN)
    return upload
  }

  async function find(owner: string, id: string): Promise<Upload> {
    await stopRunning(id)
    const upload = await uploads.claim(owner, id)
    if (!upload || isExpired(upload)) throw problems.uploadNotFound()
    return upload
  }

  /** All parts of the uploads, behind each other, with their keys sealed for the new version. */
  async function movedParts(owner: string, vaultKey: Buffer, fileKey: Buffer, pieces: string[]): Promise<MovedPart[]> {
    const moved: MovedPart[] = []
    let start = 0
    for (const id of pieces) {
      const piece = await uploads.claim(owner, id)
      if (!piece || isExpired(piece)) throw problems.uploadNotFound()
      if (piece.offset !== piece.sizeBytes || piece.fileId !== null) throw problems.inconsistentLength()
      const secrets = { fileKey: openUploadKey(vaultKey, owner, piece), sizeBytes: piece.offset, parts: piece.parts }
      for await (const part of partsFrom({ files }, { id, version: id }, secrets, 0)) {
        const key = openPartKey({ ...secrets, sha256: '' }, part)
        const place = { start, sizeBytes: part.sizeBytes }
        moved.push({ upload: id, from: part.start, start, seal: sealPartKey(fileKey, chance.bytes(12), place, key) })
        if (moved.length > MOST_MOVED) throw problems.tooManyParts(MOST_MOVED)
        start += part.sizeBytes
      }
    }
    return moved
  }

  function expiresAt({ touchedAt }: Pick<Upload, 'touchedAt'>): number {
    return touchedAt + rules.uploadExpiryMs
  }

  function isExpired(upload: Upload): boolean {
    return expiresAt(upload) <= clock()
  }

  function refuseSize(sizeBytes: number | null): void {
    if (sizeBytes !== null && sizeBytes > rules.maxFileBytes) throw problems.fileTooLarge(rules.maxFileBytes)
  }

  async function refuseQuota(owner: string, bytes: number): Promise<void> {
    if (rules.quota.bytes === null) return
    if (placing.isOverBytes(await users.usage(owner), bytes) && !(await trash.expireOf(owner))) {
      throw problems.quotaExceeded(rules.quota.bytes, 'bytes')
    }
  }

  /** Ends an append of this process that still runs. What it has received is stored before this resolves. */
  async function stopRunning(id: string): Promise<void> {
    const other = running.get(id)
    other?.stop()
    await other?.ended
  }

  /** One append of an upload at a time: a later one ends the one before. */
  async function inTurn<T>(id: string, work: (stopped: Promise<Problem>) => Promise<T>): Promise<T> {
    await stopRunning(id)
    let stop = () => {}
    const stopped = new Promise<Problem>((resolve) => {
      stop = () => resolve(problems.uploadInUse())
    })
    const working = work(stopped)
    const entry = { stop, ended: working.catch(() => {}) }
    running.set(id, entry)
    try {
      return await working
    } finally {
      if (running.get(id) === entry) running.delete(id)
    }
  }

  async function appendTo(
    owner: string,
    id: string,
    request: (upload: Upload) => Append,
    stopped: Promise<Problem>,
  ): Promise<Appended> {
    const claimed = await uploads.claim(owner, id)
    if (!claimed || isExpired(claimed)) throw problems.uploadNotFound()
    const append = request(claimed)
    if (append.offset !== claimed.offset) throw problems.mismatchingOffset(claimed.offset, append.offset)
    if (claimed.fileId !== null) return { upload: claimed, placement: null }
    const sizeBytes = lengthOf(claimed, append)
    refuseSize(sizeBytes)
    let upload: Upload = { ...claimed, sizeBytes }
    const vaultKey = await keys.vaultKey(owner)
    const fileKey = openUploadKey(vaultKey, owner, upload)
    await admission.admit()
    const source = stoppable(append.bytes, stopped)
    try {
      upload = await storeAll(owner, upload, fileKey, append, source)
    } finally {
      await source.release()
    }
    if (upload.sizeBytes !== claimed.sizeBytes && upload.offset === claimed.offset) {
      const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes: null }
      if ((await uploads.append(owner, claimed, null, change)) === 'stale') throw problems.uploadInUse()
    }
    const isComplete = upload.protocol === 'tus' ? upload.offset === upload.sizeBytes : append.isLast
    if (!isComplete || upload.name === null) return { upload, placement: null }
    if (upload.sizeBytes !== null && upload.offset !== upload.sizeBytes) throw problems.inconsistentLength()
    return complete(owner, { ...upload, sizeBytes: upload.offset }, fileKey, append.finish)
  }

  /** Stores the bytes of an append as parts. If the bytes break off, those that came are stored before the error. */
  async function storeAll(
    owner: string,
    first: Upload,
    fileKey: Buffer,
    append: Append,
    source: Stoppable,
  ): Promise<Upload> {
    let upload = first
    const most = Math.min(upload.sizeBytes ?? rules.maxFileBytes, rules.maxFileBytes)
    for (;;) {
      const room = append.check ? Number.POSITIVE_INFINITY : PART_BYTES
      if (!(await source.hasMore())) break
      const key = chance.bytes(32)
      const known = digests.get(upload.id)
      const whole =
        upload.offset === 0 ? createHash('sha256') : known?.offset === upload.offset ? known.hash.copy() : null
      const own = append.check ? createHash(append.algorithm) : null
      const written = await write(key, limited(source.upTo(room), most - upload.offset, upload), spread(whole, own))
      try {
        // A broken body has no digest, so nothing of it can be checked.
        if (append.check && source.error()) throw source.error()
        if (own) append.check?.(own)
        const part = { start: upload.offset, sizeBytes: written.sizeBytes }
        const seal = sealPartKey(fileKey, chance.bytes(12), part, key)
        const change = { sizeBytes: upload.sizeBytes, at: clock(), quotaBytes: rules.quota.bytes }
        const row = { ...part, blob: written.blob, seal }
        let answer = await written.offer(() => uploads.append(owner, upload, row, change))
        if (answer === 'quota' && (await trash.expireOf(owner))) {
          answer = await written.offer(() => uploads.append(owner, upload, row, change))
        }
        if (answer === 'stale') throw problems.uploadInUse()
        if (answer === 'quota') throw problems.quotaExceeded(rules.quota.bytes as number, 'bytes')
        if (answer === 'run-ended') throw ended(written.blob)
        const offset = upload.offset + written.sizeBytes
        upload = { ...upload, offset, parts: upload.parts + 1, touchedAt: change.at }
        if (whole) remember(upload.id, offset, whole)
        else digests.delete(upload.id)
      } finally {
        await written.dropUnlessPlaced()
      }
    }
    const error = source.error()
    if (error) throw error
    return upload
  }

  function ended(blob: string) {
    admission.end(blob.slice(0, blob.indexOf('/')))
    return runEnded()
  }

  function remember(id: string, offset: number, hash: Hash): void {
    digests.delete(id)
    digests.set(id, { offset, hash })
    const [oldest] = digests.keys()
    if (digests.size > MOST_DIGESTS && oldest !== undefined) digests.delete(oldest)
  }

  async function* limited(bytes: AsyncIterable<Uint8Array>, mostBytes: number, { sizeBytes }: Upload) {
    let count = 0
    for await (const chunk of bytes) {
      count += chunk.length
      if (count > mostBytes)
        throw sizeBytes === null ? problems.fileTooLarge(rules.maxFileBytes) : problems.inconsistentLength()
      yield chunk
    }
  }

  async function complete(
    owner: string,
    upload: Upload & { sizeBytes: number },
    fileKey: Buffer,
    { sha256: announced, guard }: Append['finish'],
  ): Promise<Appended> {
    const whole = upload.parts === 0 ? await storeEmpty(owner, upload, fileKey) : upload
    const secrets = { fileKey, sizeBytes: whole.offset, parts: whole.parts, sha256: '' }
    const known = digests.get(whole.id)
    const sha256 = known?.offset === whole.offset ? known.hash.copy().digest('hex') : await readBack(whole, secrets)
    if (announced !== null && announced !== sha256) {
      await uploads.remove(owner, whole.id)
      await collect([whole.id])
      throw problems.digestMismatch('Repr-Digest')
    }
    const content = {
      ...secrets,
      sha256,
      blob: null,
      version: whole.id,
      offer: <Answer>(commit: () => Promise<Answer>) => commit(),
    }
    const { onConflict, contentType } = whole
    const name = whole.name as string
    for (;;) {
      const spot =
        onConflict === 'replace'
          ? await placing.currentSpot(owner, name)
          : await placing.spotFor(owner, name, content, onConflict)
      guard(spot.current)
      const type = onConflict === 'replace' ? contentType : (spot.current?.contentType ?? contentType)
      const placement = await placing.place(owner, type, content, spot, 'trash')
      if (!placement) continue
      digests.delete(whole.id)
      const { id: fileId, name: fileName } = placement.file
      return { upload: { ...whole, fileId, fileName }, placement }
    }
  }

  async function storeEmpty(owner: string, upload: Upload & { sizeBytes: number }, fileKey: Buffer) {
    const key = chance.bytes(32)
    const hash = createHash('sha256')
    const written = await write(key, nothing(), hash)
    try {
      const part = { start: 0, sizeBytes: 0 }
      const row = { ...part, blob: written.blob, seal: sealPartKey(fileKey, chance.bytes(12), part, key) }
      const change = { sizeBytes: 0, at: clock(), quotaBytes: null }
      const answer = await written.offer(() => uploads.append(owner, upload, row, change))
      if (answer === 'run-ended') throw ended(written.blob)
      if (answer !== 'done') throw problems.uploadInUse()
    } finally {
      await written.dropUnlessPlaced()
    }
    remember(upload.id, 0, hash)
    return { ...upload, parts: 1 }
  }

  /** The digest of an upload that several processes have received. */
  async function readBack(upload: Upload, secrets: Secrets): Promise<string> {
    const file = { id: upload.id, version: upload.id }
    const reader = await openContent(ports, file, secrets, wholeOf(secrets.sizeBytes))
    if (!reader) throw problems.internalError(missingBlob(file, (await files.parts(upload.id, 0, 1))[0] ?? null))
    const hash = createHash('sha256')
    try {
      for (let chunks = await reader.next(); chunks; chunks = await reader.next()) {
        for (const chunk of chunks) hash.update(chunk)
      }
    } finally {
      await reader.close()
    }
    return hash.digest('hex')
  }
}

/** Removes the expired uploads of all users. */
export async function expireUploads({
  ports: { uploads, clock },
  rules: { uploadExpiryMs },
  repeat,
  collect,
}: Needs<'uploads' | 'clock', 'rules' | 'repeat' | 'collect'>): Promise<void> {
  await repeat(async () => {
    const { removed, versions } = await uploads.expire(clock() - uploadExpiryMs, BATCH)
    await collect(versions)
    return removed === BATCH
  })
}

/** The length of the whole, by the upload and the append. */
function lengthOf(upload: Upload, { sizeBytes, offset }: Append): number | null {
  if (sizeBytes === null) return upload.sizeBytes
  if (sizeBytes < offset || (upload.sizeBytes !== null && upload.sizeBytes !== sizeBytes)) {
    throw problems.inconsistentLength()
  }
  return sizeBytes
}

/** Feeds both. */
function spread(whole: Hash | null, own: Hash | null): Hashing {
  return {
    update(chunk) {
      whole?.update(chunk)
      own?.update(chunk)
    },
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

interface Stoppable {
  /** Waits for the next byte. False if there is none: at the end, or after an error. */
  hasMore(): Promise<boolean>
  /** The next bytes, at most so many. They end early if the source breaks off or is stopped. */
  upTo(bytes: number): AsyncGenerator<Uint8Array>
  /** Why the bytes ended before their end; `null` if they did not. */
  error(): unknown
  release(): Promise<void>
}

/** Bytes that can be stopped from outside, and that are taken piece by piece. */
function stoppable(bytes: AsyncIterable<Uint8Array>, stopped: Promise<unknown>): Stoppable {
  const iterator = bytes[Symbol.asyncIterator]()
  let rest: Uint8Array | null = null
  let error: unknown = null
  let ended = false
  const stop = stopped.then((reason) => ({ reason }))

  return {
    async hasMore() {
      rest ??= await next()
      return rest !== null
    },

    async *upTo(most) {
      let left = most
      while (left > 0) {
        const chunk: Uint8Array | null = rest ?? (await next())
        rest = null
        if (!chunk) return
        if (chunk.length > left) rest = chunk.subarray(left)
        yield chunk.length > left ? chunk.subarray(0, left) : chunk
        left -= Math.min(left, chunk.length)
      }
    },

    error: () => error,

    async release() {
      if (!ended) await iterator.return?.()
    },
  }

  async function next(): Promise<Uint8Array | null> {
    while (!ended) {
      const result = await Promise.race([iterator.next(), stop]).catch((cause: unknown) => ({ reason: cause }))
      if ('reason' in result) {
        error = result.reason
        ended = true
      } else if (result.done) {
        ended = true
      } else if (result.value.length > 0) {
        return result.value
      }
    }
    return null
  }
}
