/** Logs one line for each request, with the route's pattern and never the URL, because URLs contain file names. */
import type { Socket } from 'node:net'
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { logOf } from '../../http/request-logs.ts'
import type { Refused } from '../connections/last-response.ts'
import { hasLeft, replacementOf } from '../connections/register.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A page or a probe sends many of these: a success is logged at the level `debug`, not `info`. */
    oneOfMany?: boolean
  }
}

/** Turns off the framework's own request log. */
export const quietFramework = new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' })

export const requestLog = fastifyPlugin<{ clients: boolean }>(async function requestLog(app, { clients }) {
  app.addHook('onRequest', (request, reply, done) => {
    logAtEnd(request, reply, clients)
    done()
  })
})

/** Logs the line of a request when its response is sent or its connection is lost. `clients`: with the client's address. */
export function logAtEnd(request: FastifyRequest, reply: FastifyReply, clients: boolean): void {
  const { raw } = reply
  let isSent = false
  // A response also finishes if the client has left before.
  raw.prependOnceListener('finish', () => {
    isSent = !hasLeft(request.raw)
  })
  // Not `onResponse`: that hook does not run if the client leaves first.
  raw.once('close', () => {
    const replacement = replacementOf(raw)
    const isWhole = replacement ? !replacement.isUnread : isSent
    const status = replacement?.status ?? (raw.headersSent ? raw.statusCode : null)
    const isQuiet = request.routeOptions.config.oneOfMany && isWhole && raw.statusCode < 400
    logOf(request)[isQuiet ? 'debug' : 'info'](
      {
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        ...(isWhole ? {} : { aborted: true }),
        ...bytesSinceLast(request.raw.socket),
        status,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ...(clients ? { client: request.ip } : {}),
      },
      'answered',
    )
  })
}

/** Logs the line of bytes that were refused and are no request: no method and no route is known. */
export function logNoise(
  log: FastifyBaseLogger,
  { socket, status, requestId }: Parameters<Refused>[0],
  clients: boolean,
): void {
  const client = clients ? { client: socket.remoteAddress } : {}
  log.info({ requestId, route: 'none', ...bytesSinceLast(socket), status, ...client }, 'answered')
}

const lastCounts = new WeakMap<Socket, { in: number; out: number }>()

/** The bytes of one request and its response, heads included: what moved since the line before on the same connection. */
function bytesSinceLast(socket: Socket): { in: number; out: number } {
  const before = lastCounts.get(socket) ?? { in: 0, out: 0 }
  const now = { in: socket.bytesRead, out: socket.bytesWritten }
  lastCounts.set(socket, now)
  return { in: now.in - before.in, out: now.out - before.out }
}
