/** Uploads a file as a form. The file is streamed. */
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { sessionOf } from '../http/caller.ts'
import { entityTag } from '../http/conditions.ts'
import { fieldText, formParts } from '../http/forms/form-parts.ts'
import { presentFile } from '../http/presenting.ts'
import {
  announcedBytes,
  memoryBytes,
  pathOf,
  refuseOversized,
  refuseUnfinished,
  specificType,
  statusOf,
} from '../http/upload-requests.ts'
import { Problem, problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { Form, location, OnConflict, withFile } from '../schemas/files.ts'
import type { ReadForm } from '../vault/files/files.ts'
import type { Receive } from '../vault/files/receiving.ts'

/** An upper bound for the bytes of a form around its file: boundaries, part headers, the name, ignored fields. */
const FORM_OVERHEAD_BYTES = 1024 * 1024

export const uploadForm: FastifyPluginAsyncTypebox = async (app) => {
  const { maxFileBytes } = app.vault.rules
  app.removeAllContentTypeParsers()
  await app.register(multipart, {
    // Larger than one chunk: a part that busboy skips would block it for ever if it filled this buffer.
    fileHwm: 128 * 1024,
    // The vault counts the bytes of a file itself. Busboy would truncate it without an error.
    limits: { fileSize: Number.POSITIVE_INFINITY, fieldSize: 1024 },
  })

  app.post(
    '/v1/files',
    {
      config: { memoryBytes },
      schema: {
        operationId: 'uploadForm',
        summary: 'Upload a file as a form',
        description:
          'One part called `file`. The optional text field `name` may be before or after it. Sending the same bytes under the same name again is no conflict. Conditions (`If-Match`, `If-None-Match`) and digests (`Repr-Digest`, `Content-Digest`) are for PUT; here they are ignored.',
        tags: ['files'],
        consumes: ['multipart/form-data'],
        body: Form,
        querystring: OnConflict,
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
          ),
        },
      },
    },
    async (request, reply) => {
      if (!request.isMultipart()) throw problems.unsupportedMediaType('multipart/form-data')
      refuseUnfinished(request)
      refuseOversized(request, maxFileBytes + FORM_OVERHEAD_BYTES, maxFileBytes)
      const { userId } = sessionOf(request)
      const { onConflict = 'fail' } = request.query
      const mostBytes = announcedBytes(request)
      const placement = await app.vault.files.add(userId, (receive) => readForm(request, receive), {
        announced: mostBytes === null ? null : { leastBytes: Math.max(0, mostBytes - FORM_OVERHEAD_BYTES), mostBytes },
        onConflict,
      })
      reply.header('location', pathOf(placement))
      return reply.code(statusOf(placement)).header('etag', entityTag(placement.file)).send(presentFile(placement.file))
    },
  )
}

/** Reads the whole form. The file is streamed to `receive` before its name is known, since `name` may follow it. */
async function readForm(request: FastifyRequest, receive: Receive): Promise<ReadForm> {
  let file: (Omit<ReadForm, 'name'> & { name: string | null }) | null = null
  let name: string | null = null
  for await (const { head, part } of partsOf(request)) {
    if (part.type === 'file') {
      if (head.name !== 'file') throw problems.malformedMultipart('The file part must be called "file".')
      if (file) throw problems.malformedMultipart('A form may have only one file.')
      const contentType = specificType(head.contentType, (message) =>
        problems.malformedMultipart(`The Content-Type of the part "file" ${message}.`),
      )
      const received = await receive(bytesOf(part, request))
      file = { name: head.fileName, contentType, received }
    } else if (head.name === 'name') {
      if (name !== null) throw problems.malformedMultipart('A form may have only one "name".')
      if (part.valueTruncated) throw problems.invalidName('A file name may have at most 255 bytes of UTF-8.')
      name = fieldText(part.value, head)
    }
  }
  if (!file) throw problems.malformedMultipart('The form has no file part called "file".')
  const given = name ?? file.name
  if (given === null) {
    throw problems.malformedMultipart(
      'The file has no name: the part "file" has no filename, and there is no field "name".',
    )
  }
  return { ...file, name: given }
}

async function* partsOf(request: FastifyRequest) {
  try {
    yield* formParts(request)
  } catch (cause) {
    throw brokenForm(request, cause)
  }
}

async function* bytesOf({ file }: MultipartFile, request: FastifyRequest): AsyncGenerator<Buffer> {
  try {
    yield* file
  } catch (cause) {
    throw brokenForm(request, cause)
  }
}

function brokenForm({ raw }: FastifyRequest, cause: unknown) {
  if (cause instanceof Problem) return cause
  if (raw.destroyed && !raw.complete) return problems.incompleteBody(cause)
  return problems.malformedMultipart('The body is not a complete multipart/form-data body (RFC 7578).', cause)
}
