/** Every route of this scope needs a session. The session is checked before the body is read. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { stopReading } from '../http/body-reading.ts'
import { findSession } from '../http/credentials.ts'
import { logOf } from '../http/request-logs.ts'
import type { Session } from '../ports/sign-in.ts'
import { problems } from '../problems.ts'
import type { Vault } from '../vault/vault.ts'
import { respondLast } from './connections/last-response.ts'

declare module 'fastify' {
  interface FastifyInstance {
    vault: Vault
  }
  interface FastifyRequest {
    /** `null` outside the members' scope. `sessionOf` reads it inside. */
    session: Session | null
  }
  interface FastifyContextConfig {
    /** The route ends the caller's own session, and its response must still go out. So its connection is not cut. */
    endsSession?: true
    /** The route may wait for long without sending anything. It checks the session itself, after each wait. */
    checksSession?: true
  }
}

export interface SessionCheck {
  /**
   * How often a running transfer checks its session. If the session has ended, an upload gets a 401, and a response that has begun
   * is cut.
   */
  sessionCheckMs: number
}

export const auth = fastifyPlugin<SessionCheck>(async function auth(app, { sessionCheckMs }) {
  app.addHook('onRequest', async (request, reply) => {
    const session = await findSession(request, reply, app.vault)
    if (!session) throw problems.unauthorized()
    request.session = session
    cutWhenEnded(session, request, reply, app.vault, sessionCheckMs)
  })
})

function cutWhenEnded(session: Session, request: FastifyRequest, reply: FastifyReply, vault: Vault, everyMs: number) {
  const { endsSession, checksSession } = request.routeOptions.config
  if (request.raw.socket.destroyed || endsSession || checksSession) return
  const timer = setInterval(() => {
    vault.sessions.lives(session).then(
      (lives) => {
        if (lives || stopReading(request.raw, problems.unauthorized())) return
        respondLast(request.raw.socket, problems.unauthorized())
      },
      (err) => logOf(request).error({ err }, 'checking the session of a running request failed'),
    )
  }, everyMs)
  reply.raw.once('close', () => clearInterval(timer))
}
