/** Thumbnails of files: small pictures that clients made. */
import { createHash } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { readBody } from '../http/body-reading.ts'
import { sessionOf } from '../http/caller.ts'
import { evaluateUndated, quotedTag, thumbnailGuardOf } from '../http/conditions.ts'
import { digestCheckOf } from '../http/digests.ts'
import { sendWhole } from '../http/sending.ts'
import { announcedBytes, contentTypeIn, takeAnyBytes } from '../http/upload-requests.ts'
import { problems } from '../problems.ts'
import { failures, nothing } from '../schemas/common.ts'
import { ByName } from '../schemas/files.ts'
import {
  MOST_THUMBNAIL_BYTES,
  Picture,
  THUMBNAIL_TYPES,
  ThumbnailChangeHeaders,
  ThumbnailGetHeaders,
  ThumbnailHeads,
  ThumbnailPutHeaders,
  ThumbnailQuery,
  Thumbnails,
  thumbnailEntityTag,
} from '../schemas/thumbnails.ts'
import type { Thumbnail } from '../vault/files/thumbnails.ts'
import { interopOf, isComplete } from './uploads/interop.ts'

const PATH = '/v1/files/:name/thumbnail'

/** A tag names one picture, so a response to a request with it never changes. */
const FOR_A_YEAR = 'private, max-age=31536000, immutable'
const REVALIDATED = 'private, no-cache'

/** A picture whose type is wrong is harmless: a browser takes it for no other type, and runs nothing in it. */
const SAFETY = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': 'sandbox',
  'cross-origin-resource-policy': 'same-origin',
}

const NO_FILE = ['invalid-name', 'file-not-found', 'precondition-failed'] as const
const NOT_FOUND = [...NO_FILE, 'thumbnail-not-found'] as const

export const thumbnails: FastifyPluginAsyncTypebox = async (app) => {
  // Registered before GET, because the framework adds its own HEAD route to a GET without one.
  app.head(
    PATH,
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        operationId: 'headThumbnail',
        summary: 'Get the headers of a thumbnail',
        description: 'The headers of GET, without the bytes.',
        tags: ['files'],
        params: ByName,
        querystring: ThumbnailQuery,
        headers: ThumbnailGetHeaders,
        response: { ...ThumbnailHeads, ...failures('invalid-request', ...NOT_FOUND) },
      },
    },
    async (request, reply) => {
      const found = await app.vault.thumbnails.find(sessionOf(request).userId, request.params.name)
      const { status, headers } = answerTo(request, found)
      return sendWhole(reply.code(status).headers(headers), undefined)
    },
  )

  app.get(
    PATH,
    {
      // As sealed, and as opened.
      config: { memoryBytes: () => 2 * MOST_THUMBNAIL_BYTES },
      schema: {
        operationId: 'getThumbnail',
        summary: 'Get the thumbnail of a file',
        description:
          'With `?v=` and the current `thumbnail` of the file, the response may be cached for good, so a gallery gets each thumbnail once. A `Range` is ignored.',
        tags: ['files'],
        params: ByName,
        querystring: ThumbnailQuery,
        headers: ThumbnailGetHeaders,
        response: { ...Thumbnails, ...failures('invalid-request', ...NOT_FOUND) },
      },
    },
    async (request, reply) => {
      const found = await app.vault.thumbnails.find(sessionOf(request).userId, request.params.name)
      const { status, headers } = answerTo(request, found)
      const bytes = status === 304 ? undefined : found.bytes()
      return sendWhole(reply.code(status).headers(headers), bytes)
    },
  )

  app.delete(
    PATH,
    {
      schema: {
        operationId: 'deleteThumbnail',
        summary: 'Delete the thumbnail of a file',
        description: 'The file itself stays as it is.',
        tags: ['files'],
        params: ByName,
        headers: ThumbnailChangeHeaders,
        response: { 204: nothing('The file has no thumbnail.'), ...failures(...NOT_FOUND, 'insufficient-storage') },
      },
    },
    async (request, reply) => {
      const { params, headers } = request
      await app.vault.thumbnails.remove(sessionOf(request).userId, params.name, thumbnailGuardOf(headers))
      return reply.code(204).send(null)
    },
  )

  await app.register(putThumbnail)
}

