/** Health checks for monitoring. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Alive, Ready } from '../schemas/health.ts'
import { VERSION } from '../version.ts'

export const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/health/live',
    {
      config: { oneOfMany: true },
      schema: {
        operationId: 'isAlive',
        summary: 'Whether the process runs',
        description: 'Checks nothing else. Restart a process that does not answer.',
        tags: ['health'],
        security: [],
        response: { 200: Alive },
      },
    },
    async () => ({ status: 'ok' as const, version: VERSION }),
  )

  app.get(
    '/health/ready',
    {
      config: { oneOfMany: true },
      schema: {
        operationId: 'isReady',
        summary: 'Whether the server can do its work',
        description:
          'The refusal names what is down: `database`, `uploads`, or `space` on a full disk. A server that is closing is not ready.',
        tags: ['health'],
        security: [],
        response: { 200: Ready },
      },
    },
    async () => {
      await app.vault.ready()
      return { status: 'ok' as const }
    },
  )
}
