/** What files there are. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FileQuery, FileSort } from '../ports.ts'
import { problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { FileList, FileListQuery } from '../schemas/files.ts'
import type { StoredFile } from '../vault/stored-file.ts'
import { presentFile } from './presenting.ts'

const SORT_KEY: Record<FileSort, (file: StoredFile) => string | number> = {
  name: ({ name }) => name,
  createdAt: ({ createdAt }) => createdAt,
  updatedAt: ({ updatedAt }) => updatedAt,
  size: ({ sizeBytes }) => sizeBytes,
}

export const files: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/v1/files',
    {
      schema: {
        operationId: 'listFiles',
        summary: 'List files, page by page',
        description: 'Pages neither repeat nor miss a file that stays, whatever is uploaded meanwhile.',
        tags: ['files'],
        querystring: FileListQuery,
        response: { 200: FileList, ...failures({ 400: 'invalid-request invalid-cursor', 401: 'unauthorized' }) },
      },
    },
    async (request) => {
      const { limit = 50, cursor, prefix = '', sort = 'name', order = 'asc' } = request.query
      const list = [prefix, sort, order].join('\0')
      const after = cursor === undefined ? null : readCursor(cursor, list)
      // One more than asked for tells whether there is another page.
      const query = { prefix, sort, order, after, limit: limit + 1 }
      const found = await app.vault.files.list(request.session.userId, query)
      const page = found.slice(0, limit)
      const last = found.length > limit ? page.at(-1) : undefined
      return { files: page.map(presentFile), nextCursor: last ? cursorAfter(last, sort, list) : null }
    },
  )
}

/** A cursor says which list it belongs to and where in it the page ended. Nothing in it is secret. */
function cursorAfter(file: StoredFile, sort: FileSort, list: string): string {
  return Buffer.from(JSON.stringify([list, SORT_KEY[sort](file), file.id])).toString('base64url')
}

function readCursor(cursor: string, list: string): FileQuery['after'] {
  const [of, key, id] = contentOf(cursor)
  const expected = list.split('\0')[1] === 'name' ? 'string' : 'number'
  if (of !== list || typeof key !== expected || typeof id !== 'string') throw problems.invalidCursor()
  return { key: key as string | number, id }
}

function contentOf(cursor: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(content) ? content : []
  } catch {
    return []
  }
}