/** In a scope of its own, because it reads its body itself. */
const putThumbnail: FastifyPluginAsyncTypebox = async (app) => {
  takeAnyBytes(app)

  app.put(
    PATH,
    {
      // As received, as sealed, and as it is written.
      config: { memoryBytes: () => 3 * MOST_THUMBNAIL_BYTES },
      schema: {
        operationId: 'putThumbnail',
        summary: 'Give a file a thumbnail, or replace it',
        description:
          'The server stores the picture as it is. It counts towards the quota. It belongs to the content of the file: other bytes under the name have no thumbnail, and in the trash a file keeps it. `If-Match` with the entity tag of the file makes sure that the picture shows this content.',
        tags: ['files'],
        consumes: THUMBNAIL_TYPES,
        params: ByName,
        headers: ThumbnailPutHeaders,
        body: Picture,
        response: {
          204: { ...nothing('The file has this thumbnail.'), headers: thumbnailEntityTag },
          ...failures(
            'invalid-request',
            ...NO_FILE,
            'digest-mismatch',
            'invalid-digest',
            'range-not-allowed',
            'body-too-large',
            'unsupported-media-type',
            'insufficient-storage',
            'quota-exceeded',
          ),
        },
      },
    },
    async (request, reply) => {
      const { params, headers } = request
      if (isEmpty(request)) throw emptyPicture()
      const contentType = typeOf(request)
      if ((announcedBytes(request) ?? 0) > MOST_THUMBNAIL_BYTES) throw problems.bodyTooLarge(MOST_THUMBNAIL_BYTES)
      if (headers['content-range'] !== undefined) throw problems.rangeNotAllowed()
      // A thumbnail cannot be uploaded in several requests, and a part must not be stored as the whole.
      if (!isComplete(headers, interopOf(headers), true)) throw problems.rangeNotAllowed()
      const check = digestCheckOf(headers)
      const read = async () => {
        const picture = await wholeBody(request)
        check({ sha256: createHash('sha256').update(picture).digest('hex') })
        return picture
      }
      const { userId } = sessionOf(request)
      const tag = await app.vault.thumbnails.put(userId, params.name, contentType, read, thumbnailGuardOf(headers))
      return reply.code(204).header('etag', quotedTag(tag)).send(null)
    },
  )
}

interface Answer {
  status: 200 | 304
  headers: Record<string, string>
}

function answerTo(
  { headers, query }: Pick<FastifyRequest, 'headers'> & { query: { v?: string } },
  { tag, contentType, sizeBytes }: Thumbnail,
): Answer {
  const verdict = evaluateUndated(headers, tag)
  if (verdict === 'failed') throw problems.preconditionFailed('')
  const validators = { etag: quotedTag(tag), 'cache-control': query.v === tag ? FOR_A_YEAR : REVALIDATED, ...SAFETY }
  if (verdict === 'not-modified') return { status: 304, headers: validators }
  return { status: 200, headers: { ...validators, 'content-type': contentType, 'content-length': String(sizeBytes) } }
}

/** The media type without parameters, in lower case. */
function typeOf(request: FastifyRequest): string {
  const type = contentTypeIn(request)?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!THUMBNAIL_TYPES.includes(type)) throw problems.unsupportedMediaType(THUMBNAIL_TYPES.join(', '))
  return type
}

/** Without a body there is no media type to refuse. */
function isEmpty(request: FastifyRequest): boolean {
  return request.headers['transfer-encoding'] === undefined && !announcedBytes(request)
}

async function wholeBody({ raw }: FastifyRequest): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of readBody(raw)) {
    length += chunk.length
    if (length > MOST_THUMBNAIL_BYTES) throw problems.bodyTooLarge(MOST_THUMBNAIL_BYTES)
    chunks.push(chunk)
  }
  if (length === 0) throw emptyPicture()
  return Buffer.concat(chunks)
}

const emptyPicture = () => problems.invalidRequest([{ path: '', message: 'must be a picture, not an empty body' }])
