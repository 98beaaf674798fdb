/** Where refusals become responses: everything that is thrown ends here, as `application/problem+json` (RFC 9457). */
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { Problem, problems } from '../problems.ts'
import { requestIdOf } from './request-id.ts'
import { sendRefusal } from './unread-body.ts'

export const PROBLEM_JSON = 'application/problem+json'

export const errors = fastifyPlugin(async (app) => {
  const paths = new Map<string, { pattern: RegExp; methods: Set<string> }>()

  app.addHook('onRoute', ({ url, method }: RouteOptions) => {
    const known = paths.get(url) ?? { pattern: patternOf(url), methods: new Set() }
    for (const one of [method].flat()) known.methods.add(one)
    paths.set(url, known)
  })

  app.setErrorHandler(respond)

  // Here, and not in a handler of its own: a body that nobody wants is not read.
  app.addHook('onRequest', async (request) => {
    if (!request.is404) return
    const path = request.url.split('?', 1)[0] as string
    const allowed = [...paths.values()]
      .filter(({ pattern }) => pattern.test(path))
      .flatMap(({ methods }) => [...methods])
    throw allowed.length > 0 ? problems.methodNotAllowed([...new Set(allowed)].sort()) : problems.notFound()
  })
})

/** For faults that the framework finds before any route or hook has run. */
export function respondEarly(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id)
  respond(error, request, reply)
}

/** For bytes that are no HTTP request: there is no request to answer, only a socket. */
export function respondToNoise(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const problem = noise(error.code)
  const requestId = requestIdOf({ headers: {} })
  const body = JSON.stringify(problem.toDocument(requestId))
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${problem.title}`,
      `Content-Type: ${PROBLEM_JSON}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

function respond(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = problemOf(error, request)
  if (problem.status >= 500) request.log.error({ err: problem.cause ?? problem }, problem.title)
  reply.code(problem.status).headers(problem.headers).type(PROBLEM_JSON)
  // As bytes: to a string the framework would append a charset, which this media type does not have.
  sendRefusal(reply, Buffer.from(JSON.stringify(problem.toDocument(request.id))))
}

function problemOf(error: unknown, { raw, routeOptions }: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  const { code } = (error ?? {}) as Partial<FastifyError>
  if (raw.destroyed && (!raw.complete || code === 'ECONNRESET')) return problems.incompleteBody(error)
  switch (code) {
    case 'FST_ERR_BAD_URL':
      return problems.malformedUrl()
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return problems.unsupportedMediaType((routeOptions.schema?.consumes ?? ['application/json']).join(', '))
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return problems.bodyTooLarge(JSON_BODY_BYTES)
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return problems.malformedJson(error)
    default:
      return problems.internalError(error)
  }
}

/** A JSON body is at most this long. */
export const JSON_BODY_BYTES = 16 * 1024

function noise(code: string | undefined): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return problems.headersTooLarge()
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return problems.requestTimeout()
  return problems.malformedHttp()
}

/** What paths a route takes: `/v1/files/:name` and `/docs/static/*` as expressions. */
function patternOf(url: string): RegExp {
  const source = url.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
  return new RegExp(`^${source.replace(/\*/g, '.*')}/?$`)
}
