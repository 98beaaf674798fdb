/** Turns every thrown error into an `application/problem+json` response (RFC 9457). */
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { logOf } from '../http/request-logs.ts'
import { Problem, type ProblemCode, problems } from '../problems.ts'
import { PROBLEM_JSON } from '../schemas/common.ts'
import { safeDefaultsOn, setSafeDefaults } from './headers/safe-defaults.ts'
import { JSON_BODY_BYTES } from './intake/json-bodies.ts'
import { sendRefusal } from './intake/unread-body.ts'
import { requestIdOf } from './trace/request-id.ts'

/** How long a client may continue to send after the last response of its connection. */
const LAST_RESPONSE_MS = 1000

export const errors = fastifyPlugin(async (app) => {
  const paths = new Map<string, { pattern: RegExp; methods: Set<string> }>()

  app.server.on('request', (_request, response: ServerResponse) => {
    const responses = openResponses.get(response.req.socket) ?? new Set()
    openResponses.set(response.req.socket, responses.add(response))
    response.once('close', () => responses.delete(response))
  })
  app.server.on('connect', (_request, socket: Socket) => {
    // Node has removed its own listeners. Without ours, an error would end the process, and the end would not be noticed.
    socket.on('error', () => socket.destroy())
    socket.resume()
    afterCompleteRequests(socket, () => respondLast(socket, problems.malformedHttp()))
  })

  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const known = paths.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const one of [method].flat()) known.methods.add(one)
    paths.set(url, known)
  })

  app.setErrorHandler(respond)
  // For plugins that call `reply.callNotFound()`.
  app.setNotFoundHandler(() => {
    throw problems.notFound()
  })

  // In a hook, not in the not-found handler: a handler runs after the body was read.
  app.addHook('onRequest', async (request) => {
    if (!request.is404) return
    const path = pathOf(request.url)
    const allowed = [...paths.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods])
    throw allowed.length > 0 ? problems.methodNotAllowed([...new Set(allowed)].sort()) : problems.notFound()
  })
})

/** For errors that the framework finds before any route or hook has run. */
export function respondEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setSafeDefaults(request, reply)
  reply.header('x-request-id', request.id)
  respond(error, request, reply)
}

/** The unfinished responses of each connection. */
const openResponses = new WeakMap<Socket, Set<ServerResponse>>()

/** Connections that sent bytes that are no HTTP request. Node emits an error for each piece of them. */
const noisy = new WeakSet<Socket>()

/** Answers bytes that are no HTTP request. There is no request object, only a socket. */
export function respondToNoise(error: Error & { code?: string }, socket: Socket): void {
  // If the connection was reset, or TLS has failed or not begun, no response can be sent.
  const unreachable = error.code === 'ECONNRESET' || /^ERR_(TLS|SSL)_/.test(error.code ?? '')
  if (unreachable) return void socket.destroy()
  if (noisy.has(socket)) return
  noisy.add(socket)
  afterCompleteRequests(socket, () => respondLast(socket, noise(error.code)))
}

/**
 * Runs `respond` after the responses to complete requests are sent, because those requests are still executed
 * (RFC 9112, section 9.3.2). An incomplete request can no longer be executed.
 */
function afterCompleteRequests(socket: Socket, respond: () => void): void {
  const last = [...(openResponses.get(socket) ?? [])].at(-1)
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

/** Ends a connection with this response. Without a response if the client could not tell which request it belongs to. */
export function respondLast(socket: Socket, problem: Problem): void {
  const [response, ...others] = openResponses.get(socket) ?? []
  // After the headers of a response, or before several responses, the client would misread the refusal.
  const misleading = response?.headersSent || others.length > 0
  if (misleading || !socket.writable) return void socket.destroy()
  respondRaw(socket, problem)
  // Destroyed later: the client may still be sending, and a reset would discard the response before the client reads it.
  setTimeout(() => socket.destroy(), LAST_RESPONSE_MS).unref()
}

/** Writes a complete response to the socket, as the last one of its connection. */
export function respondRaw(socket: Socket, problem: Problem): void {
  const requestId = requestIdOf({ headers: {} })
  const body = JSON.stringify(problem.toDocument(requestId))
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
      `Content-Type: ${PROBLEM_JSON}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Date: ${new Date().toUTCString()}`,
      `X-Request-Id: ${requestId}`,
      'Connection: close',
      ...Object.entries({ ...safeDefaultsOn(socket), ...problem.headers }).map(([name, value]) => `${name}: ${value}`),
      '',
      body,
    ].join('\r\n'),
  )
}

