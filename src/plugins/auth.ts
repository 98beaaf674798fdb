/** Whoever registers this scope's routes is signed in: the session is found before the body is read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { stopReading } from '../http/body-reading.ts'
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
    /** The answer to the end of a session goes out on its own connection, however long the ending takes. */
    endsSession?: true
  }
}

export interface SessionCheck {
  /**
   * How often a running transfer checks its session. An upload whose session has ended gets its 401 as any other refusal in the
   * middle of a body; a response that has begun breaks off.
   */
  sessionCheckMs: number
}

export const auth = fastifyPlugin<SessionCheck>(async (app, { sessionCheckMs }) => {
  app.addHook('onRequest', async (request, reply) => {
    request.session = await app.vault.sessions.authenticate(request.headers.authorization)
    cutWhenEnded(request, reply, app.vault, sessionCheckMs)
  })
})

function cutWhenEnded(request: FastifyRequest, reply: FastifyReply, vault: Vault, everyMs: number) {
  if (request.raw.socket.destroyed || request.routeOptions.config.endsSession) return
  const timer = setInterval(() => {
    vault.sessions.lives(request.session).then(
      (lives) => {
        if (lives || stopReading(request.raw, problems.unauthorized())) return
        respondLast(request.raw.socket, problems.unauthorized())
      },
      (err) => logOf(request).error({ err }, 'looking at the session again failed'),
    )
  }, everyMs)
  reply.raw.once('close', () => clearInterval(timer))
}
