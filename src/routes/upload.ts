/** Uploads: a form with one file, or raw bytes under a name. Both are streamed. */
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { readBody } from '../http/body-reading.ts'
import { sessionOf } from '../http/caller.ts'
import { entityTag, guardOf } from '../http/conditions.ts'
import { digestCheckOf } from '../http/digests.ts'
import { fieldText, formParts } from '../http/forms/form-parts.ts'
import { presentFile } from '../http/presenting.ts'
import { Problem, problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { ByName, Form, location, OnConflict, PutHeaders, RawBytes, Replaced, withFile } from '../schemas/files.ts'
import type { Placement, ReadForm } from '../vault/files/files.ts'
import { ANY_BYTES } from '../vault/files/names.ts'
import type { Receive } from '../vault/files/receiving.ts'

/** An upper bound for the bytes of a form around its file: boundaries, part headers, the name, ignored fields. */
const FORM_OVERHEAD_BYTES = 1024 * 1024

/** RFC 9110, section 8.3.1, limited to characters that a response header can have. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;[\t\x20-\x7e]*)?$/
const MEDIA_TYPE_CHARACTERS = 255

const uploadForm: FastifyPluginAsyncTypebox = async (app) => {
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
          'One part called `file`. The optional text field `name` may be before or after it. Sending the same bytes under the same name again is no conflict.',
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

const uploadRaw: FastifyPluginAsyncTypebox = async (app) => {
  const { maxFileBytes } = app.vault.rules
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  // Any type is accepted. The framework would refuse a malformed Content-Type, so it is replaced.
  app.addHook('onRequest', async ({ raw }) => {
    raw.headers['content-type'] = contentTypeOf(raw.headers['content-type'])
  })

  app.put(
    '/v1/files/:name',
    {
      config: { memoryBytes },
      schema: {
        operationId: 'putFile',
        summary: 'Upload raw bytes under a name, or replace the file',
        description:
          'Any Content-Type is accepted and stored. Without one, or with `application/octet-stream`, the type is derived from the extension of the name. `If-None-Match: *` uploads only if the name is free, `If-Match` replaces only the version that you know. A version that is replaced by other bytes goes to the trash.',
        tags: ['files'],
        consumes: [ANY_BYTES, '*/*'],
        params: ByName,
        querystring: Replaced,
        headers: PutHeaders,
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
          ),
        },
      },
    },
    async (request, reply) => {
      const { headers } = request
      const { userId } = sessionOf(request)
      if (headers['content-range'] !== undefined) throw problems.rangeNotAllowed()
      refuseUnfinished(request)
      refuseOversized(request, maxFileBytes, maxFileBytes)
      const check = digestCheckOf(headers)
      const bytes = readBody(request.raw)
      const options = {
        contentType: specificType(headers['content-type']),
        replaced: request.query.replaced ?? 'trash',
        announcedBytes: announcedBytes(request),
        guard: guardOf(headers),
        check,
      }
      const placement = await app.vault.files.put(userId, request.params.name, bytes, options)
      if (placement.outcome === 'created') reply.header('location', pathOf(placement))
      return reply.code(statusOf(placement)).header('etag', entityTag(placement.file)).send(presentFile(placement.file))
    },
  )
}

export const upload: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(uploadForm)
  await app.register(uploadRaw)
}

function pathOf({ file }: Placement): string {
  return `/v1/files/${encodeURIComponent(file.name)}`
}

function statusOf({ outcome }: Placement): 200 | 201 {
  return outcome === 'created' ? 201 : 200
}

/** The given type, or `application/octet-stream` if it is absent or malformed. */
function contentTypeOf(given: string | undefined): string {
  return given && given.length <= MEDIA_TYPE_CHARACTERS && MEDIA_TYPE.test(given) ? given : ANY_BYTES
}

/** The type that the client sent; `null` for none, a malformed one, or `application/octet-stream`. */
function specificType(given: string | undefined): string | null {
  const type = contentTypeOf(given)
  return /^application\/octet-stream\s*(;|$)/i.test(type) ? null : type
}

/**
 * A client of resumable uploads sends the first part of a file so (draft-ietf-httpbis-resumable-upload; `Upload-Incomplete` in
 * its first versions). It must not be stored as the whole file.
 */
function refuseUnfinished({ headers }: FastifyRequest) {
  const complete = headers['upload-complete'] ?? '?1'
  const incomplete = headers['upload-incomplete'] ?? '?0'
  const message = 'the body must be the whole file: this server has no resumable uploads'
  if (complete !== '?1') throw problems.invalidRequest([{ path: '/upload-complete', message }])
  if (incomplete !== '?0') throw problems.invalidRequest([{ path: '/upload-incomplete', message }])
}

/** Refuses an upload whose Content-Length is too large, before its body is read. */
function refuseOversized(request: FastifyRequest, maxBodyBytes: number, maxFileBytes: number) {
  if ((announcedBytes(request) ?? 0) > maxBodyBytes) throw problems.fileTooLarge(maxFileBytes)
}

/** A short upload is in memory three times: as received, as sealed, and as being written. */
function memoryBytes(request: FastifyRequest, uploadBytes: number): number {
  return Math.min(uploadBytes, 3 * (announcedBytes(request) ?? uploadBytes))
}

/** The Content-Length; `null` without one. */
function announcedBytes({ headers }: FastifyRequest): number | null {
  return headers['content-length'] === undefined ? null : Number(headers['content-length'])
}

/** Reads the whole form. The file is streamed to `receive` before its name is known, since `name` may follow it. */
async function readForm(request: FastifyRequest, receive: Receive): Promise<ReadForm> {
  let file: (Omit<ReadForm, 'name'> & { name: string | null }) | null = null
  let name: string | null = null
  for await (const { head, part } of partsOf(request)) {
    if (part.type === 'file') {
      if (head.name !== 'file') throw problems.malformedMultipart('The file part must be called "file".')
      if (file) throw problems.malformedMultipart('A form may have only one file.')
      const received = await receive(bytesOf(part, request))
      file = { name: head.fileName, contentType: specificType(head.contentType), received }
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
