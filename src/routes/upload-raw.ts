/** Uploads raw bytes under a name. They are streamed. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { readBody } from '../http/body-reading.ts'
import { sessionOf } from '../http/caller.ts'
import { entityTag, guardOf } from '../http/conditions.ts'
import { digestCheckOf } from '../http/digests.ts'
import { presentFile } from '../http/presenting.ts'
import { takenInQuery } from '../http/taken.ts'
import {
  announcedBytes,
  contentTypeIn,
  memoryBytes,
  pathOfFile,
  refuseOversized,
  statusOf,
  takeAnyBytes,
} from '../http/upload-requests.ts'
import { problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { ByName, location, RawBytes, Replaced, withFile } from '../schemas/files.ts'
import { PutUploadHeaders } from '../schemas/uploads.ts'
import { ANY_BYTES } from '../vault/files/names.ts'
import { createIetf } from './uploads/ietf.ts'
import { isResumable } from './uploads/interop.ts'

export const uploadRaw: FastifyPluginAsyncTypebox<{ interim: boolean }> = async (app, { interim }) => {
  const { maxFileBytes } = app.vault.rules
  takeAnyBytes(app)

  app.put(
    '/v1/files/:name',
    {
      config: { memoryBytes, takesBytes: true },
      schema: {
        operationId: 'putFile',
        summary: 'Upload raw bytes under a name, or replace the file',
        description:
          'Any Content-Type is accepted and stored. Without one, or with `application/octet-stream`, the type is derived from the extension of the name. `If-None-Match: *` uploads only if the name is free, `If-Match` replaces only the version that you know. A version that is replaced by other bytes goes to the trash.',
        tags: ['files'],
        consumes: [ANY_BYTES, '*/*'],
        params: ByName,
        querystring: Replaced,
        headers: PutUploadHeaders,
        body: RawBytes,
        response: {
          200: withFile('Replaced, or the same version was stored already.'),
          201: withFile('Stored, and durable: it survives a power cut.', location),
          ...failures(
            'invalid-request',
            'invalid-name',
            'digest-mismatch',
            'invalid-digest',
            'range-not-allowed',
            'precondition-failed',
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
      const { headers, raw } = request
      const { userId } = sessionOf(request)
      const contentType = contentTypeIn(request)
      if (headers['content-range'] !== undefined) throw problems.rangeNotAllowed()
      const { replaced = 'trash' } = request.query
      const taken = takenInQuery(request.query)
      if (isResumable(headers)) {
        const target = { name: request.params.name, contentType, onConflict: 'replace', replaced, taken } as const
        return createIetf({ vault: app.vault, interim }, request, reply, target)
      }
      refuseOversized(request, maxFileBytes, maxFileBytes)
      const check = digestCheckOf(headers)
      const bytes = readBody(raw)
      const options = {
        contentType,
        taken,
        replaced,
        announcedBytes: announcedBytes(request),
        guard: guardOf(headers),
        check,
      }
      const placement = await app.vault.files.put(userId, request.params.name, bytes, options)
      if (placement.outcome === 'created') reply.header('location', pathOfFile(placement.file.name))
      return reply.code(statusOf(placement)).header('etag', entityTag(placement.file)).send(presentFile(placement.file))
    },
  )
}
