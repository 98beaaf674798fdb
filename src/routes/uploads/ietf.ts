/** draft-ietf-httpbis-resumable-upload: translates between its requests and the uploads of the vault. */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { parse } from 'content-disposition'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readBody } from '../../http/body-reading.ts'
import { sessionOf } from '../../http/caller.ts'
import { entityTag, guardOf } from '../../http/conditions.ts'
import { digestsIn, reprDigest } from '../../http/digests.ts'
import { readForm } from '../../http/forms/read-form.ts'
import { presentFile } from '../../http/presenting.ts'
import { announcedBytes, specificType } from '../../http/upload-requests.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Receive } from '../../vault/files/receiving.ts'
import type { Append, Appended, Finish, NewUpload } from '../../vault/uploads/uploads.ts'
import type { Vault } from '../../vault/vault.ts'
import { sendInterim, whileAlive } from './interim.ts'
import { type Interop, interopOf, isComplete } from './interop.ts'
import { bytesIn, contentTypeOf, idOf, mediaTypeOf, neededBytesIn, pathOf, type UploadContext } from './requests.ts'

/** What an upload keeps of its creation: what must hold when it becomes a file. */
interface Terms extends Pick<IncomingHttpHeaders, 'if-match' | 'if-none-match' | 'if-unmodified-since'> {
  sha256: string | null
  replaced: Finish['replaced']
  /** The Content-Type of a form: its bytes are read as a form once all of them are there. */
  form?: string
}

/** The part of a creation that does not stand in its header fields. */
export interface Target
  extends Pick<NewUpload, 'name' | 'contentType' | 'onConflict'>,
    Partial<Pick<Terms, 'replaced' | 'form'>> {}

/** `Upload-Limit` for uploads in general. */
export const limitOf = (maxFileBytes: number) => `min-size=0, max-size=${maxFileBytes}`

