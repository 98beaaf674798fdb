/** What files there are, and what becomes of them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { entityTag, guardOf } from '../http/conditions.ts'
import { pageBytes, pageCost, pageOf, readCursor } from '../http/cursors.ts'
import { presentFile } from '../http/presenting.ts'
import type { FileSort } from '../ports/files.ts'
import { problems } from '../problems.ts'
import { failures, MOST_OF_A_PAGE, nothing } from '../schemas/common.ts'
import {
  ByName,
  ChangeHeaders,
  FileList,
  FileListQuery,
  MOST_OF_A_PREFIX,
  NewName,
  withFile,
} from '../schemas/files.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'

const SORT_KEY: Record<FileSort, (file: StoredFile) => string | number> = {
  name: ({ name }) => name,
  createdAt: ({ createdAt }) => createdAt,
  updatedAt: ({ updatedAt }) => updatedAt,
  size: ({ sizeBytes }) => sizeBytes,
}

/** As names are stored. A name may be longer in the normal form that the client uses, so the length is checked here. */
function prefixOf({ prefix = '' }: { prefix?: string }): string {
  const normal = prefix.normalize('NFC')
  if (normal.length <= MOST_OF_A_PREFIX) return normal
  const message = `must be at most ${MOST_OF_A_PREFIX} characters in normal form C`
  throw problems.invalidRequest([{ path: '/prefix', message }])
}

/** A list that looks for names along another order may look at as many files as the longest page has, and more. */
function listCost(query: Record<string, unknown>): number {
  const { prefix = '', sort = 'name' } = query
  return pageCost(prefix === '' || sort === 'name' ? query : { limit: MOST_OF_A_PAGE })
}

export const files: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/files',
    {
      config: { holds: pageBytes, cost: listCost },
      schema: {
        operationId: 'listFiles',
        summary: 'List files, page by page',
        description:
          'Pages neither repeat nor miss a file that stays, whatever is uploaded meanwhile. With `prefix` and another sort than by name, where few names begin so, a page may have fewer files than `limit`, or none, and a `nextCursor` all the same: the list is over where that is `null`.',
        tags: ['files'],
        querystring: FileListQuery,
        response: { 200: FileList, ...failures('invalid-request', 'invalid-cursor') },
      },
    },
    async (request) => {
      const { limit = 50, cursor, sort = 'name', order = 'asc' } = request.query
      const prefix = prefixOf(request.query)
      const list = [prefix, sort, order].join('\0')
      const after = readCursor(cursor, list, sort === 'name' ? 'string' : 'number')
      const query = { prefix, sort, order, after, limit: limit + 1 }
      const { files, goOn } = await app.vault.files.list(request.session.userId, query)
      const { page, nextCursor } = pageOf(files, limit, list, SORT_KEY[sort], goOn)
      return { files: page.map(presentFile), nextCursor }
    },
  )

  app.patch(
    '/v1/files/:name',
    {
      schema: {
        operationId: 'renameFile',
        summary: 'Give a file another name',
        description: 'Nothing else of it changes, its entity tag and the time of its last change included.',
        tags: ['files'],
        params: ByName,
        headers: ChangeHeaders,
        body: NewName,
        response: {
          200: withFile('The file under its new name.'),
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
    async ({ session, params, body, headers }, reply) => {
      const file = await app.vault.files.rename(session.userId, params.name, body.name, guardOf(headers))
      return reply.header('etag', entityTag(file)).send(presentFile(file))
    },
  )

  app.delete(
    '/v1/files/:name',
    {
      schema: {
        operationId: 'deleteFile',
        summary: 'Move a file to the trash',
        description: 'Its name is free at once. In the trash it has an id and goes on to count towards the quota.',
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
      const { session, params, headers } = request
      await app.vault.files.discard(session.userId, params.name, guardOf(headers), callerOf(request))
      return reply.code(204).send(null)
    },
  )
}
