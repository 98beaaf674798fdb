/** The changes feed. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { sessionOf } from '../http/caller.ts'
import { feedCursor, pageBytes, pageCost, readFeedCursor } from '../http/cursors.ts'
import type { ClaimMemory } from '../http/memory.ts'
import { presentChange } from '../http/presenting.ts'
import { problems } from '../problems.ts'
import { ChangeList, ChangesQuery } from '../schemas/changes.ts'
import { failures } from '../schemas/common.ts'

const SECOND_MS = 1000

export const changes: FastifyPluginAsyncTypebox<{ claim: ClaimMemory }> = async (app, { claim }) => {
  const { sessions, changes } = app.vault

  app.get(
    '/v1/changes',
    {
      config: { cost: pageCost, checksSession: true },
      schema: {
        operationId: 'listChanges',
        summary: 'Follow the changes of your files',
        description:
          'Without a cursor it begins with every live file. A client that applies the changes in their order has exactly the live files: `file` replaces the file of its `id`, or adds it; `gone` removes the file of its `id`. A file with many changes comes once. Keep `nextCursor` for the next request, also if there is no change.',
        tags: ['files'],
        querystring: ChangesQuery,
        response: { 200: ChangeList, ...failures('invalid-request', 'invalid-cursor', 'cursor-expired') },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request)
      const { limit = 50, cursor, wait = 0 } = request.query
      const position = readFeedCursor(cursor)
      if (wait > 0) {
        const lives = () => sessions.lives(session)
        await changes.wait(session.userId, position, endOf(reply, wait * SECOND_MS), lives)
        if (!(await lives())) throw problems.unauthorized()
      }
      await claim(request, reply, pageBytes(request))
      const page = await changes.read(session.userId, position, limit)
      return { changes: page.changes.map(presentChange), nextCursor: feedCursor(page.next), more: page.more }
    },
  )
}

/** Aborts after this time, or when the client leaves. */
function endOf({ raw }: FastifyReply, ms: number): AbortSignal {
  const end = new AbortController()
  const timer = setTimeout(() => end.abort(), ms)
  raw.once('close', () => {
    clearTimeout(timer)
    end.abort()
  })
  return end.signal
}