/** Begins an upload with the body of the request, which may be the whole or its first bytes. */
export async function createIetf(context: UploadContext, request: FastifyRequest, reply: FastifyReply, target: Target) {
  const { uploads } = context.vault
  const { headers, raw } = request
  const { userId } = sessionOf(request)
  const interop = interopOf(headers)
  const isWhole = isComplete(headers, interop, true)
  const { representation, content } = digestsIn(headers)
  const { replaced = 'trash', form, ...given } = target
  const terms = termsOf(headers, { sha256: representation, replaced, ...(form !== undefined && { form }) })
  const sizeBytes = lengthIn(request, isWhole)
  const upload = await uploads.begin(userId, {
    ...given,
    sizeBytes,
    protocol: 'ietf',
    terms: JSON.stringify(terms),
    ...finishOf(terms),
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
  const appended = await appendAndFinish(context, request, reply, upload.id, isWhole, () => append)
  return respond(context, interop, reply, appended, 201)
}

export async function headIetf(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const interop = interopOf(request.headers)
  const upload = await context.vault.uploads.find(sessionOf(request).userId, idOf(request))
  if (upload.sizeBytes !== null) reply.header('upload-length', String(upload.sizeBytes))
  reply.header('cache-control', 'no-store')
  return respond(context, interop, reply, { upload, placement: null }, 204)
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
  const appended = await appendAndFinish(context, request, reply, idOf(request), isLast, ({ terms }) =>
    appendOf(request, { offset, sizeBytes, isLast, content, terms: termsIn(terms) }),
  )
  return respond(context, interop, reply, appended, interop.appended)
}

/** A refusal says, too, that the upload is not complete: then the client knows that it is not about the file. */
function beginIncomplete(reply: FastifyReply, { complete, version }: Interop): void {
  reply.header('upload-draft-interop-version', String(version)).header(complete.field, complete.no)
}

/** The name and the type of an upload to /v1/uploads. */
export function targetIn(request: FastifyRequest): Pick<NewUpload, 'name' | 'contentType'> {
  const field = request.headers['content-disposition']
  const name = field === undefined ? undefined : parameterIn(field)
  if (name === undefined) throw problems.invalidName('Send the name: Content-Disposition: attachment; filename="…".')
  const contentType = specificType(contentTypeOf(request), (message) =>
    problems.invalidRequest([{ path: '/content-type', message }]),
  )
  return { name, contentType }
}

function parameterIn(field: string): string | undefined {
  try {
    return parse(field).parameters.filename
  } catch (cause) {
    throw problems.invalidName('The Content-Disposition cannot be read (RFC 6266).', cause)
  }
}

/** The length of the whole, if the creation says it. */
function lengthIn(request: FastifyRequest, isWhole: boolean): number | null {
  const body = announcedBytes(request)
  const length = bytesIn(request.headers, 'upload-length') ?? (isWhole ? body : null)
  if (length !== null && body !== null && (isWhole ? body !== length : body > length)) {
    throw problems.inconsistentLength()
  }
  return length
}

/** Reading a large upload back at its end takes long, so the client hears meanwhile that its request lives. */
async function appendAndFinish(
  { vault, interim }: UploadContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
  isLast: boolean,
  append: (upload: Upload) => Append,
): Promise<Appended> {
  const { userId } = sessionOf(request)
  return whileAlive(reply, interim, async () => {
    const appended = await vault.uploads.append(userId, id, append)
    const terms = termsIn(appended.upload.terms)
    const isForm = terms.form !== undefined && isLast && appended.upload.protocol === 'ietf'
    return isForm ? finishForm(vault, request, appended.upload, terms) : appended
  })
}

/** A form is more than its file, so here, and only here, the bytes of the file are stored once more. */
async function finishForm(vault: Vault, request: FastifyRequest, upload: Upload, { form = '', sha256 }: Terms) {
  const { userId } = sessionOf(request)
  const hash = createHash('sha256')
  async function* bytes() {
    for await (const chunk of vault.uploads.read(userId, upload)) {
      hash.update(chunk)
      yield chunk
    }
  }
  const read = async (receive: Receive) => {
    const found = await readForm(request, { contentType: form, bytes: bytes() }, receive)
    if (sha256 !== null && hash.digest('hex') !== sha256) throw problems.digestMismatch('Repr-Digest')
    return found
  }
  const onConflict = upload.onConflict === 'rename' ? 'rename' : 'fail'
  const placement = await vault.files.add(userId, read, { announced: null, onConflict })
  await vault.uploads.remove(userId, upload.id)
  return { upload: { ...upload, fileId: placement.file.id, fileName: placement.file.name }, placement }
}

function respond(
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
  if (isDone) reply.header('content-location', `/v1/files/${encodeURIComponent(upload.fileName as string)}`)
  if (!placement) {
    reply.header('upload-limit', limitWithAge(context, interop, upload))
    return reply.code(status).send()
  }
  const { file, outcome } = placement
  if (outcome === 'created') reply.header('location', `/v1/files/${encodeURIComponent(file.name)}`)
  reply.header('etag', entityTag(file)).header('repr-digest', reprDigest(file.sha256))
  return reply.code(outcome === 'created' ? 201 : 200).send(presentFile(file))
}

function limitWithAge({ vault }: UploadContext, { ageMember }: Interop, upload: Upload): string {
  const seconds = Math.max(0, Math.round((vault.uploads.expiresAt(upload) - upload.touchedAt) / 1000))
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
    finish: finishOf(terms),
  }
}

function termsOf(headers: IncomingHttpHeaders, given: Terms): Terms {
  const terms = { ...given }
  for (const field of ['if-match', 'if-none-match', 'if-unmodified-since'] as const) {
    const value = headers[field]
    if (value !== undefined) terms[field] = value
  }
  return terms
}

/** Of an upload that was begun with tus, only the absence of conditions counts. */
function termsIn(terms: string): Terms {
  return { sha256: null, replaced: 'trash', ...(JSON.parse(terms) as Partial<Terms>) }
}

function finishOf({ sha256, replaced, form: _form, ...conditions }: Terms): Finish {
  return { sha256, replaced, guard: guardOf(conditions) }
}
