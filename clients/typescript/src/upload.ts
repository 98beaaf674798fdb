/** Uploads. A small file is one request. A larger one is sent in pieces. */
import { disposition, reprDigest, textOfDate } from './encoding.ts'
import { isVaultError, VaultError } from './errors.ts'
import type { Files } from './files.ts'
import { digestOf, type Hashing } from './hashing.ts'
import { type Readable, readable, type Uploadable } from './sources.ts'
import { pathOfFile, type Transport } from './transport.ts'
import type { UnfinishedStore } from './unfinished.ts'
import { openSendingInPieces } from './upload-pieces.ts'
import type { FoundFile, StoredFile } from './wire.ts'

const MiB = 1024 * 1024
/** A file up to this size is sent in one request, and is kept in memory meanwhile. */
const SMALL_BYTES = 4 * MiB

export interface UploadOptions {
  /** By default the name of the file. */
  name?: string
  /** By default the type of the file. */
  contentType?: string
  /** When the content was made: RFC 3339 with an offset, or a `Date`. */
  takenAt?: string | Date
  /** If another file has the name: refuse (`fail`, the default), store as `beach (1).jpg`, or replace it. */
  onConflict?: 'fail' | 'rename' | 'replace'
  /** If a live file has the same bytes, under any name: `skip` (the default) sends nothing. */
  ifStored?: 'skip' | 'send'
  /** If the same bytes are only in the trash: `send` (the default), or `skip` because their owner deleted them. */
  ifTrashed?: 'skip' | 'send'
  /** The digest in hex, if it is known. */
  sha256?: string
  /** Called after each piece. */
  onProgress?: (progress: UploadProgress) => void
  signal?: AbortSignal
}

export interface UploadProgress {
  /** Bytes that were read for the digest. */
  hashed: number
  /** Bytes that the server has. */
  stored: number
  size: number
}

export type UploadResult =
  /** The file is stored now. */
  | { outcome: 'stored'; file: StoredFile }
  /** No bytes were sent: the same are stored already, or in the trash with `ifTrashed: 'skip'`. */
  | { outcome: 'found'; file: FoundFile }

export type Upload = (file: Uploadable, options?: UploadOptions) => Promise<UploadResult>

export interface Plan {
  name: string
  sha256: string
  source: Readable
  query: { onConflict?: 'rename' | 'replace' | undefined; takenAt?: string | undefined }
  contentType: string | undefined
  isFoundSkipped: (found: FoundFile) => boolean
  progress: (stored: number) => void
  signal: AbortSignal | undefined
}

export function openUpload(
  transport: Transport,
  files: Pick<Files, 'find' | 'lookup' | 'update' | 'uploads'>,
  unfinished: UnfinishedStore,
  hashing: Hashing,
): Upload {
  const { find, lookup, update } = files
  const sendInPieces = openSendingInPieces(transport, files, unfinished, found)
  /** Servers of the first version have no lookup. */
  let hasLookup = true

  return async function upload(file, options = {}) {
    const { signal, onProgress, takenAt, onConflict = 'fail', ifStored = 'skip', ifTrashed = 'send' } = options
    const given = readable(file)
    const name = options.name ?? given.name
    if (name === null) throw new VaultError('invalid-name', 'Give the name of the file.')
    const { size } = given
    const isSmall = size <= SMALL_BYTES
    const source = isSmall ? await inMemory(given) : given
    const report = (hashed: number, stored: number) => onProgress?.({ hashed, stored, size })
    const onHashed = (hashed: number) => report(hashed, 0)
    const sha256 = options.sha256 ?? (await digestOf(source, hashing, { signal, onProgress: onHashed }))
    const plan: Plan = {
      ...{ name, sha256, source, signal },
      query: {
        onConflict: onConflict === 'fail' ? undefined : onConflict,
        takenAt: textOfDate(takenAt),
      },
      contentType: options.contentType || given.type || undefined,
      isFoundSkipped: ({ state }) => (state === 'live' ? ifStored : ifTrashed) === 'skip',
      progress: (stored) => report(size, stored),
    }
    return (await found(plan)) ?? (isSmall ? sendWhole(plan) : sendInPieces(plan))
  }

  async function found({ sha256, isFoundSkipped, signal }: Plan): Promise<UploadResult | null> {
    const isWanted = isFoundSkipped({ state: 'live' } as FoundFile) || isFoundSkipped({ state: 'trash' } as FoundFile)
    if (!hasLookup || !isWanted) return null
    try {
      const entries = (await lookup([sha256], { signal })).sort((a, b) => (a.state < b.state ? -1 : 1))
      const file = entries.find(isFoundSkipped)
      // A live file is not sent again, even if there is a copy in the trash.
      return file ? { outcome: 'found', file } : null
    } catch (error) {
      if (!(error instanceof VaultError) || ![404, 405].includes(error.status ?? 0)) throw error
      hasLookup = false
      return null
    }
  }

  /** One request. Repeating it is safe: the same bytes under the same name are no conflict. */
  async function sendWhole(plan: Plan): Promise<UploadResult> {
    const { name, sha256, source, query, contentType, signal } = plan
    const headers = { 'content-type': contentType ?? 'application/octet-stream', 'repr-digest': reprDigest(sha256) }
    const call = { body: await source.body(0, source.size), isRepeatable: true, signal }
    const { onConflict, takenAt } = query
    const file =
      onConflict === 'rename'
        ? await transport.json<StoredFile>({
            ...{ ...call, method: 'POST', path: '/v1/uploads', query },
            headers: { ...headers, 'content-disposition': disposition(name), 'upload-complete': '?1' },
          })
        : await transport
            .json<StoredFile>({
              ...{ ...call, method: 'PUT', path: pathOfFile(name), query: { takenAt } },
              headers: { ...headers, 'if-none-match': onConflict === 'replace' ? null : '*' },
            })
            .catch((error) => ownOrTaken(error, plan))
    plan.progress(source.size)
    return { outcome: 'stored', file }
  }

  /** The name is taken: perhaps by the request before, whose response was lost. */
  async function ownOrTaken(error: unknown, { name, sha256, query: { takenAt }, signal }: Plan): Promise<StoredFile> {
    if (!isVaultError(error, 'precondition-failed')) throw error
    const file = await find(name, { signal })
    if (file?.sha256 === sha256) {
      // The refused request would have set it.
      return takenAt === undefined
        ? file
        : update(name, { takenAt }, { ifMatch: `"${sha256}"`, ...(signal && { signal }) })
    }
    const { requestId } = error
    throw new VaultError('file-exists', 'Another file has this name.', { status: 409, requestId, cause: error })
  }
}

async function inMemory(source: Readable): Promise<Readable> {
  const bytes = await source.bytes(0, source.size)
  return { ...readable(bytes), name: source.name, type: source.type }
}
