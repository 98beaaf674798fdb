/** Counts files by month. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionOf } from '../http/caller.ts'
import { cursorOf, fileList, pageBytes, pageCost, readCursor } from '../http/cursors.ts'
import { failures, MOST_OF_A_PAGE } from '../schemas/common.ts'
import { MonthList, TimelineQuery, USUAL_MONTHS } from '../schemas/timeline.ts'

const TIMELINE = 'timeline'
const NEWEST_FIRST = fileList('', 'takenAt', 'desc')
/** It costs as much as the longest page, however few months are asked for: it reads an entry of an index for each file. */
const COST = { limit: String(MOST_OF_A_PAGE) }

export const timeline: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/timeline',
    {
      config: {
        memoryBytes: () => pageBytes({ query: COST }),
        cost: () => pageCost(COST),
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
