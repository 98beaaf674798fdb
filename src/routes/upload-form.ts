/** Uploads a file as a form. The file is streamed. */
import multipart from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readBody } from '../http/body-reading.ts'
import { sessionOf } from '../http/caller.ts'
import { entityTag } from '../http/conditions.ts'
import { boundaryOf, FORM_LIMITS } from '../http/forms/form-parts.ts'
import { FORM_OVERHEAD_BYTES, readForm } from '../http/forms/read-form.ts'
import { presentFile } from '../http/presenting.ts'
import { announcedBytes, memoryBytes, pathOfFile, refuseOversized, statusOf } from '../http/upload-requests.ts'
import { problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { Form, location, OnConflict, withFile } from '../schemas/files.ts'
import { FormUploadHeaders } from '../schemas/uploads.ts'
import { createIetf } from './uploads/ietf.ts'
import { isResumable } from './uploads/interop.ts'

export const uploadForm: FastifyPluginAsyncTypebox<{ interim: boolean }> = async (app, { interim }) => {
  const { maxFileBytes } = app.vault.rules
  app.removeAllContentTypeParsers()
  await app.register(multipart, FORM_LIMITS)

  app.post(
    '/v1/files',
    {
      config: { memoryBytes, takesBytes: true },
      schema: {
        operationId: 'uploadForm',
        summary: 'Upload a file as a form',
        description:
          'One part called `file`. The optional text field `name` may be before or after it. Sending the same bytes under the same name again is no conflict. Conditions (`If-Match`, `If-None-Match`) and digests (`Repr-Digest`, `Content-Digest`) are for PUT; here they are ignored.',
        tags: ['files'],
        consumes: ['multipart/form-data'],
        body: Form,
        querystring: OnConflict,
        headers: FormUploadHeaders,
        response: {
          200: withFile('The same file was stored already.', location),
          201: withFile('Stored, and durable: it survives a power cut.', location),
          ...failures(
            'malformed-multipart',
            'unsupported-media-type',
            'invalid-name',
            'invalid-request',
            'file-exists',
            'file-too-large',
            'insufficient-storage',
            'quota-exceeded',
            'inconsistent-upload-length',
            'upload-in-use',
          ),
        },
      },
    },
    async (request, reply) => {
      if (!request.isMultipart()) throw problems.unsupportedMediaType('multipart/form-data')
      const { onConflict = 'fail' } = request.query
      const contentType = request.headers['content-type'] ?? ''
      if (isResumable(request.headers)) {
        boundaryOf(contentType)
        const target = { name: null, contentType: null, onConflict, form: contentType }
        return createIetf({ vault: app.vault, interim }, request, reply, target)
      }
      refuseOversized(request, maxFileBytes + FORM_OVERHEAD_BYTES, maxFileBytes)
      const { userId } = sessionOf(request)
      const mostBytes = announcedBytes(request)
      const form = { contentType, bytes: readBody(request.raw) }
      const placement = await app.vault.files.add(userId, (receive) => readForm(request, form, receive), {
        announced: mostBytes === null ? null : { leastBytes: Math.max(0, mostBytes - FORM_OVERHEAD_BYTES), mostBytes },
        onConflict,
        source: null,
      })
      reply.header('location', pathOfFile(placement.file.name))
      return reply.code(statusOf(placement)).header('etag', entityTag(placement.file)).send(presentFile(placement.file))
    },
  )
}
