/** Lists, restores and purges deleted files. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf, sessionOf } from '../http/caller.ts'
import { entityTag } from '../http/conditions.ts'
import { pageBytes, pageCost, pageOf, readCursor } from '../http/cursors.ts'
import { presentFile, presentTrashed } from '../http/presenting.ts'
import { failures, nothing } from '../schemas/common.ts'
import { OnRestoreConflict, withFile } from '../schemas/files.ts'
import { ById, TrashList, TrashQuery } from '../schemas/trash.ts'

const LIST = 'trash'

export const trash: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/trash',
    {
      config: { memoryBytes: pageBytes, cost: pageCost },
      schema: {
        operationId: 'listTrash',
        summary: 'List deleted files, page by page',
        description: 'The last deleted first. Several files may have the same name; every file has its own id.',
        tags: ['trash'],
        querystring: TrashQuery,
        response: { 200: TrashList, ...failures('invalid-request', 'invalid-cursor') },
      },
    },
    async (request) => {
      const { limit = 50, cursor } = request.query
      const ended = readCursor(cursor, LIST, 'number')
      const after = ended && { deletedAt: ended.key, id: ended.id }
      const found = await app.vault.trash.list(sessionOf(request).userId, { after, limit: limit + 1 })
      const { page, nextCursor } = pageOf(found, limit, LIST, ({ deletedAt }) => deletedAt)
      return { files: page.map(presentTrashed), nextCursor }
    },
  )

  app.post(
    '/v1/trash/:id/restore',
    {
      schema: {
        operationId: 'restoreFile',
        summary: 'Restore a file from the trash',
        description: 'Under its former name. With `onConflict=rename` it may get another one, which the answer has.',
        tags: ['trash'],
        params: ById,
        querystring: OnRestoreConflict,
        response: {
          200: withFile('The file is back.'),
          ...failures('invalid-request', 'file-not-found', 'file-exists', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const { onConflict = 'fail' } = request.query
      const file = await app.vault.trash.restore(sessionOf(request).userId, request.params.id, onConflict)
      return reply.header('etag', entityTag(file)).send(presentFile(file))
    },
  )

  app.delete(
    '/v1/trash/:id',
    {
      schema: {
        operationId: 'deleteForGood',
        summary: 'Delete a file of the trash for good',
        description: 'It no longer counts towards the quota.',
        tags: ['trash'],
        params: ById,
        response: {
          204: nothing('The file is gone.'),
          ...failures('file-not-found', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      await app.vault.trash.remove(sessionOf(request).userId, request.params.id, callerOf(request))
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/trash',
    {
      schema: {
        operationId: 'emptyTrash',
        summary: 'Empty the trash',
        description: 'Deletes all files of the trash for good. They no longer count towards the quota.',
        tags: ['trash'],
        response: {
          204: nothing('The trash is empty.'),
          ...failures('insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      await app.vault.trash.empty(sessionOf(request).userId, callerOf(request))
      return reply.code(204).send(null)
    },
  )
}
