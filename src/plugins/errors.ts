/** Where refusals become responses: everything that is thrown ends here, as `application/problem+json` (RFC 9457). */
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

/** How long a client may go on sending after the last answer of its connection. */
const UNHEARD_MS = 1000

export const errors = fastifyPlugin(async (app) => {
  const paths = new Map<string, { pattern: RegExp; methods: Set<string> }>()

  app.server.on('request', (_request, response: ServerResponse) => {
    const responses = answering.get(response.req.socket) ?? new Set()
    answering.set(response.req.socket, responses.add(response))
    response.once('close', () => responses.delete(response))
  })
  app.server.on('connect', (_request, socket: Socket) => {
    // Node has taken its own listeners away: without one an error would end the process, and an end would not be noticed.
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
  // For plugins that find out by themselves that there is nothing.
  app.setNotFoundHandler(() => {
    throw problems.notFound()
  })

  // Here, and not in a handler of its own: a body that nobody wants is not read.
  app.addHook('onRequest', async (request) => {
    if (!request.is404) return
    const path = pathOf(request.url)
    const allowed = [...paths.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods])
    throw allowed.length > 0 ? problems.methodNotAllowed([...new Set(allowed)].sort()) : problems.notFound()
  })
})

/** For faults that the framework finds before any route or hook has run. */
export function respondEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setSafeDefaults(request, reply)
  reply.header('x-request-id', request.id)
  respond(error, request, reply)
}

/** The responses of each connection that are not finished. */
const answering = new WeakMap<Socket, Set<ServerResponse>>()

/** Connections on which something came that is no request. Node tells of each piece of it. */
const noisy = new WeakSet<Socket>()

/** For bytes that are no HTTP request: there is no request to answer, only a socket. */
export function respondToNoise(error: Error & { code?: string }, socket: Socket): void {
  // Where TLS has failed, or has not begun, nothing can be told.
  const unheard = error.code === 'ECONNRESET' || /^ERR_(TLS|SSL)_/.test(error.code ?? '')
  if (unheard) return void socket.destroy()
  if (noisy.has(socket)) return
  noisy.add(socket)
  afterCompleteRequests(socket, () => respondLast(socket, noise(error.code)))
}

/**
 * What was asked for as a whole is done and answered, whatever comes after it; so the responses to complete requests go out
 * first (RFC 9112, section 9.3.2). A request that is not complete cannot be carried out any more.
 */
function afterCompleteRequests(socket: Socket, act: () => void): void {
  const last = [...(answering.get(socket) ?? [])].at(-1)
  if (!last?.req.complete) {
    act()
    return
  }
  // Nothing that comes meanwhile is read, however long the responses take.
  socket.pause()
  last.once('close', () => {
    if (socket.destroyed) return
    socket.resume()
    act()
  })
}

/** Ends a connection under whatever is under way there, with this answer where it can be read as one. */
export function respondLast(socket: Socket, problem: Problem): void {
  const [answer, ...others] = answering.get(socket) ?? []
  // In the middle of an answer, or before others that are due, a refusal would be taken for what it is not.
  const misleading = answer?.headersSent || others.length > 0
  if (misleading || !socket.writable) return void socket.destroy()
  respondRaw(socket, problem)
  // At once, what the client is still sending would reset the connection under the answer.
  setTimeout(() => socket.destroy(), UNHEARD_MS).unref()
}

/** The whole answer, and the last of its connection. */
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
  tellOperator(problem, request)
  reply.code(problem.status).headers(problem.headers).type(PROBLEM_JSON)
  // As bytes: to a string the framework would append a charset, which this media type does not have.
  sendRefusal(reply, Buffer.from(JSON.stringify(problem.toDocument(request.id))))
}

const UNREMARKABLE: ProblemCode[] = ['quota-exceeded', 'read-only', 'unsupported-transfer-coding']

/** Some are between the server and its client; what the operator can see coming needs no stack. */
function tellOperator(problem: Problem, request: FastifyRequest): void {
  const { status, code } = problem
  if (status < 500 || UNREMARKABLE.includes(code)) return
  const cause = problem.cause ?? problem
  if ((cause as { told?: true }).told) return
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
        'The storage was lost before it answered. Look whether it was done, or do it again.',
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

/** What a plugin refuses in its own way, such as a path or a precondition of a page of the documentation. */
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

/** What paths a route takes: `/v1/files/:name` and `/docs/static/*` as expressions. */
function patternOf(url: string): RegExp {
  const source = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
  return new RegExp(`^${source.replace(/\*/g, '.*')}$`)
}

/** The path of a request target (RFC 9112, section 3.2), decoded but for what would split a segment. */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0] as string
  try {
    return decodeURI(path)
  } catch {
    return path
  }
}
