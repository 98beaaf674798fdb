/** A plain HTTP client for tests. It adds nothing to a request and hides nothing of a response. */
import { type Agent, request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  bytes: Buffer
  /** Parsed if the type is JSON, else text. */
  body: unknown
}

export interface Call {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: string | Buffer | Readable
  /** The source address of the request, any of 127.0.0.0/8. */
  from?: string
  /** Keeps the connection for further requests. Without one, each request has a connection of its own. */
  agent?: Agent
  /** Gets each interim response (1xx). */
  onInterim?: (interim: { statusCode: number; headers: IncomingHttpHeaders }) => void
}

export function call(
  url: string,
  { method = 'GET', headers = {}, body, from, agent, onInterim }: Call = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Without an agent Node would send `Connection: close`.
    const kept = { connection: 'keep-alive', ...headers }
    // Certificates of tests are self-signed.
    const options = { method, headers: kept, agent: agent ?? false, rejectUnauthorized: false, localAddress: from }
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(chunks)
        const text = bytes.toString()
        const isJson = /[/+]json/.test(response.headers['content-type'] ?? '') && text !== ''
        const body = isJson ? parsed(text) : text
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, body })
      })
    })
    request.on('error', reject)
    if (onInterim) request.on('information', onInterim)
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body)
    else body.pipe(request)
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
