/** Lists, renames and deletes files. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf, sessionOf } from '../http/caller.ts'
import { entityTag, guardOf } from '../http/conditions.ts'
import { fileList, pageBytes, pageCost, pageOf, readCursor } from '../http/cursors.ts'
import { presentFile } from '../http/presenting.ts'
import { takenIn } from '../http/taken.ts'
import { problems } from '../problems.ts'
import { failures, MOST_OF_A_PAGE, nothing } from '../schemas/common.ts'
import {
  ByName,
  ChangeHeaders,
  FileEdit,
  FileList,
  FileListQuery,
  MOST_OF_A_PREFIX,
  withFile,
} from '../schemas/files.ts'
import { sortKeyOf } from '../vault/files/stored-file.ts'

/** Normalizes the prefix to NFC, as names are stored. The length is checked after that, since other normal forms are longer. */
function prefixOf({ prefix = '' }: { prefix?: string }): string {
  const normal = prefix.normalize('NFC')
  if (normal.length <= MOST_OF_A_PREFIX) return normal
  const message = `must be at most ${MOST_OF_A_PREFIX} characters in normal form C`
  throw problems.invalidRequest([{ path: '/prefix', message }])
}

/** A list with a prefix and another sort than by name may read many files to find few, so it costs as much as the longest page. */
function listCost(query: Record<string, unknown>): number {
  const { prefix = '', sort = 'name' } = query
  return pageCost(prefix === '' || sort === 'name' ? query : { limit: MOST_OF_A_PAGE })
}

export const files: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/files',
    {
      config: { memoryBytes: pageBytes, cost: listCost },
      schema: {
        operationId: 'listFiles',
        summary: 'List files, page by page',
        description:
          'Pages neither repeat nor miss a file that stays, even if files are uploaded meanwhile. With `prefix` and another sort than by name, a page may have fewer files than `limit`, or none, and still a `nextCursor`. The list ends when `nextCursor` is `null`.',
        tags: ['files'],
        querystring: FileListQuery,
        response: { 200: FileList, ...failures('invalid-request', 'invalid-cursor') },
      },
    },
    async (request) => {
      const { limit = 50, cursor, sort = 'name', order = 'asc' } = request.query
      const prefix = prefixOf(request.query)
      const list = fileList(prefix, sort, order)
      const after = readCursor(cursor, list, sort === 'name' ? 'string' : 'number')
      const query = { prefix, sort, order, after, limit: limit + 1 }
      const { files, goOn } = await app.vault.files.list(sessionOf(request).userId, query)
      const { page, nextCursor } = pageOf(files, limit, list, (file) => sortKeyOf(file, sort), goOn)
      return { files: page.map(presentFile), nextCursor }
    },
  )

  app.patch(
    '/v1/files/:name',
    {
      schema: {
        operationId: 'renameFile',
        summary: 'Rename a file, or set when its content was made',
        description: 'The contents do not change. The entity tag and `updatedAt` stay the same.',
        tags: ['files'],
        params: ByName,
        headers: ChangeHeaders,
        body: FileEdit,
        response: {
          200: withFile('The file as it is now.'),
          ...failures(
            'invalid-request',
            'invalid-name',
            'file-not-found',
            'file-exists',
            'precondition-failed',
            'insufficient-storage',
          ),
        },
      },
    },
    async (request, reply) => {
      const { params, body, headers } = request
      if (body.name === undefined && body.takenAt === undefined) {
        throw problems.invalidRequest([{ path: '', message: 'must have name, takenAt or both' }])
      }
      const edit = { name: body.name ?? null, taken: body.takenAt === undefined ? null : takenIn(body.takenAt) }
      const file = await app.vault.files.edit(sessionOf(request).userId, params.name, edit, guardOf(headers))
      return reply.header('etag', entityTag(file)).send(presentFile(file))
    },
  )

  app.delete(
    '/v1/files/:name',
    {
      schema: {
        operationId: 'deleteFile',
        summary: 'Move a file to the trash',
        description:
          'Its name is free at once. A file in the trash is addressed by its id and still counts towards the quota.',
        tags: ['files'],
        params: ByName,
        headers: ChangeHeaders,
        response: {
          204: nothing('The file is in the trash.'),
          ...failures('invalid-name', 'file-not-found', 'precondition-failed', 'insufficient-storage'),
        },
      },
    },
    async (request, reply) => {
      const { params, headers } = request
      await app.vault.files.discard(sessionOf(request).userId, params.name, guardOf(headers), callerOf(request))
      return reply.code(204).send(null)
    },
  )
}
