/**
 * Uploads that arrive in several requests. An append is one or more sealed parts of the version that the upload becomes, so
 * completing an upload moves no bytes. The protocols are in `routes/uploads/`. This folder has what they have in common.
 */
import type { Hash } from 'node:crypto'
import type { Taken } from '../../ports/files.ts'
import type { ListedUpload, Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { changedNothing } from '../files/admission.ts'
import type { Files, ReadForm } from '../files/files.ts'
import type { Placement } from '../files/placing.ts'
import type { Receive } from '../files/receiving.ts'
import type { StoredFile } from '../files/stored-file.ts'
import { openAppending } from './appending.ts'
import { openBeginning } from './beginning.ts'
import { openClaims } from './claims.ts'
import { openCompleting } from './completing.ts'
import { openConcatenating } from './concatenating.ts'
import { openRunningHashes } from './running-hashes.ts'
import { openStoring } from './storing.ts'

/** Expired uploads that are removed in one transaction. Other requests wait for it. */
const BATCH = 50

/** The conditions and choices for the moment when the upload becomes a file. */
export interface Finish {
  /** The digest of the whole that the client announced, in hex. */
  sha256: string | null
  /** Whether a version that is replaced by other bytes goes to the trash or is deleted. */
  replaced: 'trash' | 'discard'
  /** When the content was made; `null` if the client did not say. */
  taken: Taken | null
  /** Throws if the file of the name, or its absence, is not what the client requires. */
  guard(current: StoredFile | null): void
  /** `null` if the bytes of the upload are those of the file. */
  form: Form | null
}

/** The bytes of the upload are a form with the file and its name. */
export interface Form {
  /** The most bytes around the file. They count for no limit. */
  overheadBytes: number
  read(bytes: AsyncIterable<Buffer>, receive: Receive): Promise<ReadForm>
}

export interface NewUpload
  extends Finish,
    Pick<Upload, 'name' | 'contentType' | 'sizeBytes' | 'onConflict' | 'protocol' | 'terms'> {}

export interface Append {
  offset: number
  bytes: AsyncIterable<Uint8Array>
  /** The Content-Length of the request; `null` without one. */
  announcedBytes: number | null
  /** The length of the whole, if the request says it. */
  sizeBytes: number | null
  /**
   * Whether the request says that the upload is complete with it; `null` for a request of tus, which says nothing. Then, and for
   * every upload that was begun with tus, the upload is complete when its length is reached.
   */
  isLast: boolean | null
  /** Removes the upload if more bytes come than its length allows. */
  isStrict: boolean
  /** Throws if the bytes of this append are not those that the client intended. Then none of them is stored. */
  check: ((hash: Hash) => void) | null
  /** The algorithm of the hash for `check`. */
  algorithm: 'sha1' | 'sha256'
  finish: Finish
}

export interface Appended {
  upload: Upload
  /** Whether all bytes are there. */
  isWhole: boolean
  /** The file that the append completed; `null` if the upload is not complete, or was complete before. */
  placement: Placement | null
}

export interface Uploads {
  /**
   * Checks name, size, quota and conflicts, and records the upload. `tooManyUploads` if the owner has very many that are
   * not complete.
   */
  begin(owner: string, upload: NewUpload): Promise<Upload>
  /** An upload as it is now. A running append ends first, because its client has come back on another connection. */
  find(owner: string, id: string): Promise<Upload>
  /**
   * The same for a client that takes an upload with all its bytes for a file. If the last append broke off before that, the
   * upload becomes a file first. If that is refused, the upload stays as it is, and the next call tries again.
   */
  findWhole(owner: string, id: string, finish: (upload: Upload) => Finish): Promise<Upload>
  /**
   * Stores the bytes behind the others; `append` gets the upload as it is then. A running append of the same upload ends:
   * it is refused with `upload-in-use`. If the bytes break off, those that arrived are stored before the error is thrown,
   * unless there is a `check`. A refused completion leaves the upload as it is: an empty append tries it again.
   */
  append(owner: string, id: string, append: (upload: Upload) => Append): Promise<Appended>
  /**
   * Makes one file of uploads that have all their bytes, in this order, and removes those uploads. No bytes are moved, unless the
   * parts are tiny.
   */
  concatenate(owner: string, upload: NewUpload, pieces: string[]): Promise<Appended>
  /** The uploads of the owner that are not complete, the oldest first. */
  list(owner: string): Promise<ListedUpload[]>
  /** Removes an upload and its bytes. If the upload is complete, only its record is removed, and the file stays. */
  remove(owner: string, id: string): Promise<void>
  /** When an upload expires if nothing is appended. */
  expiresAt(upload: Pick<Upload, 'touchedAt'>): number
  /** Whether the file that the upload became is still under the name that it got then. */
  isInPlace(owner: string, upload: Pick<Upload, 'fileId' | 'fileName'>): Promise<boolean>
  /** For how long the upload goes on to exist if nothing is appended. */
  leftMs(upload: Pick<Upload, 'touchedAt'>): number
  /** Removes the expired uploads of all users. */
  expire(): Promise<void>
}

export function openUploads(
  context: Needs<
    'uploads' | 'files' | 'blobs' | 'clock' | 'chance' | 'users',
    | 'rules'
    | 'keys'
    | 'admission'
    | 'background'
    | 'repeat'
    | 'doubtfulBlobs'
    | 'collect'
    | 'placing'
    | 'trash'
    | 'turns'
    | 'unrecorded'
    | 'receivingTurns'
    | 'storingSlots'
  > &
    Pick<Files, 'add'>,
): Uploads {
  const { ports, rules, collect, placing, trash, turns } = context
  const { uploads, users, clock } = ports
  const begin = openBeginning({ ...context, refuseQuota })
  const hashes = openRunningHashes()
  const claim = openClaims(context)
  const store = openStoring({ ...context, hashes })
  const { complete } = openCompleting({ ...context, hashes, store, drop })
  const { append, stop } = openAppending({ ...context, store, claimed, drop, refuseQuota, complete })
  const concatenate = openConcatenating({ ...context, store, begin, claimed, drop, complete, stop })

  return {
    begin,
    append,
    concatenate,
    expiresAt,
    async isInPlace(owner, { fileId, fileName: name }) {
      return name !== null && (await placing.currentSpot(owner, name)).current?.id === fileId
    },
    leftMs: (upload) => Math.max(0, expiresAt(upload) - clock()),

    find,

    async findWhole(owner, id, finish) {
      const upload = await find(owner, id)
      const { name, sizeBytes, offset, fileId } = upload
      const asked = finish(upload)
      const isLeft = fileId === null && (name !== null || asked.form) && offset === sizeBytes
      if (!isLeft || rules.readOnly) return upload
      return (await complete(owner, upload, asked)).upload
    },

    async list(owner) {
      await turns.next(owner)
      return (await uploads.list(owner)).filter((upload) => !isExpired(upload))
    },

    async remove(owner, id) {
      await stop(owner, id)
      const upload = await uploads.find(owner, id)
      if (!(await drop(owner, id)) || !upload || isExpired(upload)) throw problems.uploadNotFound()
    },

    expire: () => expireUploads(context),
  }

  async function find(owner: string, id: string): Promise<Upload> {
    await stop(owner, id)
    if (rules.readOnly) return known(await uploads.find(owner, id))
    return claimed(owner, id).catch(async (error) => {
      // The disk is full. Nothing can be appended in any process.
      if (!changedNothing(error)) throw error
      return known(await uploads.find(owner, id))
    })
  }

  /** Takes the upload from any other append, in any process. */
  async function claimed(owner: string, id: string): Promise<Upload> {
    return known(await claim(owner, id))
  }

  function known(upload: Upload | null): Upload {
    if (!upload || isExpired(upload)) throw problems.uploadNotFound()
    return upload
  }

  async function drop(owner: string, id: string): Promise<boolean> {
    const removed = await uploads.remove(owner, id)
    hashes.forget(owner, id)
    if (removed) await collect(owner, [id])
    return removed
  }

  function expiresAt({ touchedAt }: Pick<Upload, 'touchedAt'>): number {
    return touchedAt + rules.uploadExpiryMs
  }

  function isExpired(upload: ListedUpload): boolean {
    return expiresAt(upload) <= clock()
  }

  async function refuseQuota(owner: string, bytes: number, isUpload: boolean): Promise<void> {
    if (rules.quota.bytes === null) return
    while (placing.isOverBytes(await users.usage(owner), bytes)) {
      if (!(await trash.expireOf(owner))) throw problems.quotaExceeded(rules.quota.bytes, 'bytes', { isUpload })
    }
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
    const { removed, versions } = await uploads.expire(clock() - uploadExpiryMs, BATCH, null)
    await collect(null, versions)
    return removed === BATCH
  })
}

/** The same for one user, so that they do not count for the quota. False if there were none. */
export async function expireUploadsOf(
  { ports: { uploads, clock }, rules, collect }: Needs<'uploads' | 'clock', 'rules' | 'collect'>,
  owner: string,
): Promise<boolean> {
  if (rules.readOnly) return false
  for (let some = false; ; some = true) {
    const { removed, versions } = await uploads.expire(clock() - rules.uploadExpiryMs, BATCH, owner)
    await collect(owner, versions)
    if (removed < BATCH) return some || removed > 0
  }
}
