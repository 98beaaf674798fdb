/** The account of the signed-in user: description and deletion. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf, sessionOf } from '../http/caller.ts'
import { clearCookie } from '../http/credentials.ts'
import { presentAccount } from '../http/presenting.ts'
import { Me } from '../schemas/account.ts'
import { failures, nothing } from '../schemas/common.ts'
import { ClearedCookie } from '../schemas/sessions.ts'

export const account: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/me',
    {
      schema: {
        operationId: 'getMe',
        summary: 'Get the signed-in user, with usage and quota',
        description: 'Usage and quota cover files, trash and uploads that are not complete.',
        tags: ['account'],
        response: { 200: Me },
      },
    },
    async (request) => presentAccount(await app.vault.account.describe(sessionOf(request).userId)),
  )

  app.delete(
    '/v1/me',
    {
      config: { endsSession: true },
      schema: {
        operationId: 'deleteMe',
        summary: 'Delete the account and everything in it',
        description:
          'This cannot be undone: every session, file, key and row of the user is deleted. Running transfers are cut within 5 seconds, the bytes are deleted from the disk within minutes, and the address can register again.',
        tags: ['account'],
        response: {
          204: { ...nothing('The user is gone.'), headers: ClearedCookie },
          ...failures('insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      await app.vault.account.remove(sessionOf(request).userId, callerOf(request))
      clearCookie(request, reply)
      return reply.code(204).send(null)
    },
  )
}
