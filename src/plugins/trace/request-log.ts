/** Logs one line for each request, with the route's pattern and never the URL, because URLs contain file names. */
import { LogController } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { logOf } from '../../http/request-logs.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A page loads many of these: a success is logged at the level `debug`, not `info`. */
    oneOfMany?: boolean
  }
}

/** Turns off the framework's own request log. */
export const quietFramework = new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' })

export const requestLog = fastifyPlugin<{ clients: boolean }>(async function requestLog(app, { clients }) {
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none'
    const ms = Math.round(reply.elapsedTime * 10) / 10
    const client = clients ? { client: request.ip } : {}
    const level = request.routeOptions.config.oneOfMany && reply.statusCode < 400 ? 'debug' : 'info'
    logOf(request)[level]({ method: request.method, route, status: reply.statusCode, ms, ...client }, 'answered')
    done()
  })
})
