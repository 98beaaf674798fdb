/** Uploads that can be resumed, in two protocols. `Tus-Resumable` marks a request of tus; any other is of the IETF's draft. */
import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sessionOf } from '../../http/caller.ts'
import { FORM_LIMITS } from '../../http/forms/form-parts.ts'
import { memoryBytes } from '../../http/upload-requests.ts'
import { failures, nothing, timestamp } from '../../schemas/common.ts'
import { withFile } from '../../schemas/files.ts'
import { ById } from '../../schemas/trash.ts'
import { IetfQuery, UploadList } from '../../schemas/uploads.ts'
import { ANY_BYTES } from '../../vault/files/names.ts'
import { createIetf, headIetf, limitOf, patchIetf, targetIn } from './ietf.ts'
import type { UploadContext } from './requests.ts'
import { beginTus, createTus, headTus, isTus, patchTus, tusOptions } from './tus.ts'

const appendFailures = failures(
  'invalid-request',
  'invalid-name',
  'inconsistent-upload-length',
  'invalid-digest',
  'digest-mismatch',
  'upload-not-found',
  'file-exists',
  'mismatching-upload-offset',
  'upload-in-use',
  'precondition-failed',
  'file-too-large',
  'unsupported-media-type',
  'checksum-mismatch',
  'insufficient-storage',
  'quota-exceeded',
)

export const uploads: FastifyPluginAsyncTypebox<{ interim: boolean }> = async (app, { interim }) => {
  const { uploads } = app.vault
  const context: UploadContext = { vault: app.vault, interim }
  // It also reads forms whose bytes came as an upload.
  await app.register(multipart, FORM_LIMITS)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', async (request, reply) => {
    if (isTus(request)) beginTus(request, reply)
    // The framework would refuse a malformed type, so it sees another. `contentTypeOf` reads the real one.
    request.raw.headers['content-type'] = ANY_BYTES
  })

  app.post(
    '/v1/uploads',
    {
      config: { memoryBytes },
      schema: {
        operationId: 'createUpload',
        summary: 'Begin an upload that can be resumed',
        description:
          'tus 1.0.0 with `Tus-Resumable`, otherwise draft-ietf-httpbis-resumable-upload. See docs/uploads.md.',
        tags: ['uploads'],
        querystring: IetfQuery,
        response: { 200: withFile('Complete.'), 201: withFile('Begun, or complete.'), ...appendFailures },
      },
    },
    async (request, reply) => {
      if (isTus(request)) return createTus(context, request, reply)
      const { onConflict = 'fail' } = request.query
      return createIetf(context, request, reply, { ...targetIn(request), onConflict })
    },
  )

  app.get(
    '/v1/uploads',
    {
      exposeHeadRoute: false,
      schema: {
        operationId: 'listUploads',
        summary: 'List your uploads that are not complete',
        tags: ['uploads'],
        response: { 200: UploadList },
      },
    },
    async (request) => {
      const found = await uploads.list(sessionOf(request).userId)
      return {
        uploads: found.map((upload) => ({
          id: upload.id,
          name: upload.name,
          contentType: upload.contentType,
          size: upload.sizeBytes,
          offset: upload.offset,
          createdAt: timestamp(upload.createdAt),
          expiresAt: timestamp(uploads.expiresAt(upload)),
        })),
      }
    },
  )

  app.head(
    '/v1/uploads/:id',
    {
      schema: {
        operationId: 'uploadOffset',
        summary: 'How many bytes of an upload are stored',
        tags: ['uploads'],
        params: ById,
        response: {
          200: nothing('In `Upload-Offset` (tus).'),
          204: nothing('In `Upload-Offset`.'),
          ...failures('upload-not-found'),
        },
      },
    },
    (request, reply) => (isTus(request) ? headTus(context, request, reply) : headIetf(context, request, reply)),
  )

  app.patch(
    '/v1/uploads/:id',
    {
      config: { memoryBytes },
      schema: {
        operationId: 'appendUpload',
        summary: 'Append bytes to an upload',
        tags: ['uploads'],
        params: ById,
        response: {
          200: withFile('Complete: the file.'),
          201: withFile('Complete: the new file.'),
          204: nothing('The bytes are stored.'),
          ...appendFailures,
        },
      },
    },
    (request, reply) => (isTus(request) ? patchTus(context, request, reply) : patchIetf(context, request, reply)),
  )

  app.delete(
    '/v1/uploads/:id',
    {
      schema: {
        operationId: 'cancelUpload',
        summary: 'Cancel an upload',
        tags: ['uploads'],
        params: ById,
        response: { 204: nothing('Nothing of it is left.'), ...failures('upload-not-found') },
      },
    },
    async (request, reply) => {
      await uploads.remove(sessionOf(request).userId, request.params.id)
      return reply.code(204).send(null)
    },
  )
}

/** OPTIONS without a session: what the server can do. */
export const uploadOptions: FastifyPluginAsyncTypebox = async (app) => {
  const { maxFileBytes } = app.vault.rules
  for (const url of ['/v1/uploads', '/v1/uploads/:id', '/v1/files', '/v1/files/:name']) {
    app.options(url, { schema: { hide: true, security: [] } }, async (request, reply) => {
      reply.header('upload-limit', limitOf(maxFileBytes)).header('accept-patch', 'application/partial-upload')
      if (url.startsWith('/v1/uploads')) reply.headers(tusOptions(maxFileBytes))
      void request
      return reply.code(204).send()
    })
  }
}
