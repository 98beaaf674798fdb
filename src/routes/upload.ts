/** Bytes in: as a form with one file, or raw under a name. Both are streams to the end. */
import multipart, { type MultipartFile } from '@fastify/multipart'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { readBody } from '../http/body-reading.ts'
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

/** More than a form has around its file: boundaries, part headers, the name, fields that nobody reads. */
const FORM_OVERHEAD_BYTES = 1024 * 1024

/** RFC 9110, section 8.3.1, in what a header field can carry back. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;[\t\x20-\x7e]*)?$/
const MEDIA_TYPE_CHARACTERS = 255

const uploadForm: FastifyPluginAsyncTypebox = async (app) => {
  const { maxFileBytes } = app.vault.rules
  app.removeAllContentTypeParsers()
  await app.register(multipart, {
    // The vault counts the file's bytes itself; busboy would cut it in silence.
    // More than comes at a time: a part that busboy skips would stop it for good where it fills this.
    fileHwm: 128 * 1024,
    limits: { fileSize: Number.POSITIVE_INFINITY, fieldSize: 1024 },
  })

  app.post(
    '/v1/files',
    {
      config: { holds },
      schema: {
        operationId: 'uploadForm',
        summary: 'Upload a file as a form',
        description:
          'One part called `file`; the optional text field `name` goes before or after it. Sending the same bytes under the same name again is no conflict.',
        tags: ['files'],
        consumes: ['multipart/form-data'],
        body: Form,
        querystring: OnConflict,
        response: {
          200: withFile('These bytes were there already: the file that holds them.', location),
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
      refuseOversized(request, maxFileBytes + FORM_OVERHEAD_BYTES, maxFileBytes)
      const { userId } = request.session
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
  // Bytes may be of any type; the framework would refuse one that it cannot read.
  app.addHook('onRequest', async ({ raw }) => {
    raw.headers['content-type'] = contentTypeOf(raw.headers['content-type'])
  })

  app.put(
    '/v1/files/:name',
    {
      config: { holds },
      schema: {
        operationId: 'putFile',
        summary: 'Upload raw bytes under a name, or replace what is there',
        description:
          'Any Content-Type, which is kept; without one, or with `application/octet-stream`, it comes from the extension of the name. `If-None-Match: *` uploads only where the name is free, `If-Match` replaces only the version that you know. A version that is replaced by other bytes goes to the trash.',
        tags: ['files'],
        consumes: [ANY_BYTES, '*/*'],
        params: ByName,
        querystring: Replaced,
        headers: PutHeaders,
        body: RawBytes,
        response: {
          200: withFile('Replaced, or the same version was there already.'),
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
      const { headers, session } = request
      if (headers['content-range'] !== undefined) throw problems.rangeNotAllowed()
      refuseOversized(request, maxFileBytes, maxFileBytes)
      const check = digestCheckOf(headers)
      const bytes = readBody(request.raw)
      const options = {
        contentType: saidType(headers['content-type']),
        replaced: request.query.replaced ?? 'trash',
        announcedBytes: announcedBytes(request),
        guard: guardOf(headers),
        check,
      }
      const placement = await app.vault.files.put(session.userId, request.params.name, bytes, options)
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

/** The type as it was given, or the one that says nothing where it is none. */
function contentTypeOf(given: string | undefined): string {
  return given && given.length <= MEDIA_TYPE_CHARACTERS && MEDIA_TYPE.test(given) ? given : ANY_BYTES
}

/** The type that a client said; `null` where it said none, or the one that says nothing. */
function saidType(given: string | undefined): string | null {
  const type = contentTypeOf(given)
  return /^application\/octet-stream\s*(;|$)/i.test(type) ? null : type
}

/** Refuses at once what its Content-Length shows to be too large. */
function refuseOversized(request: FastifyRequest, maxBodyBytes: number, maxFileBytes: number) {
  if ((announcedBytes(request) ?? 0) > maxBodyBytes) throw problems.fileTooLarge(maxFileBytes)
}

/** A short upload is there as it came, sealed, and on its way to the disk. */
function holds(request: FastifyRequest, uploadBytes: number): number {
  return Math.min(uploadBytes, 3 * (announcedBytes(request) ?? uploadBytes))
}

/** The Content-Length, where there is one. */
function announcedBytes({ headers }: FastifyRequest): number | null {
  return headers['content-length'] === undefined ? null : Number(headers['content-length'])
}

/** Reads the form to its end; the file goes to `receive` as it comes, since its name may come after it. */
async function readForm(request: FastifyRequest, receive: Receive): Promise<ReadForm> {
  let file: (Omit<ReadForm, 'name'> & { name: string | null }) | null = null
  let name: string | null = null
  for await (const { head, part } of partsOf(request)) {
    if (part.type === 'file') {
      if (head.name !== 'file') throw problems.malformedMultipart('The file part must be called "file".')
      if (file) throw problems.malformedMultipart('A form carries one file.')
      const received = await receive(bytesOf(part, request))
      file = { name: head.fileName, contentType: saidType(head.contentType), received }
    } else if (head.name === 'name') {
      if (name !== null) throw problems.malformedMultipart('A form carries one "name".')
      if (part.valueTruncated) throw problems.invalidName('A file name has at most 255 bytes of UTF-8.')
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
