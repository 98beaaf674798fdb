/** Exchanges a PIN for a session: its token, or a cookie. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { refuseCrossSite, setCookie } from '../http/credentials.ts'
import { failures, timestamp } from '../schemas/common.ts'
import { SignIn, WithSession } from '../schemas/sessions.ts'

export const signIn: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/v1/sessions',
    {
      config: { limits: ['sign-in', 'sign-in-hourly'] },
      schema: {
        operationId: 'signIn',
        summary: 'Sign in with a device id and its PIN',
        description:
          'A PIN works once. Wrong, expired, used and never-issued PINs get the same 401. A page of the origin of this server may ask for a cookie instead of the token.',
        tags: ['sessions'],
        security: [],
        body: SignIn,
        response: {
          201: WithSession,
          ...failures('invalid-request', 'invalid-pin', 'cross-site-request', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const { cookie, persistent = true, ...entered } = request.body
      if (cookie) refuseCrossSite(request)
      const { token, ...session } = await app.vault.sessions.open(entered, callerOf(request))
      if (cookie) setCookie(request, reply, token, persistent ? app.vault.rules.sessionMaxMs : null)
      const expiresAt = timestamp(session.expiresAt)
      return reply.code(201).send({ ...session, expiresAt, ...(!cookie && { token }) })
    },
  )
}
