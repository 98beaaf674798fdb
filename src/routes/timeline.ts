/** Counts files by month. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionOf } from '../http/caller.ts'
import { cursorOf, fileList, pageCost, readCursor } from '../http/cursors.ts'
import { failures, MOST_OF_A_PAGE } from '../schemas/common.ts'
import { MonthList, TimelineQuery, USUAL_MONTHS } from '../schemas/timeline.ts'

const TIMELINE = 'timeline'
const NEWEST_FIRST = fileList('', 'takenAt', 'desc')
/** The maximum of memory for a month, as a record and as JSON. */
const MONTH_BYTES = 1024

export const timeline: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/timeline',
    {
      config: {
        memoryBytes: () => MONTH_BYTES * MOST_OF_A_PAGE,
        // It reads an entry of an index for each file, however few months are asked for.
        cost: () => pageCost({ limit: MOST_OF_A_PAGE }),
      },
      schema: {
        operationId: 'listMonths',
        summary: 'Count files by month, page by page',
        description:
          'The live files by month, in the order of `GET /v1/files?sort=takenAt&order=desc`: a file is in the month, in UTC, of its `takenAt`, or of its `createdAt` if it has none. A gallery can lay its months out with it, and load a month when it comes near. The list ends when `nextCursor` is `null`.',
        tags: ['files'],
        querystring: TimelineQuery,
        response: { 200: MonthList, ...failures('invalid-request', 'invalid-cursor') },
      },
    },
    async (request) => {
      const { limit = USUAL_MONTHS, cursor } = request.query
      const after = readCursor(cursor, TIMELINE, 'number')
      const { months, next } = await app.vault.timeline.read(sessionOf(request).userId, after, limit)
      return {
        months: months.map(({ month, files, begins }) => ({
          month: new Date(month).toISOString().slice(0, 7),
          files,
          cursor: cursorOf(NEWEST_FIRST, begins),
        })),
        nextCursor: next && cursorOf(TIMELINE, next),
      }
    },
  )
}
