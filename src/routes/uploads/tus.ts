/** tus 1.0.0 (https://tus.io/protocols/resumable-upload): translates between its requests and the uploads of the vault. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { readBody } from '../../http/body-reading.ts'
import { sessionOf } from '../../http/caller.ts'
import { takenInQuery } from '../../http/taken.ts'
import { announcedBytes, pathOfFile, specificType } from '../../http/upload-requests.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Append, Uploads } from '../../vault/uploads/uploads.ts'
import { appendAndFinish } from './finishing.ts'
import { whileAlive } from './interim.ts'
import { bytesIn, idOf, mediaTypeOf, neededBytesIn, pathOf, type UploadContext } from './requests.ts'
import { finishOf, termsIn, termsOf } from './terms.ts'

const VERSION = '1.0.0'
const APPEND_TYPE = 'application/offset+octet-stream'
const ALGORITHMS = ['sha1', 'sha256'] as const
const CHOICES = ['fail', 'rename', 'replace'] as const

/** The fields of a response to OPTIONS. */
export const tusOptions = (maxFileBytes: number) => ({
  'tus-resumable': VERSION,
  'tus-version': VERSION,
  'tus-extension': 'creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation',
  'tus-checksum-algorithm': ALGORITHMS.join(','),
  'tus-max-size': String(maxFileBytes),
})

export const isTus = ({ headers }: FastifyRequest): boolean => headers['tus-resumable'] !== undefined

/** Sets the version on every response, refusals included. Throws if the client speaks another version. */
export function beginTus({ headers }: FastifyRequest, reply: FastifyReply): void {
  reply.header('tus-resumable', VERSION)
  if (headers['tus-resumable'] !== VERSION) throw problems.unsupportedTusVersion(VERSION)
}

export async function createTus(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const { uploads } = context.vault
  const { headers } = request
  const { userId } = sessionOf(request)
  const concat = headers['upload-concat'] as string | undefined
  const given = headers['upload-metadata'] as string | undefined
  const metadata = metadataIn(given)
  const terms = termsOf({}, { metadata: given, concat, taken: takenInQuery({ takenAt: metadata.get('takenAt') }) })
  const isFinal = concat?.startsWith('final;') ?? false
  if (concat !== undefined && concat !== 'partial' && !isFinal)
    throw invalid('upload-concat', 'must be partial or final;…')
  const upload = {
    name: concat === 'partial' ? null : nameIn(metadata),
    contentType: specificType(metadata.get('filetype'), (message) => invalid('upload-metadata', `filetype ${message}`)),
    sizeBytes: isFinal ? null : lengthIn(request),
    onConflict: choiceIn(metadata.get('onConflict')),
    protocol: 'tus' as const,
    terms: JSON.stringify(terms),
    ...finishOf(terms),
  }
  if (isFinal) {
    const { upload: whole } = await whileAlive(reply, context.interim, () =>
      uploads.concatenate(userId, upload, idsIn(concat as string)),
    )
    return respond(uploads, reply.code(201).header('location', pathOf(whole)), whole)
  }
  const created = await uploads.begin(userId, upload)
  reply.code(201).header('location', pathOf(created))
  const hasBody = mediaTypeOf(request) === APPEND_TYPE
  if (!hasBody && created.sizeBytes !== 0) return respond(uploads, reply, created)
  const append = () => appendOf(request, 0, created)
  const { upload: appended } = await appendAndFinish(context, request, reply, created.id, append)
  return respond(uploads, reply, appended)
}

export async function headTus({ vault: { uploads } }: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const upload = await uploads.findWhole(sessionOf(request).userId, idOf(request), (known) => finishOf(termsIn(known)))
  const { metadata, concat } = termsIn(upload)
  if (upload.sizeBytes === null) reply.header('upload-defer-length', '1')
  else reply.header('upload-length', String(upload.sizeBytes))
  if (metadata !== undefined) reply.header('upload-metadata', metadata)
  if (concat !== undefined) reply.header('upload-concat', concat)
  return respond(uploads, reply.code(200).header('cache-control', 'no-store'), upload)
}

