/** The sessions of whoever is signed in. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { failures, nothing } from '../schemas/common.ts'

export const sessions: FastifyPluginAsyncTypebox = async (app) => {
  app.delete(
    '/v1/sessions/current',
    {
      schema: {
        operationId: 'signOut',
        summary: 'Sign this device out',
        description: 'In force at once; transfers of this session are cut within 5 seconds.',
        tags: ['sessions'],
        response: {
          204: nothing('The session is over.'),
          ...failures({ 401: 'unauthorized', 503: 'not-ready', 507: 'insufficient-storage' }),
        },
      },
    },
    async (request, reply) => {
      await app.vault.sessions.end(request.session)
      return reply.code(204).send(null)
    },
  )
}
