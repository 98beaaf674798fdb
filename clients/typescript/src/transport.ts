/** Sends requests: with the token, with retries where repeating is safe, and with a limit on how long nothing happens. */
import { mayHaveArrived, type Retry, sleep, throwIfAborted, waitMs, wasRefusedForNow } from './backoff.ts'
import { encoded } from './encoding.ts'
import { refusalOf, VaultError } from './errors.ts'
import type { TokenStore } from './tokens.ts'

export interface Call {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** From `/v1` on. */
  path: string
  query?: Record<string, string | number | null | undefined>
  headers?: Record<string, string | null | undefined>
  /** Sent as JSON. */
  json?: unknown
  body?: Uint8Array | Blob
  signal?: AbortSignal | undefined
  /** Carrying the request out twice is the same as once. By default true for GET, HEAD and DELETE. */
  isRepeatable?: boolean
  /** How often it is sent again, if not as often as usual. */
  attempts?: number
  /** The body is read after `read`: the signal ends it then, too. */
  isStream?: boolean
  /** How much longer than usual the response may take. */
  extraMs?: number
}

export interface Transport {
  readonly server: string
  readonly token: TokenStore
  readonly retry: Retry
  readonly timeoutMs: number
  /** Reads a successful response with `read`. A refusal throws. */
  send<Result>(call: Call, read: (response: Response) => Result | Promise<Result>): Promise<Result>
  json<Result>(call: Call): Promise<Result>
  /** For a 204. */
  done(call: Call): Promise<void>
}

export interface TransportOptions {
  server: string
  token: TokenStore
  user: () => string | null
  fetch: typeof globalThis.fetch
  retry: Retry
  timeoutMs: number
}

/** A connection that is slower than this counts as broken. */
const SLOWEST_BYTES_PER_MS = 4

export function openTransport({ server, token, user, fetch, retry, timeoutMs }: TransportOptions): Transport {
  const transport: Transport = {
    ...{ server, token, retry, timeoutMs, send },
    json: (call) => send(call, (response) => response.json()),
    done: (call) => send(call, ({ status }) => expected(status === 204)),
  }
  return transport

  async function send<Result>(call: Call, read: (response: Response) => Result | Promise<Result>): Promise<Result> {
    const { method = 'GET', signal, attempts = retry.attempts } = call
    const isRepeatable = call.isRepeatable ?? ['GET', 'HEAD', 'DELETE'].includes(method)
    // A retry is for the same user, and so is the response.
    const userId = user()
    const hasLeft = () => userId !== null && user() !== userId
    let mayBeDone = false
    for (let attempt = 0; ; attempt += 1) {
      throwIfAborted(signal)
      try {
        const result = await sendOnce(call, userId, read)
        if (!hasLeft()) return result
      } catch (error) {
        throwIfAborted(signal)
        if (hasLeft()) throw otherUser()
        if (!(error instanceof VaultError)) throw error
        // The first attempt deleted it, but its response was lost.
        if (mayBeDone && method === 'DELETE' && error.status === 404) return undefined as Result
        const isSafe = wasRefusedForNow(error) || (isRepeatable && mayHaveArrived(error))
        const ms = isSafe && attempt < attempts ? waitMs(attempt, error, retry) : null
        if (ms === null) throw error
        mayBeDone ||= mayHaveArrived(error)
        await sleep(ms, signal)
      }
      if (hasLeft()) throw otherUser()
    }
  }

  async function sendOnce<Result>(
    call: Call,
    userId: string | null,
    read: (response: Response) => Result | Promise<Result>,
  ): Promise<Result> {
    const { method = 'GET', json, signal, extraMs = 0 } = call
    const body = json === undefined ? call.body : JSON.stringify(json)
    const bodyBytes = call.body instanceof Uint8Array ? call.body.length : (call.body?.size ?? 0)
    const headers = await headersOf(call, userId)
    const limit = timeLimit(timeoutMs + extraMs + bodyBytes / SLOWEST_BYTES_PER_MS, signal)
    try {
      const response = await fetch(server + call.path + queryOf(call.query), {
        method,
        headers,
        ...(body !== undefined && { body: body as BodyInit }),
        signal: limit.signal,
      })
      if (!response.ok) throw await refusalOf(response)
      return await read(response)
    } catch (error) {
      throw error instanceof VaultError ? error : faultOf(error, limit.isOver())
    } finally {
      if (call.isStream) limit.pause()
      else limit.clear()
    }
  }

  async function headersOf({ headers = {}, json }: Call, userId: string | null): Promise<Record<string, string>> {
    const given = Object.entries(headers).filter((entry): entry is [string, string] => entry[1] != null)
    const bearer = await token.get()
    return {
      ...(bearer !== null && { authorization: `Bearer ${bearer}` }),
      ...(userId !== null && { 'x-vault-user': userId }),
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...Object.fromEntries(given),
    }
  }
}

/** As if the caller had aborted the call: its result would be shown to somebody else. */
const otherUser = () => new DOMException('The user of this call has left.', 'AbortError')

/** A proxy, or a network, may answer 200 with a page of its own, also after a redirect that `fetch` follows. */
export function expected(isOurs: boolean): void {
  if (!isOurs) throw new VaultError('unexpected-response', 'The response is of something else than the vault.')
}

export const typeOf = ({ headers }: Response): string => headers.get('content-type') ?? ''

/** The error of the platform, as one of ours. */
export function faultOf(error: unknown, isLate: boolean): VaultError {
  if (isLate) return new VaultError('timeout', 'There was no response in time.', { cause: error })
  if (error instanceof SyntaxError)
    return new VaultError('unexpected-response', 'The body is no JSON.', { cause: error })
  return new VaultError('network-error', 'The connection could not be made, or broke.', { cause: error })
}

export type TimeLimit = ReturnType<typeof timeLimit>

/** A signal that is aborted after the time, or with the other signal. */
export function timeLimit(ms: number, other: AbortSignal | undefined) {
  const controller = new AbortController()
  let isOver = false
  const end = () => {
    isOver = true
    controller.abort()
  }
  const follow = () => controller.abort(other?.reason)
  let timer = setTimeout(end, ms)
  if (other?.aborted) follow()
  other?.addEventListener('abort', follow)
  return {
    signal: controller.signal,
    isOver: () => isOver,
    abort: () => controller.abort(),
    restart() {
      clearTimeout(timer)
      timer = setTimeout(end, ms)
    },
    pause: () => clearTimeout(timer),
    clear() {
      clearTimeout(timer)
      other?.removeEventListener('abort', follow)
    },
  }
}

/** Leaves out `null` and `undefined`. */
export function queryOf(query: Call['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => (value == null ? [] : [`${name}=${encoded(value)}`]))
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

export const pathOfExport = (ids?: readonly string[]): string =>
  `/v1/me/export${ids ? `?ids=${ids.map(encoded).join(',')}` : ''}`

export const pathOfFile = (name: string): string => `/v1/files/${segment(name)}`

/** A name or an id in a path. URL parsers resolve `.` and `..`, also as `%2e`, and the request would be for another resource. */
export function segment(text: string): string {
  if (text === '.' || text === '..') throw new VaultError('invalid-name', `“${text}” cannot be a name.`)
  return encoded(text)
}
