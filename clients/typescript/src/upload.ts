/**
 * Uploads. A small file is one PUT. A larger one is an upload of the IETF's draft (docs/uploads.md): it is created without
 * bytes, and PATCH requests append the pieces. After a break the server says where to go on.
 */
import { mayHaveArrived, sleep, throwIfAborted, waitMs, wasRefusedForNow } from './backoff.ts'
import { disposition, reprDigest, textOfDate } from './encoding.ts'
import { isVaultError, VaultError } from './errors.ts'
import type { Files } from './files.ts'
import { digestOf, type Hashing } from './hashing.ts'
import { type Readable, readable, type Uploadable } from './sources.ts'
import { pathOfFile, segment, type Transport } from './transport.ts'
import type { UnfinishedStore } from './unfinished.ts'
import type { FoundFile, StoredFile } from './wire.ts'

const MiB = 1024 * 1024
/** A file up to this size is sent in one request, and is kept in memory meanwhile. */
const SMALL_BYTES = 4 * MiB
/** A piece grows while it takes less than a second, and shrinks when it takes longer than ten. */
const PIECE_BYTES = { first: MiB, least: MiB / 4, most: 16 * MiB }

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

interface Plan {
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
  { find, lookup, update, uploads }: Pick<Files, 'find' | 'lookup' | 'update' | 'uploads'>,
  unfinished: UnfinishedStore,
  hashing: Hashing,
): Upload {
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
            ...call,
            ...creation(plan),
            headers: { ...headers, ...naming(name, '?1') },
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

  async function sendInPieces(plan: Plan): Promise<UploadResult> {
    const { name, sha256, source, signal, progress } = plan
    const key = `${sha256} ${name}`
    const piece = growing()
    const terms = JSON.stringify({ ...plan.query, contentType: plan.contentType })
    let id = await idOf(key, terms, signal)
    /** `null`: the server has to say it. */
    let offset: number | null = null
    let hasSent = false
    for (let breaks = 0; ; ) {
      throwIfAborted(signal)
      try {
        if (id === null) {
          id = await begin(plan)
          offset = 0
          await unfinished.set(key, { server: transport.server, id, terms })
        }
        const from: number | typeof COMPLETE = offset ?? (await offsetOf(id, signal))
        if (from === COMPLETE) {
          const result = await completed(key, plan)
          if (result) return result
          if (hasSent)
            throw new VaultError('file-not-found', 'The file was stored, and is gone already.', { status: 404 })
          // An earlier call had stored it, and its owner has deleted it since.
          id = null
          continue
        }
        hasSent = true
        progress(from)
        const to = Math.min(source.size, from + piece.bytes())
        offset = null
        const startedAt = Date.now()
        const file = await append(id, plan, from, to)
        piece.took(Date.now() - startedAt, to - from)
        offset = to
        breaks = 0
        if (file) {
          await unfinished.delete(key)
          progress(to)
          return { outcome: 'stored', file }
        }
      } catch (error) {
        throwIfAborted(signal)
        if (!(error instanceof VaultError)) throw error
        if (id !== null && canNeverEnd(error)) await giveUp(key, id, signal)
        if (breaks >= transport.retry.attempts) throw error
        offset = null
        if (error.status === 404) {
          // The upload has expired, or was complete before that.
          await unfinished.delete(key)
          const file = await found(plan)
          if (file) return file
          id = null
        } else if (!canGoOn(error)) {
          throw error
        }
        const ms = waitMs(breaks, error, transport.retry)
        if (ms === null) throw error
        breaks += 1
        piece.broke()
        await sleep(ms, signal)
      }
    }
  }

  /** The remembered upload. One with other choices, for example how to resolve a conflict, is cancelled: they cannot be changed. */
  async function idOf(key: string, terms: string, signal: AbortSignal | undefined): Promise<string | null> {
    const known = await unfinished.get(key)
    if (known?.server !== transport.server) return null
    if (known.terms === terms) return known.id
    await uploads.cancel(known.id, { ...(signal && { signal }) }).catch((error) => {
      if (!(error instanceof VaultError) || error.status !== 404) throw error
    })
    await unfinished.delete(key)
    return null
  }

  /** So that its bytes do not count against the quota until it expires. */
  async function giveUp(key: string, id: string, signal: AbortSignal | undefined): Promise<void> {
    await unfinished.delete(key)
    await uploads.cancel(id, { ...(signal && { signal }) }).catch(() => {})
  }

  /** Creates the upload without bytes, so that its address is known before the first break. */
  async function begin(plan: Plan): Promise<string> {
    const { name, sha256, source, contentType, signal } = plan
    const headers = {
      'content-type': contentType ?? 'application/octet-stream',
      'upload-length': String(source.size),
      'repr-digest': reprDigest(sha256),
      ...naming(name, '?0'),
    }
    // A lost response leaves an upload without bytes, which expires.
    const call = { ...creation(plan), headers, isRepeatable: true, attempts: 0, signal }
    return transport.send(call, ({ headers }) => {
      const id = /\/v1\/uploads\/([^/]+)$/.exec(headers.get('location') ?? '')?.[1]
      if (id === undefined) throw new VaultError('unexpected-response', 'The response has no Location of an upload.')
      return decodeURIComponent(id)
    })
  }

  function offsetOf(id: string, signal: AbortSignal | undefined): Promise<number | typeof COMPLETE> {
    return transport.send({ method: 'HEAD', path: pathOf(id), attempts: 0, signal }, ({ headers }) => {
      if (headers.get('upload-complete') === '?1') return COMPLETE
      const offset = headers.get('upload-offset')
      if (offset === null) throw new VaultError('unexpected-response', 'The response has no Upload-Offset.')
      return Number(offset)
    })
  }

  /** Returns the file if the upload is complete. */
  async function append(id: string, { source, signal }: Plan, from: number, to: number): Promise<StoredFile | null> {
    const headers = {
      'content-type': 'application/partial-upload',
      'upload-offset': String(from),
      'upload-complete': to === source.size ? '?1' : '?0',
    }
    const body = await source.body(from, to)
    const call = { method: 'PATCH', path: pathOf(id), headers, body, attempts: 0, signal } as const
    return transport.send(call, async (response) => (response.status === 204 ? null : response.json()))
  }

  /** The last response was lost. `null` if the file is there no more. */
  async function completed(key: string, plan: Plan): Promise<UploadResult | null> {
    await unfinished.delete(key)
    const file = await find(plan.name, { signal: plan.signal })
    if (file?.sha256 === plan.sha256) return { outcome: 'stored', file }
    // Under another name, with `rename`.
    const entries = await lookup([plan.sha256], { signal: plan.signal })
    const other = entries.find(({ state }) => state === 'live') ?? entries.find(plan.isFoundSkipped)
    return other ? { outcome: 'found', file: other } : null
  }
}

