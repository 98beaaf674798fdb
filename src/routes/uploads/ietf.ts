/** draft-ietf-httpbis-resumable-upload: translates between its requests and the uploads of the vault. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readBody } from '../../http/body-reading.ts'
import { sessionOf } from '../../http/caller.ts'
import { entityTag } from '../../http/conditions.ts'
import { fileNameOf, parametersOf } from '../../http/content-disposition.ts'
import { digestsIn, reprDigest } from '../../http/digests.ts'
import { presentFile } from '../../http/presenting.ts'
import { announcedBytes, contentTypeIn, pathOfFile } from '../../http/upload-requests.ts'
import type { Upload } from '../../ports/uploads.ts'
import { Problem, problems } from '../../problems.ts'
import type { Append, Appended, NewUpload } from '../../vault/uploads/uploads.ts'
import { appendAndFinish } from './finishing.ts'
import { sendInterim } from './interim.ts'
import { type Interop, interopOf, isComplete } from './interop.ts'
import { bytesIn, idOf, locateContent, mediaTypeOf, neededBytesIn, pathOf, type UploadContext } from './requests.ts'
import { finishOf, type Terms, termsIn, termsOf } from './terms.ts'

/** Facts about a creation that come from its route, not from its header fields. */
export interface Target
  extends Pick<NewUpload, 'name' | 'contentType' | 'onConflict'>,
    Partial<Pick<Terms, 'replaced' | 'taken' | 'form'>> {}

const NO_DIGESTS = { representation: null, content: null }

/** `Upload-Limit` for uploads in general. */
export const limitOf = (maxFileBytes: number) => `min-size=0, max-size=${maxFileBytes}`

/** Begins an upload with the body of the request, which may be the whole or its first bytes. */
export async function createIetf(context: UploadContext, request: FastifyRequest, reply: FastifyReply, target: Target) {
  const { uploads } = context.vault
  const { headers, raw } = request
  const { userId } = sessionOf(request)
  const interop = interopOf(headers)
  const isWhole = isComplete(headers, interop, true)
  // The digests of a form are ignored, as without the protocol.
  const { representation, content } = target.form === undefined ? digestsIn(headers) : NO_DIGESTS
  const { name, contentType, onConflict, ...choices } = target
  const terms = termsOf(headers, { sha256: representation, ...choices })
  const sizeBytes = lengthIn(request, isWhole)
  const upload = await uploads.begin(userId, {
    ...{ name, contentType, onConflict, sizeBytes },
    protocol: 'ietf',
    terms: JSON.stringify(terms),
    ...finishOf(request, terms),
  })
  reply.header('location', pathOf(upload))
  beginIncomplete(reply, interop)
  if (context.interim && interop.isNamed && raw.httpVersion === '1.1') {
    sendInterim(reply, 104, {
      location: pathOf(upload),
      'upload-draft-interop-version': String(interop.version),
      'upload-limit': limitWithAge(context, interop, upload),
    })
  }
  const append = appendOf(request, { offset: 0, sizeBytes, isLast: isWhole, content, terms })
  const appended = await appendAndFinish(context, request, reply, upload.id, () => append).catch((error) => {
    // This request has begun it. So another one has cancelled it meanwhile, as in the middle of the body.
    throw error instanceof Problem && error.code === 'upload-not-found' ? problems.uploadInUse() : error
  })
  return respond(context, interop, reply, appended, 201)
}

export async function headIetf(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const interop = interopOf(request.headers)
  const upload = await context.vault.uploads.find(sessionOf(request).userId, idOf(request))
  if (upload.sizeBytes !== null) reply.header('upload-length', String(upload.sizeBytes))
  reply.header('cache-control', 'no-store')
  return respond(context, interop, reply, { upload, isWhole: false, placement: null }, 204)
}

