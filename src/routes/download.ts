/** Downloads: whole files, ranges and conditional requests, with headers that prevent a browser from running the bytes. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import contentDisposition from 'content-disposition'
import type { FastifyRequest } from 'fastify'
import { sessionOf } from '../http/caller.ts'
import { entityTag, evaluate, lastModified, rangeOf } from '../http/conditions.ts'
import { reliesOnCookie } from '../http/credentials.ts'
import { reprDigest } from '../http/digests.ts'
import { DOWNLOAD_BYTES, sendBytes, sendWhole } from '../http/sending.ts'
import { problems } from '../problems.ts'
import { failures } from '../schemas/common.ts'
import { ByName, Disposition, Downloads, GetHeaders, HeadHeaders, Heads } from '../schemas/files.ts'
import type { Range } from '../vault/crypto/content.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'

/**
 * The types that a browser may show inline: images without scripts, audio, video. Some clients send older names: `image/jpg`
 * and `image/pjpeg` for JPEG, `image/x-png` for PNG, `image/x-ms-bmp` for BMP. A browser takes the last type of a list, so only
 * quoted parameters may have commas. It takes any type that ends in `+xml` for a document (WHATWG MIME Sniffing, section 4.6).
 */
const INLINE =
  /^(?:image\/(?:apng|avif|bmp|gif|heic(?:-sequence)?|heif(?:-sequence)?|jpe?g|jxl|pjpeg|png|tiff|webp|x-icon|x-ms-bmp|x-png|vnd\.microsoft\.icon)|(?:audio|video)\/(?![\w.+-]*\+(?:xml|json))[\w.+-]+)[ \t]*(?:;(?:[^",]|"(?:[^"\\]|\\.)*")*)?$/i

/** A browser that respects `nosniff` runs and applies only such types. */
const SCRIPT_OR_STYLE = /ecmascript|javascript|jscript|livescript|css/i

const EMPTY = Buffer.alloc(0)

const SAFETY = {
  'accept-ranges': 'bytes',
  'x-content-type-options': 'nosniff',
  'content-security-policy': 'sandbox',
  'cache-control': 'private, no-cache',
}

const refusals = failures('invalid-name', 'invalid-request', 'file-not-found', 'precondition-failed')

export const download: FastifyPluginAsyncTypebox = async (app) => {
  // Registered before GET, because the framework adds its own HEAD route to a GET without one.
  app.head(
    '/v1/files/:name',
    {
      config: { swagger: { exposeHeadRoute: true } },
      schema: {
        operationId: 'headFile',
        summary: 'Get the headers of a file',
        description: 'The headers of GET, without the bytes. A `Range` is ignored.',
        tags: ['files'],
        params: ByName,
        querystring: Disposition,
        headers: HeadHeaders,
        response: { ...Heads, ...refusals },
      },
    },
    async (request, reply) => {
      // A range is defined for GET only (RFC 9110, section 14.2).
      const answer = answerTo(
        request,
        await app.vault.files.find(sessionOf(request).userId, request.params.name),
        () => null,
      )
      return sendWhole(reply.code(answer.status === 304 ? 304 : 200).headers(answer.headers), noBytes(answer))
    },
  )

  app.get(
    '/v1/files/:name',
    {
      config: { memoryBytes: () => DOWNLOAD_BYTES },
      schema: {
        operationId: 'getFile',
        summary: 'Download a file, or a part of it',
        description:
          'Conditional requests and one range, as in RFC 9110. A browser cannot run a stored file: it is sent as an attachment, with `Content-Security-Policy: sandbox` and `X-Content-Type-Options: nosniff`.',
        tags: ['files'],
        params: ByName,
        querystring: Disposition,
        headers: GetHeaders,
        response: { ...Downloads, ...refusals, ...failures('range-not-satisfiable') },
      },
    },
    async (request, reply) => {
      const { userId } = sessionOf(request)
      const { choice, bytes } = await app.vault.files.open(userId, request.params.name, (file) => {
        return answerTo(request, file, rangeOf)
      })
      reply.code(choice.status).headers(choice.headers)
      return bytes
        ? sendBytes(reply, bytes, Number(choice.headers['content-length']))
        : sendWhole(reply, noBytes(choice))
    },
  )
}

interface Answer {
  status: 200 | 206 | 304
  headers: Record<string, string>
  /** The bytes to send; `null` for none. */
  range: Range | null
}

function answerTo(
  request: FastifyRequest & { query: { disposition?: 'attachment' | 'inline' } },
  file: StoredFile,
  choose: typeof rangeOf,
): Answer {
  const { headers, query } = request
  const validators = { etag: entityTag(file), 'last-modified': lastModified(file), ...SAFETY }
  const verdict = evaluate(headers, file, true)
  if (verdict === 'failed') throw problems.preconditionFailed('')
  if (verdict === 'not-modified') return { status: 304, headers: validators, range: null }

  const range = choose(headers, file)
  const { start, end } = range ?? { start: 0, end: file.sizeBytes - 1 }
  const whole = {
    ...validators,
    'content-type': typeFor(request, file),
    'content-length': String(end - start + 1),
    'content-disposition': dispositionOf(file, query.disposition),
    'repr-digest': reprDigest(file.sha256),
  }
  if (!range) return { status: 200, headers: whole, range: file.sizeBytes === 0 ? null : { start, end } }
  return { status: 206, headers: { ...whole, 'content-range': `bytes ${start}-${end}/${file.sizeBytes}` }, range }
}

/** Over plain HTTP, a browser does not say that it wants a script. So no file is one for a page that relies on the cookie. */
function typeFor(request: FastifyRequest, { contentType }: StoredFile): string {
  return SCRIPT_OR_STYLE.test(contentType) && reliesOnCookie(request) ? 'application/octet-stream' : contentType
}

/** A 304 has no content, and so no Content-Length. Any other response without bytes has an empty content. */
function noBytes({ status }: Answer): Buffer | undefined {
  return status === 304 ? undefined : EMPTY
}

/** RFC 6266, with an ASCII fallback name for old clients. */
function dispositionOf({ name, contentType }: StoredFile, wanted: 'attachment' | 'inline' | undefined): string {
  const type = wanted === 'inline' && INLINE.test(contentType) ? 'inline' : 'attachment'
  return contentDisposition(name, { type, fallback: name.replace(/[^\x20-\x7e]/g, '_') })
}