const COMPLETE = 'complete'

const pathOf = (id: string) => `/v1/uploads/${segment(id)}`

const creation = ({ query }: Plan) => ({ method: 'POST', path: '/v1/uploads', query }) as const

const naming = (name: string, complete: '?0' | '?1') => ({
  'content-disposition': disposition(name),
  'upload-complete': complete,
})

/** The file has other bytes than those that were hashed, and that the server was told of. */
const canNeverEnd = ({ code }: VaultError) => code === 'file-changed' || code === 'digest-mismatch'

/** The upload is still there, and an append at the right offset may succeed. */
function canGoOn(error: VaultError): boolean {
  const isElsewhere = error.code === 'mismatching-upload-offset' || error.code === 'upload-in-use'
  return isElsewhere || mayHaveArrived(error) || wasRefusedForNow(error)
}

async function inMemory(source: Readable): Promise<Readable> {
  const bytes = await source.bytes(0, source.size)
  return { ...readable(bytes), name: source.name, type: source.type }
}

function growing() {
  let bytes = PIECE_BYTES.first
  return {
    bytes: () => bytes,
    took(ms: number, sent: number) {
      if (ms < 1000 && sent >= bytes) bytes = Math.min(PIECE_BYTES.most, bytes * 2)
      if (ms > 10_000) bytes = Math.max(PIECE_BYTES.least, bytes / 2)
    },
    broke() {
      bytes = PIECE_BYTES.first
    },
  }
}