export async function patchTus(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  if (mediaTypeOf(request) !== APPEND_TYPE) throw problems.unsupportedMediaType(APPEND_TYPE)
  const offset = neededBytesIn(request.headers, 'upload-offset')
  const append = (upload: Upload) => appendOf(request, offset, upload)
  const { upload } = await appendAndFinish(context, request, reply, idOf(request), append)
  return respond(context.vault.uploads, reply.code(204), upload)
}

function respond(uploads: Uploads, reply: FastifyReply, upload: Upload) {
  reply.header('upload-offset', String(upload.offset))
  reply.header('upload-expires', new Date(uploads.expiresAt(upload)).toUTCString())
  if (upload.fileName !== null) reply.header('content-location', pathOfFile(upload.fileName))
  return reply.send()
}

function appendOf(request: FastifyRequest, offset: number, upload: Upload): Append {
  const { algorithm, check } = checksumIn(request)
  const deferred = upload.sizeBytes === null && offset > 0 ? bytesIn(request.headers, 'upload-length') : null
  const sizeBytes = upload.sizeBytes ?? deferred ?? bytesIn(request.headers, 'upload-length')
  return {
    offset,
    bytes: readBody(request.raw),
    announcedBytes: announcedBytes(request),
    sizeBytes,
    isLast: null,
    isStrict: false,
    algorithm,
    check,
    finish: finishOf(termsIn(upload)),
  }
}

function checksumIn({ headers }: FastifyRequest): Pick<Append, 'algorithm' | 'check'> {
  const value = headers['upload-checksum']
  if (value === undefined) return { algorithm: 'sha256', check: null }
  const [name, digest] = String(value).split(' ')
  const algorithm = ALGORITHMS.find((known) => known === name)
  if (!algorithm || !digest) throw invalid('upload-checksum', `must be one of ${ALGORITHMS.join(', ')} and base64`)
  return {
    algorithm,
    check(hash) {
      if (hash.digest('base64') !== digest) throw problems.checksumMismatch()
    },
  }
}

function lengthIn({ headers }: FastifyRequest): number | null {
  const deferred = headers['upload-defer-length']
  const length = bytesIn(headers, 'upload-length')
  if (deferred !== undefined && deferred !== '1') throw invalid('upload-defer-length', 'must be 1')
  if ((length === null) === (deferred === undefined)) {
    throw invalid('upload-length', 'is required, or Upload-Defer-Length: 1 instead of it')
  }
  return length
}

/** `key base64,key base64`: decoded as UTF-8. */
function metadataIn(field: string | undefined): Map<string, string> {
  const found = new Map<string, string>()
  for (const pair of (field ?? '').split(',').map((text) => text.trim())) {
    if (pair === '') continue
    const [key, value = '', more] = pair.split(' ') as [string, string?, string?]
    if (more !== undefined || found.has(key) || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
      throw invalid('upload-metadata', 'must be pairs of a key and base64, separated by commas')
    }
    found.set(key, Buffer.from(value, 'base64').toString())
  }
  return found
}

function nameIn(metadata: Map<string, string>): string {
  const name = metadata.get('filename')
  if (name === undefined) throw problems.invalidName('Upload-Metadata needs the key filename.')
  return name
}

function choiceIn(value = 'fail'): (typeof CHOICES)[number] {
  const choice = CHOICES.find((known) => known === value)
  if (!choice) throw invalid('upload-metadata', `onConflict must be ${CHOICES.join(', ')}`)
  return choice
}

/** The ids in `final;/v1/uploads/a /v1/uploads/b`, whose URLs may be absolute. */
function idsIn(concat: string): string[] {
  const ids = concat
    .slice('final;'.length)
    .split(' ')
    .filter((url) => url !== '')
    .map((url) => /\/v1\/uploads\/([\w-]+)$/.exec(url)?.[1])
  if (ids.length === 0 || ids.includes(undefined)) throw invalid('upload-concat', 'must name uploads of this server')
  return ids as string[]
}

const invalid = (field: string, message: string) => problems.invalidRequest([{ path: `/${field}`, message }])
