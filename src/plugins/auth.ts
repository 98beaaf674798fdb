/** Every route of this scope needs a session. The session is checked before the body is read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { logOf } from '../http/request-logs.ts'
import type { Session } from '../ports/sign-in.ts'
import { problems } from '../problems.ts'
import type { Vault } from '../vault/vault.ts'
import { respondLast } from './errors.ts'

declare module 'fastify' {
  interface FastifyInstance {
    vault: Vault
  }
  interface FastifyRequest {
    session: Session
  }
  interface FastifyContextConfig {
    /** The route ends the caller's own session, and its response must still go out. So its connection is not cut. */
    endsSession?: true
  }
}

/** How often the session of a running transfer is checked again. A transfer is cut within 5 seconds after its session ends. */
const RECHECK_MS = 4000

export const auth = fastifyPlugin(async (app) => {
  app.addHook('onRequest', async (request, reply) => {
    request.session = await app.vault.sessions.authenticate(request.headers.authorization)
    cutWhenEnded(request, reply, app.vault)
  })
})

function cutWhenEnded(request: FastifyRequest, reply: FastifyReply, vault: Vault) {
  if (request.raw.socket.destroyed || request.routeOptions.config.endsSession) return
  const timer = setInterval(() => {
    vault.sessions.lives(request.session).then(
      (lives) => {
        if (!lives) respondLast(request.raw.socket, problems.unauthorized())
      },
      (err) => logOf(request).error({ err }, 'checking the session of a running request failed'),
    )
  }, RECHECK_MS)
  reply.raw.once('close', () => clearInterval(timer))
}
