/** Requests that the client for apps does not send: forms, plain replacements, tus. They are retried as a good client does. */
import { setTimeout as pause } from 'node:timers/promises'
import { refusalOf, VaultError } from '../../clients/typescript/src/errors.ts'
import type { Told } from './acts.ts'
import type { Random } from './random.ts'

export type Raw = ReturnType<typeof rawRequests>

const TIMEOUT_MS = 15_000
const ATTEMPTS = 12
const RETRY_MS = 500
const TUS = { 'tus-resumable': '1.0.0' }

interface Ask {
  method?: string
  headers?: Record<string, string>
  body?: Buffer | FormData
}

export function rawRequests(options: { baseUrl: string; token: () => string | null; fetch: typeof fetch }) {
  return {
    ask,
    askPatiently,

    async bytesOf(name: string): Promise<Buffer> {
      return (await askPatiently(() => ask(pathOf(name)))).bytes
    },

    async form(name: string, bytes: Buffer, takenAt: string | null): Promise<Told> {
      const { body } = await askPatiently(() => {
        const form = new FormData()
        if (takenAt !== null) form.append('takenAt', takenAt)
        form.append('file', new Blob([Uint8Array.from(bytes)], { type: 'image/jpeg' }), name)
        return ask('/v1/files?onConflict=rename', { method: 'POST', body: form })
      })
      return body as Told
    },

    /** Once a response was lost, `ifMatch` no longer holds if the version was replaced. */
    async put(
      name: string,
      bytes: Buffer,
      how: { takenAt?: string | null; discard?: boolean; ifMatch?: string } = {},
    ): Promise<Told> {
      const { takenAt, discard, ifMatch } = how
      const query = new URLSearchParams({
        ...(takenAt && { takenAt }),
        ...(discard && { replaced: 'discard' }),
      })
      let isFirst = true
      const { body } = await askPatiently(() => {
        const headers = isFirst && ifMatch ? { 'if-match': ifMatch } : {}
        isFirst = false
        return ask(`${pathOf(name)}?${query}`, { method: 'PUT', headers, body: bytes })
      })
      return body as Told
    },

    /** In two to four appends. After a break it asks for the offset. */
    async tus(name: string, bytes: Buffer, random: Random): Promise<Told> {
      const path = await begin(name, bytes.length)
      const cuts = Array.from({ length: 1 + random.int(3) }, () => random.int(bytes.length + 1))
      await append(path, bytes, [...cuts, bytes.length])
      return {}
    },

    begin,
    append,
    offsetOf,
  }

  /** Returns the path of the upload. If the response is lost, an upload without bytes stays, and expires. */
  async function begin(name: string, size: number): Promise<string> {
    const metadata = `filename ${Buffer.from(name).toString('base64')}`
    const headers = { ...TUS, 'upload-length': String(size), 'upload-metadata': metadata }
    const answer = await askPatiently(() => ask('/v1/uploads', { method: 'POST', headers }))
    return new URL(answer.headers.get('location') as string, options.baseUrl).pathname
  }

  /** Sends up to each of the offsets in turn. */
  async function append(path: string, bytes: Buffer, offsets: number[]): Promise<void> {
    let offset = 0
    for (const to of [...offsets].sort((a, b) => a - b)) {
      let isKnown = true
      await askPatiently(async () => {
        if (!isKnown) offset = await offsetOf(path)
        isKnown = false
        if (offset >= to && offset > 0) return
        const headers = { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' }
        await ask(path, { method: 'PATCH', headers, body: bytes.subarray(offset, to) })
        offset = to
      })
    }
  }

  async function offsetOf(path: string): Promise<number> {
    const { headers } = await ask(path, { method: 'HEAD', headers: TUS })
    return Number(headers.get('upload-offset'))
  }

  async function ask(path: string, { method = 'GET', headers = {}, body }: Ask = {}) {
    const token = options.token()
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` }
    try {
      const response = await options.fetch(options.baseUrl + path, {
        method,
        headers: { ...authorization, ...headers },
        ...(body !== undefined && { body: body as BodyInit }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      if (!response.ok) throw await refusalOf(response)
      const bytes = Buffer.from(await response.arrayBuffer())
      const isJson = response.headers.get('content-type')?.includes('json')
      return { status: response.status, headers: response.headers, bytes, body: isJson ? JSON.parse(`${bytes}`) : null }
    } catch (error) {
      if (error instanceof VaultError) throw error
      throw new VaultError('network-error', String(error), { cause: error })
    }
  }

  /** Sends again what the server did not answer, or could not do at the moment. */
  async function askPatiently<T>(send: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send()
      } catch (error) {
        if (!(error instanceof VaultError) || !isForNow(error) || attempt === ATTEMPTS) throw error
        await pause(RETRY_MS)
      }
    }
  }
}

/** 409 and 423: the server still has the connection that broke. */
function isForNow({ status, code }: VaultError): boolean {
  if (code === 'incomplete-body') return true
  if (code === 'mismatching-upload-offset' || code === 'upload-in-use') return true
  return status === null || [408, 423, 429, 502, 503, 504, 507].includes(status)
}

const pathOf = (name: string) => `/v1/files/${encodeURIComponent(name)}`
