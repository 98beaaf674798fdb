/** Exchanges a PIN for a session token. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { failures, timestamp } from '../schemas/common.ts'
import { OpenedSession, SignIn } from '../schemas/sessions.ts'

export const signIn: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/v1/sessions',
    {
      config: { limits: ['sign-in', 'sign-in-hourly'] },
      schema: {
        operationId: 'signIn',
        summary: 'Sign in with a device id and its PIN',
        description: 'A PIN works once. Wrong, expired, used and never-issued PINs get the same 401.',
        tags: ['sessions'],
        security: [],
        body: SignIn,
        response: {
          201: OpenedSession,
          ...failures('invalid-request', 'invalid-pin', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const session = await app.vault.sessions.open(request.body, callerOf(request))
      return reply.code(201).send({ ...session, expiresAt: timestamp(session.expiresAt) })
    },
  )
}
