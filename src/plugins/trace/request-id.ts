/** Every request has an id: a safe X-Request-Id of the client, or a new one. It is in every response and log line. */
import type { IncomingMessage } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { nanoid } from 'nanoid'

const SAFE_ID = /^[A-Za-z0-9._-]{1,64}$/

export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && SAFE_ID.test(given) ? given : nanoid()
}

export const requestId = fastifyPlugin(async function requestId(app) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    done()
  })
})
