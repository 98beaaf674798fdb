/** draft-ietf-httpbis-resumable-upload: translates between its requests and the uploads of the vault. */
import { type IncomingHttpHeaders, STATUS_CODES } from 'node:http'
import { parse } from 'content-disposition'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readBody } from '../../http/body-reading.ts'
import { sessionOf } from '../../http/caller.ts'
import { entityTag, guardOf } from '../../http/conditions.ts'
import { digestsIn, reprDigest } from '../../http/digests.ts'
import { presentFile } from '../../http/presenting.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Placement } from '../../vault/files/placing.ts'
import type { Append, NewUpload, Uploads } from '../../vault/files/uploads.ts'
import { type Interop, interopOf, isComplete } from './interop.ts'
import { bytesIn, neededBytesIn } from './numbers.ts'
import { idOf, pathOf } from './tus.ts'

STATUS_CODES[104] ??= 'Upload Resumption Supported'

export interface IetfRules {
  maxFileBytes: number
  /** Whether 104s are sent. */
  interim: boolean
}

/** What must hold when the upload becomes a file: the fields of its creation. */
type Terms = Pick<IncomingHttpHeaders, 'if-match' | 'if-none-match' | 'if-unmodified-since'> & { sha256: string | null }

/** `Upload-Limit` for uploads in general. */
export const limitOf = ({ maxFileBytes }: Pick<IetfRules, 'maxFileBytes'>) => `min-size=0, max-size=${maxFileBytes}`

/** Begins an upload with the body of the request, which may be the whole or its first bytes. */
export async function createIetf(
  uploads: Uploads,
  rules: IetfRules,
  request: FastifyRequest,
  reply: FastifyReply,
  target: Pick<NewUpload, 'name' | 'contentType' | 'onConflict'>,
) {
  const { headers, raw } = request
  const { userId } = sessionOf(request)
  const interop = interopOf(headers)
  const isWhole = isComplete(headers, interop, true)
  const digests = digestsIn(headers)
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch, 'if-unmodified-since': since } = headers
  const terms: Terms = { sha256: digests.representation }
  if (ifMatch !== undefined) terms['if-match'] = ifMatch
  if (ifNoneMatch !== undefined) terms['if-none-match'] = ifNoneMatch
  if (since !== undefined) terms['if-unmodified-since'] = since
  const body = bytesIn(headers, 'content-length')
  const length = bytesIn(headers, 'upload-length') ?? (isWhole ? body : null)
  if (length !== null && body !== null && (isWhole ? body !== length : body > length)) {
    throw problems.inconsistentLength()
  }
  const upload = await uploads.begin(userId, {
    ...target,
    sizeBytes: length,
    protocol: 'ietf',
    terms: JSON.stringify(terms),
    ...finishOf(terms),
  })
  reply.header('location', pathOf(upload))
  if (rules.interim && interop.isNamed && raw.httpVersion === '1.1') {
    sendInterim(reply, {
      location: pathOf(upload),
      'upload-draft-interop-version': String(interop.version),
      'upload-limit': limitWithAge(uploads, rules, interop, upload),
    })
  }
  const append = () => ({
    ...appendOf(request, 0, isWhole, digests.content),
    finish: finishOf(terms),
    sizeBytes: length,
  })
  const appended = await uploads.append(userId, upload.id, append)
  return respond(uploads, rules, interop, reply, appended.upload, appended.placement, 201)
}

export async function headIetf(uploads: Uploads, rules: IetfRules, request: FastifyRequest, reply: FastifyReply) {
  const interop = interopOf(request.headers)
  const upload = await uploads.find(sessionOf(request).userId, idOf(request))
  if (upload.sizeBytes !== null) reply.header('upload-length', String(upload.sizeBytes))
  reply.header('cache-control', 'no-store')
  return respond(uploads, rules, interop, reply, upload, null, 204)
}

export async function patchIetf(uploads: Uploads, rules: IetfRules, request: FastifyRequest, reply: FastifyReply) {
  const { headers } = request
  const interop = interopOf(headers)
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (interop.mediaType !== null && type !== interop.mediaType) throw problems.unsupportedMediaType(interop.mediaType)
  const offset = neededBytesIn(headers, 'upload-offset')
  const isLast = isComplete(headers, interop, interop.absentMeansComplete ? true : null)
  const { content } = digestsIn(headers)
  const { upload, placement } = await uploads.append(sessionOf(request).userId, idOf(request), (known) => {
    const terms = JSON.parse(known.terms) as Terms
    const length = bytesIn(headers, 'upload-length')
    return { ...appendOf(request, offset, isLast, content), sizeBytes: length, finish: finishOf(terms) }
  })
  return respond(uploads, rules, interop, reply, upload, placement, 204)
}

/** The name and the type of an upload to /v1/uploads. */
export function targetIn({ headers }: FastifyRequest): Pick<NewUpload, 'name' | 'contentType'> {
  const field = headers['content-disposition']
  const name = field === undefined ? undefined : parameterIn(field)
  if (name === undefined) throw problems.invalidName('Send the name: Content-Disposition: attachment; filename="…".')
  return { name, contentType: headers['content-type'] ?? null }
}

function parameterIn(field: string): string | undefined {
  try {
    return parse(field).parameters.filename
  } catch (cause) {
    throw problems.invalidName('The Content-Disposition cannot be read (RFC 6266).', cause)
  }
}

function respond(
  uploads: Uploads,
  rules: IetfRules,
  interop: Interop,
  reply: FastifyReply,
  upload: Upload,
  placement: Placement | null,
  status: 201 | 204,
) {
  const { complete, version } = interop
  const isDone = upload.fileName !== null
  reply.header('upload-draft-interop-version', String(version))
  reply.header('upload-offset', String(upload.offset))
  reply.header(complete.field, isDone ? complete.yes : complete.no)
  if (isDone) reply.header('content-location', `/v1/files/${encodeURIComponent(upload.fileName as string)}`)
  if (!placement) {
    reply.header('upload-limit', limitWithAge(uploads, rules, interop, upload))
    return reply.code(status).send()
  }
  const { file, outcome } = placement
  reply.header('etag', entityTag(file)).header('repr-digest', reprDigest(file.sha256))
  return reply.code(outcome === 'created' ? 201 : 200).send(presentFile(file))
}

function limitWithAge(uploads: Uploads, rules: IetfRules, { ageMember }: Interop, upload: Upload): string {
  const seconds = Math.max(0, Math.round((uploads.expiresAt(upload) - upload.touchedAt) / 1000))
  return `${limitOf(rules)}, ${ageMember}=${seconds}`
}

function appendOf({ raw }: FastifyRequest, offset: number, isLast: boolean, content: string | null) {
  const check: Append['check'] = (hash) => {
    if (hash.digest('hex') !== content) throw problems.digestMismatch('Content-Digest')
  }
  return { offset, bytes: readBody(raw), isLast, algorithm: 'sha256' as const, check: content === null ? null : check }
}

function finishOf({ sha256, ...conditions }: Terms): Append['finish'] {
  return { sha256, guard: guardOf(conditions) }
}

/** A 104 (Upload Resumption Supported). Node has a method for it from version 24 on. */
function sendInterim({ raw }: FastifyReply, fields: Record<string, string>): void {
  const response = raw as typeof raw & {
    writeInformation?: (status: number, fields: Record<string, string>) => void
    _writeRaw?: (head: string, encoding: string) => void
  }
  if (response.writeInformation) {
    response.writeInformation(104, fields)
    return
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  response._writeRaw?.(`HTTP/1.1 104 ${STATUS_CODES[104]}\r\n${lines.join('')}\r\n`, 'latin1')
}
