/** Turns every thrown error into an `application/problem+json` response (RFC 9457). */
import type { FastifyError, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { KnownPaths } from '../http/known-paths.ts'
import { logOf } from '../http/request-logs.ts'
import { Problem, type ProblemCode, problems } from '../problems.ts'
import { PROBLEM_JSON } from '../schemas/common.ts'
import { setSafeDefaults } from './headers/safe-defaults.ts'
import { JSON_BODY_BYTES, refusedMediaType } from './intake/json-bodies.ts'
import { sendRefusal } from './intake/unread-body.ts'
import { mayChange } from './read-only.ts'

export const errors = fastifyPlugin<{ paths: KnownPaths }>(async function errors(app, { paths }) {
  app.addHook('onRoute', ({ url, method }: RouteOptions) => paths.add(url, [method].flat()))

  app.setErrorHandler(respond)
  // For plugins that call `reply.callNotFound()`.
  app.setNotFoundHandler(() => {
    throw problems.notFound()
  })

  // In a hook, not in the not-found handler: a handler runs after the body was read.
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw paths.refusalOf(request.url)
  })
})

/** For errors that the framework finds before any route or hook has run. */
export function respondEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setSafeDefaults(request, reply)
  reply.header('x-request-id', request.id)
  respond(error, request, reply)
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
  if (['not-ready', 'outcome-unknown', 'insufficient-storage'].includes(code)) {
    logOf(request).warn({ cause: (cause as Error).message }, problem.title)
  } else {
    logOf(request).error({ err: cause }, problem.title)
  }
}

/** The problem that a thrown error becomes. */
export function problemOf(error: unknown, { raw, method, routeOptions }: FastifyRequest): Problem {
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
      return mayChange(method, routeOptions.config)
        ? problems.outcomeUnknown(error)
        : problems.notReady('The connection to the storage broke before it answered.', error)
    case 'EFBIG':
      return problems.tooLargeForStorage(error)
    case 'EMFILE':
    case 'ENFILE':
      return problems.notReady('The server has too many files open at the moment.', error)
    case 'EUNREACHABLE':
      return problems.notReady('The storage cannot be reached at the moment.', error)
    case 'FST_ERR_BAD_URL':
      return problems.malformedUrl()
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refusedMediaType(routeOptions.schema)
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problems.bodyTooLarge(routeOptions.config.bodyBytes ?? JSON_BODY_BYTES)
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problems.malformedJson(error)
    default:
      return byStatus(statusCode, error) ?? problems.internalError(error)
  }
}

/** The problem for an error that a package throws with a status, such as a bad path under /docs. */
function byStatus(status: number | undefined, error: unknown): Problem | null {
  if (status === 400) return problems.malformedUrl()
  if (status === 403 || status === 404) return problems.notFound()
  if (status === 412) return problems.preconditionFailed('')
  return status === 416 ? problems.rangeNotSatisfiable(sizeIn(error)) : null
}

/** The size of the file, from the `Content-Range` that @fastify/send gives to a 416. */
function sizeIn(error: unknown): number {
  const { headers } = error as { headers?: Record<string, string> }
  return Number(headers?.['Content-Range']?.replace('bytes */', ''))
}
