/** Uploads that can be resumed, in two protocols. `Tus-Resumable` marks a request of tus; any other is of the IETF's draft. */
import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { sessionOf } from '../../http/caller.ts'
import { pageBytes, pageCost } from '../../http/cursors.ts'
import { FORM_LIMITS } from '../../http/forms/form-parts.ts'
import type { KnownPaths } from '../../http/known-paths.ts'
import { presentUpload } from '../../http/presenting.ts'
import { takenInQuery } from '../../http/taken.ts'
import { takeAnyBytes } from '../../http/upload-requests.ts'
import { failures, MOST_OF_A_PAGE, nothing } from '../../schemas/common.ts'
import { RawBytes } from '../../schemas/files.ts'
import { ById } from '../../schemas/trash.ts'
import {
  APPEND_TYPES,
  AppendBytes,
  AppendHeaders,
  CreateHeaders,
  OffsetHeaders,
  Progress,
  UploadList,
  UploadQuery,
} from '../../schemas/uploads.ts'
import { ANY_BYTES } from '../../vault/files/names.ts'
import { createIetf, headIetf, limitOf, patchIetf, targetIn } from './ietf.ts'
import { idOf, type UploadContext } from './requests.ts'
import { checkTus, createTus, headTus, isTus, patchTus, tusOptions } from './tus.ts'

const APPEND_FAILURES = [
  'invalid-request',
  'inconsistent-upload-length',
  'invalid-digest',
  'digest-mismatch',
  'file-exists',
  'upload-in-use',
  'precondition-failed',
  'file-too-large',
  'checksum-mismatch',
  'insufficient-storage',
  'quota-exceeded',
] as const

/** Further failures of a form, which is read when all its bytes are there. */
const FORM_FAILURES = ['malformed-multipart', 'invalid-name'] as const

/** The list costs as much as the longest page, because a user may have 1,000 uploads. */
const LONGEST = { limit: String(MOST_OF_A_PAGE) }

export const uploads: FastifyPluginAsyncTypebox<{ interim: boolean }> = async (app, { interim }) => {
  const { uploads } = app.vault
  const context: UploadContext = { vault: app.vault, interim }
  app.addHook('onRequest', async (request) => {
    if (isTus(request) && request.method !== 'GET') checkTus(request)
  })
  await app.register(receiving, context)

  app.get(
    '/v1/uploads',
    {
      config: { memoryBytes: () => pageBytes({ query: LONGEST }), cost: () => pageCost(LONGEST) },
      schema: {
        operationId: 'listUploads',
        summary: 'List your uploads that are not complete',
        description: 'Each with its offset, and the time at which it expires.',
        tags: ['uploads'],
        response: { 200: UploadList },
      },
    },
    async (request) => {
      const found = await uploads.list(sessionOf(request).userId)
      return { uploads: found.map((upload) => presentUpload(upload, uploads.expiresAt(upload))) }
    },
  )

  app.delete(
    '/v1/uploads/:id',
    {
      schema: {
        operationId: 'cancelUpload',
        summary: 'Cancel an upload',
        description: 'Its bytes are deleted, and its URL is a 404 from then on.',
        tags: ['uploads'],
        params: ById,
        response: { 204: nothing('Nothing of it is left.'), ...failures('upload-not-found', 'precondition-failed') },
      },
    },
    async (request, reply) => {
      await uploads.remove(sessionOf(request).userId, request.params.id)
      return reply.code(204).send(null)
    },
  )
}

