/** The activity list of an account. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionOf } from '../http/caller.ts'
import { pageBytes, pageCost, pageOf, readCursor } from '../http/cursors.ts'
import { presentEvent } from '../http/presenting.ts'
import { ActivityList, ActivityQuery } from '../schemas/activity.ts'
import { failures } from '../schemas/common.ts'

const LIST = 'activity'

export const activity: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/activity',
    {
      config: { memoryBytes: pageBytes, cost: pageCost },
      schema: {
        operationId: 'listActivity',
        summary: 'List the activity of the account, page by page',
        description:
          'The newest first. Pages neither repeat nor miss an event, even if new events are added meanwhile. Events older than ACTIVITY_DAYS are deleted. The last 5,000 of `new-device`, `wrong-pin` and `locked` are kept, and the last 5,000 of all others.',
        tags: ['account'],
        querystring: ActivityQuery,
        response: { 200: ActivityList, ...failures('invalid-request', 'invalid-cursor') },
      },
    },
    async (request) => {
      const { limit = 50, cursor } = request.query
      const ended = readCursor(cursor, LIST, 'number')
      const after = ended && { at: ended.key, id: ended.id }
      const found = await app.vault.activity.list(sessionOf(request), { after, limit: limit + 1 })
      const { page, nextCursor } = pageOf(found, limit, LIST, ({ at }) => at)
      return { events: page.map(presentEvent), nextCursor }
    },
  )
}