export async function patchIetf(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const { headers } = request
  const interop = interopOf(headers)
  beginIncomplete(reply, interop)
  if (interop.mediaType !== null && mediaTypeOf(request) !== interop.mediaType) {
    throw problems.unsupportedMediaType(interop.mediaType)
  }
  const offset = neededBytesIn(headers, 'upload-offset')
  const isLast = isComplete(headers, interop, interop.absentMeansComplete ? true : null)
  const { content } = digestsIn(headers)
  const sizeBytes = bytesIn(headers, 'upload-length')
  const appended = await appendAndFinish(context, request, reply, idOf(request), (upload) => {
    if (upload.fileId !== null) reply.header(interop.complete.field, interop.complete.yes)
    return appendOf(request, { offset, sizeBytes, isLast, content, terms: termsIn(upload) })
  })
  return respond(context, interop, reply, appended, interop.appended)
}

/**
 * A refusal also has `Upload-Complete: ?0` (`Upload-Incomplete: ?1` in old versions), so the client does not take it for the response
 * about the file.
 */
function beginIncomplete(reply: FastifyReply, { complete, version }: Interop): void {
  reply.header('upload-draft-interop-version', String(version)).header(complete.field, complete.no)
}

/** The name and the type of an upload to /v1/uploads. */
export function targetIn(request: FastifyRequest): Pick<NewUpload, 'name' | 'contentType'> {
  const field = request.headers['content-disposition']
  const name = field === undefined ? null : fileNameOf(parametersOf(field, unreadable), unreadable)
  if (name === null) throw problems.invalidName('Send the name: Content-Disposition: attachment; filename="…".')
  return { name, contentType: contentTypeIn(request) }
}

const unreadable = (what: string) => problems.invalidName(`The request ${what} (RFC 6266).`)

/** The length of the whole, if the creation says it. */
function lengthIn(request: FastifyRequest, isWhole: boolean): number | null {
  const body = announcedBytes(request)
  const length = bytesIn(request.headers, 'upload-length') ?? (isWhole ? body : null)
  if (length !== null && body !== null && (isWhole ? body !== length : body > length)) {
    throw problems.inconsistentLength()
  }
  return length
}

async function respond(
  context: UploadContext,
  interop: Interop,
  reply: FastifyReply,
  { upload, placement }: Appended,
  status: 201 | 204,
) {
  const { complete, version } = interop
  const isDone = upload.fileName !== null
  reply.header('upload-draft-interop-version', String(version))
  reply.header('upload-offset', String(upload.offset))
  reply.header(complete.field, isDone ? complete.yes : complete.no)
  await locateContent(context.vault, reply, upload, placement)
  if (!placement) {
    reply.header('upload-limit', limitWithAge(context, interop, upload))
    return reply.code(status).send()
  }
  const { file, outcome } = placement
  // As the plain upload does. At a creation the field has the path of the upload by now.
  if (outcome === 'created' || termsIn(upload).form !== undefined) reply.header('location', pathOfFile(file.name))
  else reply.removeHeader('location')
  reply.header('etag', entityTag(file)).header('repr-digest', reprDigest(file.sha256))
  return reply.code(outcome === 'created' ? 201 : 200).send(presentFile(file))
}

function limitWithAge({ vault }: UploadContext, { ageMember }: Interop, upload: Upload): string {
  const seconds = Math.floor(vault.uploads.leftMs(upload) / 1000)
  return `${limitOf(vault.rules.maxFileBytes)}, ${ageMember}=${seconds}`
}

function appendOf(
  request: FastifyRequest,
  {
    content,
    terms,
    ...append
  }: Pick<Append, 'offset' | 'sizeBytes' | 'isLast'> & {
    content: string | null
    terms: Terms
  },
): Append {
  const check: Append['check'] = (hash) => {
    if (hash.digest('hex') !== content) throw problems.digestMismatch('Content-Digest')
  }
  return {
    ...append,
    bytes: readBody(request.raw),
    announcedBytes: announcedBytes(request),
    isStrict: true,
    algorithm: 'sha256',
    check: content === null ? null : check,
    finish: finishOf(request, terms),
  }
}