function respond(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request)
  logProblem(problem, request)
  reply.code(problem.status).headers(problem.headers).type(PROBLEM_JSON)
  // Sent as bytes: for a string the framework adds a charset, which this media type does not have.
  sendRefusal(reply, Buffer.from(JSON.stringify(problem.toDocument(request.id))))
}

const NOT_LOGGED: ProblemCode[] = ['quota-exceeded', 'read-only', 'unsupported-transfer-coding']

/**
 * Logs server errors. Those of `NOT_LOGGED` concern only the client. `logged: true`: already logged. An expected condition, such
 * as a full disk, is logged without a stack.
 */
function logProblem(problem: Problem, request: FastifyRequest): void {
  const { status, code } = problem
  if (status < 500 || NOT_LOGGED.includes(code)) return
  const cause = problem.cause ?? problem
  if ((cause as { logged?: true }).logged) return
  if (code === 'not-ready' || code === 'insufficient-storage') {
    logOf(request).warn({ cause: (cause as Error).message }, problem.title)
  } else {
    logOf(request).error({ err: cause }, problem.title)
  }
}

function problemOf(error: unknown, { raw, routeOptions }: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  const { code, statusCode } = (error ?? {}) as Partial<FastifyError>
  if (raw.destroyed && (!raw.complete || code === 'ECONNRESET')) return problems.incompleteBody(error)
  switch (code) {
    case 'ENOSPC':
      return problems.insufficientStorage(error)
    case 'EROFS':
      return problems.notReady('The storage cannot be written at the moment. Nothing was changed.', error)
    case 'EAGAIN':
      return problems.notReady('The storage cannot be reached at the moment. Nothing was changed.', error)
    case 'ECONNABORTED':
      return problems.notReady(
        'The connection to the storage broke before it answered. Check whether the change was made, or repeat the request.',
        error,
      )
    case 'EMFILE':
    case 'ENFILE':
      return problems.notReady('The server has too many files open at the moment.', error)
    case 'EUNREACHABLE':
      return problems.notReady('The storage cannot be reached at the moment.', error)
    case 'FST_ERR_BAD_URL':
      return problems.malformedUrl()
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problems.unsupportedMediaType((routeOptions.schema?.consumes ?? ['application/json']).join(', '))
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problems.bodyTooLarge(JSON_BODY_BYTES)
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problems.malformedJson(error)
    default:
      return byStatus(statusCode) ?? problems.internalError(error)
  }
}

/** The problem for an error that a package throws with a status, such as a bad path under /docs. */
function byStatus(status: number | undefined): Problem | null {
  if (status === 400) return problems.malformedUrl()
  if (status === 403 || status === 404) return problems.notFound()
  return status === 412 ? problems.preconditionFailed() : null
}

function noise(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return problems.headersTooLarge()
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return problems.requestTimeout()
  if (code === 'HPE_INVALID_EOF_STATE') return problems.incompleteBody()
  return problems.malformedHttp()
}

/** The pattern of a route as a regular expression: `/v1/files/:name`, `/docs/static/*`. */
function patternOf(url: string): RegExp {
  const source = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
  return new RegExp(`^${source.replace(/\*/g, '.*')}$`)
}

/** The path of a request target (RFC 9112, section 3.2), decoded, except characters that would split a segment. */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0] as string
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
