/** Whoever is signed in: what there is of it, and its end. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { presentAccount } from '../http/presenting.ts'
import { Me } from '../schemas/account.ts'
import { failures, nothing } from '../schemas/common.ts'

export const account: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/me',
    {
      schema: {
        operationId: 'getMe',
        summary: 'See who is signed in, and what it uses',
        description: 'What files and trash take, and what they may take.',
        tags: ['account'],
        response: { 200: Me },
      },
    },
    async ({ session }) => presentAccount(await app.vault.account.describe(session.userId)),
  )

  app.delete(
    '/v1/me',
    {
      config: { endsSession: true },
      schema: {
        operationId: 'deleteMe',
        summary: 'Delete the account and everything in it',
        description:
          'Not to be undone: every session, file, key and row of the user is gone. Running transfers are cut within 5 seconds, the bytes leave the disk within minutes, and the address is free.',
        tags: ['account'],
        response: {
          204: nothing('The user is gone.'),
          ...failures('insufficient-storage'),
        },
      },
    },
    async ({ session }, reply) => {
      await app.vault.account.remove(session.userId)
      return reply.code(204).send(null)
    },
  )
}
