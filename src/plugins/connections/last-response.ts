/** Responses that end a connection, where there is no request object but only a socket. */
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { KnownPaths } from '../../http/known-paths.ts'
import { type ParseError, unparsedRequest } from '../../http/unparsed-requests.ts'
import { type Problem, problems } from '../../problems.ts'
import { PROBLEM_JSON } from '../../schemas/common.ts'
import type { OriginHeaders } from '../headers/cross-origin.ts'
import { safeDefaultsOn } from '../headers/safe-defaults.ts'
import { isReadableTarget } from '../intake/strict-http.ts'
import { requestIdOf } from '../trace/request-id.ts'
import { connectionOf, replaceBy } from './open-connections.ts'

/** How long a client may continue to send after the last response of its connection. */
const LAST_RESPONSE_MS = 1000

/** Gets each refusal of bytes that are no request, except those in place of the response to a running request. */
export type Refused = (refusal: { socket: Socket; status: number; requestId: string }) => void

/** Answers bytes that are no HTTP request to Node's parser. There is no request object, only a socket. */
export function noiseResponses(paths: KnownPaths, originHeaders: OriginHeaders, refused: Refused) {
  return (error: ParseError, socket: Socket): void => {
    // If the connection was reset, or TLS has failed or not begun, no response can be sent.
    const unreachable = error.code === 'ECONNRESET' || /^ERR_(TLS|SSL)_/.test(error.code ?? '')
    if (unreachable) return void socket.destroy()
    const connection = connectionOf(socket)
    if (connection.isNoisy) return
    connection.isNoisy = true
    const { target, headers } = unparsedRequest(error)
    const problem = target === null ? noise(error.code) : refusedMethod(target, paths)
    const request = { headers }
    afterCompleteRequests(socket, () => {
      const isOwn = respondLast(socket, problem, request, originHeaders(headers.origin))
      if (isOwn) refused({ socket, status: problem.status, requestId: requestIdOf(request) })
    })
  }
}

/**
 * Runs `respond` after the responses to complete requests are sent, because those requests are still executed
 * (RFC 9112, section 9.3.2). An incomplete request can no longer be executed.
 */
export function afterCompleteRequests(socket: Socket, respond: () => void): void {
  const last = [...connectionOf(socket).responses].at(-1)
  if (!last?.req.complete) {
    respond()
    return
  }
  // Nothing is read until the responses are sent.
  socket.pause()
  last.once('close', () => {
    if (socket.destroyed) return
    socket.resume()
    respond()
  })
}

/** The parser knows only the methods of its list. Any other is refused as a method that the path does not take. */
function refusedMethod(target: string, paths: KnownPaths): Problem {
  return isReadableTarget(target) ? paths.refusalOf(target) : problems.malformedUrl()
}

/**
 * Ends a connection with this response. Without a response if the client could not tell which request it belongs to.
 * `request` is what is known of that request. True if the response was written, and no running request has a line in the log for it.
 */
export function respondLast(
  socket: Socket,
  problem: Problem,
  request: { headers: IncomingHttpHeaders } = { headers: {} },
  headers: Record<string, string> = {},
): boolean {
  const [response, ...others] = connectionOf(socket).responses
  // After the headers of a response, or before several responses, the client would misread the refusal.
  const misleading = response?.headersSent || others.length > 0
  if (misleading || !socket.writable) {
    socket.destroy()
    return false
  }
  if (response) replaceBy(response, problem.status)
  respondRaw(socket, problem, response?.req ?? request, headers)
  // Destroyed later: the client may still be sending, and a reset would discard the response before the client reads it.
  setTimeout(() => socket.destroy(), LAST_RESPONSE_MS).unref()
  return response === undefined
}

/** Writes a complete response to the socket, as the last one of its connection. */
export function respondRaw(
  socket: Socket,
  problem: Problem,
  request: { headers: IncomingHttpHeaders } = { headers: {} },
  headers: Record<string, string> = {},
): void {
  const requestId = requestIdOf(request)
  const body = JSON.stringify(problem.toDocument(requestId))
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      `Content-Type: ${PROBLEM_JSON}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Date: ${new Date().toUTCString()}`,
      `X-Request-Id: ${requestId}`,
      'Connection: close',
      ...Object.entries({ ...safeDefaultsOn(socket), ...headers, ...problem.headers }).map(
        ([name, value]) => `${name}: ${value}`,
      ),
      '',
      body,
    ].join('\r\n'),
  )
}

function noise(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return problems.headersTooLarge()
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return problems.requestTimeout()
  if (code === 'HPE_INVALID_EOF_STATE') return problems.incompleteBody()
  return problems.malformedHttp()
}
