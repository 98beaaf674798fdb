/** Every request has an id: a safe X-Request-Id of the client, or a new one. It is in every response and log line. */
import type { IncomingMessage } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { nanoid } from 'nanoid'

const SAFE_ID = /^[A-Za-z0-9._-]{1,64}$/

type WithHeaders = Pick<IncomingMessage, 'headers'>

const ids = new WeakMap<WithHeaders, string>()

/** The same id for the same request, also where a plugin responds to it without the framework. */
export function requestIdOf(request: WithHeaders): string {
  const known = ids.get(request)
  if (known) return known
  const given = request.headers['x-request-id']
  const id = typeof given === 'string' && SAFE_ID.test(given) ? given : nanoid()
  ids.set(request, id)
  return id
}

export const requestId = fastifyPlugin(async function requestId(app) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
})
