/**
 * Larger uploads, by the IETF's draft (docs/uploads.md): an upload is created without bytes, and PATCH requests append the
 * pieces. After a break the server says where to go on.
 */
import { mayHaveArrived, sleep, throwIfAborted, waitMs, wasRefusedForNow } from './backoff.ts'
import { disposition, reprDigest } from './encoding.ts'
import { VaultError } from './errors.ts'
import type { Files } from './files.ts'
import { segment, type Transport } from './transport.ts'
import type { UnfinishedStore } from './unfinished.ts'
import type { Plan, UploadResult } from './upload.ts'
import type { StoredFile } from './wire.ts'

const MiB = 1024 * 1024
/** A piece grows while it takes less than a second, and shrinks when it takes longer than ten. */
const PIECE_BYTES = { first: MiB, least: MiB / 4, most: 16 * MiB }
const COMPLETE = 'complete'

/** `found` looks a file up that need not be sent. */
export function openSendingInPieces(
  transport: Transport,
  { find, lookup, uploads }: Pick<Files, 'find' | 'lookup' | 'uploads'>,
  unfinished: UnfinishedStore,
  found: (plan: Plan) => Promise<UploadResult | null>,
) {
  return sendInPieces

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
    const { name, sha256, source, query, contentType, signal } = plan
    const headers = {
      'content-type': contentType ?? 'application/octet-stream',
      'upload-length': String(source.size),
      'repr-digest': reprDigest(sha256),
      'content-disposition': disposition(name),
      'upload-complete': '?0',
    }
    // A lost response leaves an upload without bytes, which expires.
    const call = {
      method: 'POST',
      path: '/v1/uploads',
      query,
      headers,
      isRepeatable: true,
      attempts: 0,
      signal,
    } as const
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

const pathOf = (id: string) => `/v1/uploads/${segment(id)}`

/** The file has other bytes than those that were hashed, and that the server was told of. */
const canNeverEnd = ({ code }: VaultError) => code === 'file-changed' || code === 'digest-mismatch'

/** The upload is still there, and an append at the right offset may succeed. */
function canGoOn(error: VaultError): boolean {
  const isElsewhere = error.code === 'mismatching-upload-offset' || error.code === 'upload-in-use'
  return isElsewhere || mayHaveArrived(error) || wasRefusedForNow(error)
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
