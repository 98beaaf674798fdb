/** Logs one line for each request, with the route's pattern and never the URL, because URLs contain file names. */
import { type FastifyBaseLogger, type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { isCausedByOthers } from '../../http/credentials.ts'
import { logOf } from '../../http/request-logs.ts'
import type { Refused } from '../connections/last-response.ts'
import { atEnd, bytesSinceLast } from './request-end.ts'

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

/** Logs the line of a request when it ends. `clients`: with the client's address. */
export function logAtEnd(request: FastifyRequest, reply: FastifyReply, clients: boolean): void {
  atEnd(reply.raw, ({ status, isAborted, bytes }) => {
    const isQuiet = request.routeOptions.config.oneOfMany && !isAborted && reply.statusCode < 400
    logOf(request)[isQuiet ? 'debug' : 'info'](
      {
        method: request.method,
        route: request.routeOptions.url ?? 'none',
        ...(isAborted ? { aborted: true } : {}),
        ...bytes,
        status,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        ...(clients ? { client: request.ip, ...(isCausedByOthers(request) && { crossSite: true }) } : {}),
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
