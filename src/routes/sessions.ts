/** The sessions of the signed-in user: lists and ends them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf, sessionOf } from '../http/caller.ts'
import { clearCookie } from '../http/credentials.ts'
import { pageCost } from '../http/cursors.ts'
import { failures, MOST_OF_A_PAGE, nothing, timestamp } from '../schemas/common.ts'
import { BySession, ClearedCookie, SessionList } from '../schemas/sessions.ts'

/** The maximum of memory for the list of all sessions of a user. */
const LIST_BYTES = 1024 * 1024
/** It costs as much as the longest page, because a user may have 1,000 sessions. */
const LONGEST = { limit: String(MOST_OF_A_PAGE) }

export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/sessions',
    {
      config: { memoryBytes: () => LIST_BYTES, cost: () => pageCost(LONGEST) },
      schema: {
        operationId: 'listSessions',
        summary: 'List the devices that are signed in',
        description: 'The active sessions, the newest first. Only your own device is shown by its id.',
        tags: ['sessions'],
        response: { 200: SessionList },
      },
    },
    async (request) => {
      const session = sessionOf(request)
      const sessions = (await app.vault.sessions.list(session)).map(
        ({ id, deviceId, deviceName, createdAt, lastUsedAt, expiresAt }) => ({
          sessionId: id,
          deviceId,
          ...(deviceName !== null && { deviceName }),
          createdAt: timestamp(createdAt),
          lastUsedAt: timestamp(lastUsedAt),
          expiresAt: timestamp(expiresAt),
          current: id === session.id,
        }),
      )
      return { sessions }
    },
  )

  app.delete(
    '/v1/sessions/:sessionId',
    {
      schema: {
        operationId: 'signOut',
        summary: 'Sign a device out, this one or another',
        description:
          'Takes effect at once. Transfers of that session are cut within 5 seconds, and PINs that it requested are void.',
        tags: ['sessions'],
        params: BySession,
        response: {
          204: { ...nothing('The session is over.'), headers: ClearedCookie },
          ...failures('session-not-found', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const { params } = request
      const session = sessionOf(request)
      const sessionId = params.sessionId === 'current' ? session.id : params.sessionId
      await app.vault.sessions.end(session.userId, sessionId, callerOf(request))
      if (sessionId === session.id) clearCookie(request, reply)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/sessions',
    {
      schema: {
        operationId: 'signOutOthers',
        summary: 'Sign all other devices out',
        description: 'Takes effect at once. This session stays.',
        tags: ['sessions'],
        response: {
          204: nothing('All other sessions are over.'),
          ...failures('insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      await app.vault.sessions.endOthers(sessionOf(request), callerOf(request))
      return reply.code(204).send(null)
    },
  )
}