/** The routes that take bytes, or make a file of those that came. */
const receiving: FastifyPluginAsyncTypebox<UploadContext> = async (app, context) => {
  const { uploads } = context.vault
  // It also reads forms whose bytes came as an upload.
  await app.register(multipart, FORM_LIMITS)
  takeAnyBytes(app)

  // The last bytes complete the upload, however few they are. Then all of it may be read back, and a form is stored once more.
  const memoryBytes = (_request: FastifyRequest, uploadBytes: number) => uploadBytes

  /** A HEAD of tus completes an upload whose last append broke off before that. Any other one uses no memory. */
  async function memoryOfHead(request: FastifyRequest, uploadBytes: number): Promise<number> {
    if (!isTus(request)) return 0
    const { fileId, offset, sizeBytes } = await uploads.find(sessionOf(request).userId, idOf(request))
    return fileId === null && offset === sizeBytes ? uploadBytes : 0
  }

  app.post(
    '/v1/uploads',
    {
      config: { memoryBytes, takesBytes: true },
      schema: {
        operationId: 'createUpload',
        summary: 'Begin an upload that can be resumed',
        description:
          'By tus 1.0.0 if the request has `Tus-Resumable`, otherwise by draft-ietf-httpbis-resumable-upload. The body is the whole file, its first bytes, or empty.',
        tags: ['uploads'],
        consumes: [ANY_BYTES, '*/*'],
        querystring: UploadQuery,
        headers: CreateHeaders,
        body: RawBytes,
        response: {
          200: Progress.complete('Complete: the same file was stored already, or another version was replaced.'),
          201: Progress.begun,
          ...failures(...APPEND_FAILURES, 'invalid-name', 'upload-not-found'),
        },
      },
    },
    async (request, reply) => {
      if (isTus(request)) return createTus(context, request, reply)
      const { onConflict = 'fail' } = request.query
      const taken = takenInQuery(request.query)
      return createIetf(context, request, reply, { ...targetIn(request), onConflict, taken })
    },
  )

  app.head(
    '/v1/uploads/:id',
    {
      config: { memoryBytes: memoryOfHead, swagger: { exposeHeadRoute: true } },
      schema: {
        operationId: 'uploadOffset',
        summary: 'How many bytes of an upload are stored',
        description: 'Ends an append that is still running, and keeps the bytes that have arrived.',
        tags: ['uploads'],
        params: ById,
        headers: OffsetHeaders,
        response: {
          200: Progress.stored('tus: the offset of the upload.'),
          204: Progress.stored('IETF: the offset of the upload.'),
          ...failures(
            ...FORM_FAILURES,
            'digest-mismatch',
            'upload-not-found',
            'precondition-failed',
            'file-exists',
            'insufficient-storage',
            'quota-exceeded',
          ),
        },
      },
    },
    (request, reply) => (isTus(request) ? headTus(context, request, reply) : headIetf(context, request, reply)),
  )

  app.patch(
    '/v1/uploads/:id',
    {
      config: { memoryBytes, takesBytes: true },
      schema: {
        operationId: 'appendUpload',
        summary: 'Append bytes to an upload',
        description:
          'If the connection breaks, the bytes that arrived are stored: ask for the offset and go on there. A refused completion (409, 412, 507) leaves the upload as it is, and an empty append tries it again.',
        tags: ['uploads'],
        params: ById,
        consumes: APPEND_TYPES,
        headers: AppendHeaders,
        body: AppendBytes,
        response: {
          200: Progress.complete('IETF, complete: the same file was stored already, or another version was replaced.'),
          201: Progress.complete('IETF, complete: the new file.'),
          204: Progress.stored('The bytes are stored. With tus also if the upload is complete.'),
          ...failures(
            ...APPEND_FAILURES,
            ...FORM_FAILURES,
            'upload-not-found',
            'final-upload',
            'mismatching-upload-offset',
            'unsupported-media-type',
          ),
        },
      },
    },
    (request, reply) => (isTus(request) ? patchTus(context, request, reply) : patchIetf(context, request, reply)),
  )
}

/** OPTIONS without a session: what the server can do. */
export const uploadOptions: FastifyPluginAsyncTypebox<{ paths: KnownPaths }> = async (app, { paths }) => {
  const { maxFileBytes } = app.vault.rules
  for (const url of ['/v1/uploads', '/v1/uploads/:id', '/v1/files', '/v1/files/:name']) {
    app.options(url, { schema: { hide: true, security: [] } }, async (request, reply) => {
      reply.header('allow', paths.methodsOf(request.url).join(', '))
      reply.header('upload-limit', limitOf(maxFileBytes)).header('accept-patch', 'application/partial-upload')
      if (url.startsWith('/v1/uploads')) reply.headers(tusOptions(maxFileBytes))
      return reply.code(204).send()
    })
  }
}
