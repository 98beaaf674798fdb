/** The sessions of whoever is signed in: which devices there are, and how each is shut out. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { failures, nothing, timestamp } from '../schemas/common.ts'
import { BySession, SessionList } from '../schemas/sessions.ts'

/** What the list of all sessions of a user may hold of the memory. */
const LIST_BYTES = 512 * 1024

export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/sessions',
    {
      config: { holds: () => LIST_BYTES },
      schema: {
        operationId: 'listSessions',
        summary: 'See which devices are signed in',
        description: 'The sessions that are not over, the last opened first. Only your own device is shown by its id.',
        tags: ['sessions'],
        response: { 200: SessionList },
      },
    },
    async ({ session }) => ({
      sessions: (await app.vault.sessions.list(session)).map(({ id, deviceId, createdAt, lastUsedAt, expiresAt }) => ({
        sessionId: id,
        deviceId,
        createdAt: timestamp(createdAt),
        lastUsedAt: timestamp(lastUsedAt),
        expiresAt: timestamp(expiresAt),
        current: id === session.id,
      })),
    }),
  )

  app.delete(
    '/v1/sessions/:sessionId',
    {
      schema: {
        operationId: 'signOut',
        summary: 'Sign a device out, this one or another',
        description:
          'In force at once; transfers of that session are cut within 5 seconds, and a PIN that it asked for opens nothing any more.',
        tags: ['sessions'],
        params: BySession,
        response: {
          204: nothing('The session is over.'),
          ...failures('session-not-found', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const { session, params } = request
      const sessionId = params.sessionId === 'current' ? session.id : params.sessionId
      await app.vault.sessions.end(session.userId, sessionId, callerOf(request))
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/sessions',
    {
      schema: {
        operationId: 'signOutOthers',
        summary: 'Sign all other devices out',
        description: 'In force at once; this session stays.',
        tags: ['sessions'],
        response: {
          204: nothing('All other sessions are over.'),
          ...failures('insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      await app.vault.sessions.endOthers(request.session, callerOf(request))
      return reply.code(204).send(null)
    },
  )
}
