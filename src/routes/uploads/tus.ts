/** tus 1.0.0 (https://tus.io/protocols/resumable-upload): translates between its requests and the uploads of the vault. */
import { isUtf8 } from 'node:buffer'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { readBody } from '../../http/body-reading.ts'
import { sessionOf } from '../../http/caller.ts'
import { utf8Name } from '../../http/content-disposition.ts'
import { takenInQuery } from '../../http/taken.ts'
import { announcedBytes, specificType } from '../../http/upload-requests.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Append } from '../../vault/uploads/uploads.ts'
import type { Vault } from '../../vault/vault.ts'
import { appendAndFinish } from './finishing.ts'
import { whileAlive } from './interim.ts'
import { bytesIn, idOf, locateContent, mediaTypeOf, neededBytesIn, pathOf, type UploadContext } from './requests.ts'
import { finishOf, termsIn, termsOf } from './terms.ts'

const VERSION = '1.0.0'
const APPEND_TYPE = 'application/offset+octet-stream'
const ALGORITHMS = ['sha1', 'sha256'] as const
const FINAL = 'final;'
/**
 * The maximum of Upload-Metadata and Upload-Concat together. HEAD sends both back, and the header of a response must fit into the 16 KiB
 * that nginx takes: otherwise it believes that the server is down, for everybody.
 */
const SENT_BACK_BYTES = 12 * 1024
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

/** Sets the version on every response to tus. Registered before the checks of requests, so that their refusals have it, too. */
export const tusVersion = fastifyPlugin(async function tusVersion(app) {
  app.addHook('onRequest', async (request, reply) => {
    if (isTus(request) && /^\/v1\/uploads(?:[/?]|$)/.test(request.url)) reply.header('tus-resumable', VERSION)
  })
})

/** Throws if the client speaks another version. */
export function checkTus({ headers }: FastifyRequest): void {
  if (headers['tus-resumable'] !== VERSION) throw problems.unsupportedTusVersion(VERSION)
}

export async function createTus(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const { uploads } = context.vault
  const { headers } = request
  const { userId } = sessionOf(request)
  const concat = headers['upload-concat'] as string | undefined
  const given = headers['upload-metadata'] as string | undefined
  if ((given ?? '').length + (concat ?? '').length > SENT_BACK_BYTES) throw problems.headersTooLarge()
  const metadata = metadataIn(given)
  const taken = takenInQuery({ takenAt: textIn(metadata, 'takenAt') })
  const terms = termsOf({}, { metadata: given, concat, taken })
  const isFinal = concat?.startsWith(FINAL) ?? false
  if (concat !== undefined && concat !== 'partial' && !isFinal)
    throw invalid('upload-concat', 'must be partial or final;…')
  const upload = {
    name: concat === 'partial' ? null : nameIn(metadata),
    contentType: specificType(textIn(metadata, 'filetype'), (message) =>
      invalid('upload-metadata', `filetype ${message}`),
    ),
    sizeBytes: isFinal ? null : lengthIn(request),
    onConflict: choiceIn(textIn(metadata, 'onConflict')),
    protocol: 'tus' as const,
    terms: JSON.stringify(terms),
    ...finishOf(request, terms),
  }
  if (isFinal) {
    const { upload: whole } = await whileAlive(reply, context.interim, () =>
      uploads.concatenate(userId, upload, idsIn(concat as string)),
    )
    return respond(context.vault, reply.code(201).header('location', pathOf(whole)), whole)
  }
  const created = await uploads.begin(userId, upload)
  reply.code(201).header('location', pathOf(created))
  const hasBody = mediaTypeOf(request) === APPEND_TYPE
  if (!hasBody && created.sizeBytes !== 0) return respond(context.vault, reply, created)
  const append = () => appendOf(request, 0, created)
  const { upload: appended } = await appendAndFinish(context, request, reply, created.id, append)
  return respond(context.vault, reply, appended)
}

export async function headTus(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  const { uploads } = context.vault
  const upload = await uploads.findWhole(sessionOf(request).userId, idOf(request), (known) =>
    finishOf(request, termsIn(known)),
  )
  const { metadata, concat } = termsIn(upload)
  if (upload.sizeBytes === null) reply.header('upload-defer-length', '1')
  else reply.header('upload-length', String(upload.sizeBytes))
  if (metadata !== undefined) reply.header('upload-metadata', metadata)
  if (concat !== undefined) reply.header('upload-concat', concat)
  return respond(context.vault, reply.code(200).header('cache-control', 'no-store'), upload)
}

export async function patchTus(context: UploadContext, request: FastifyRequest, reply: FastifyReply) {
  if (mediaTypeOf(request) !== APPEND_TYPE) throw problems.unsupportedMediaType(APPEND_TYPE)
  const offset = neededBytesIn(request.headers, 'upload-offset')
  const append = (upload: Upload) => {
    // One that was refused at its end is tried again by an append without bytes.
    if (upload.fileId !== null && termsIn(upload).concat?.startsWith(FINAL)) throw problems.finalUpload()
    return appendOf(request, offset, upload)
  }
  const { upload } = await appendAndFinish(context, request, reply, idOf(request), append)
  return respond(context.vault, reply.code(204), upload)
}

async function respond(vault: Vault, reply: FastifyReply, upload: Upload) {
  const { uploads } = vault
  reply.header('upload-offset', String(upload.offset))
  reply.header('upload-expires', new Date(uploads.expiresAt(upload)).toUTCString())
  await locateContent(vault, reply, upload, null)
  return reply.send()
}

function appendOf(request: FastifyRequest, offset: number, upload: Upload): Append {
  const { algorithm, check } = checksumIn(request)
  return {
    offset,
    bytes: readBody(request.raw),
    announcedBytes: announcedBytes(request),
    // Once the length is set, it must not be changed (extension creation-defer-length).
    sizeBytes: bytesIn(request.headers, 'upload-length'),
    isLast: null,
    isStrict: false,
    algorithm,
    check,
    finish: finishOf(request, termsIn(upload)),
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

/** `key base64,key base64`. The values of keys that the server does not know may be any bytes. */
function metadataIn(field: string | undefined): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const pair of (field ?? '').split(',').map((text) => text.trim())) {
    if (pair === '') continue
    const [key, value = '', more] = pair.split(' ') as [string, string?, string?]
    if (more !== undefined || found.has(key) || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
      throw invalid('upload-metadata', 'must be pairs of a key and base64, separated by commas')
    }
    found.set(key, Buffer.from(value, 'base64'))
  }
  return found
}

function nameIn(metadata: Map<string, Buffer>): string {
  const name = metadata.get('filename')
  if (name === undefined) throw problems.invalidName('Upload-Metadata needs the key filename.')
  return utf8Name(name)
}

function textIn(metadata: Map<string, Buffer>, key: string): string | undefined {
  const value = metadata.get(key)
  if (value && !isUtf8(value)) throw invalid('upload-metadata', `${key} must be UTF-8`)
  return value?.toString()
}

function choiceIn(value = 'fail'): (typeof CHOICES)[number] {
  const choice = CHOICES.find((known) => known === value)
  if (!choice) throw invalid('upload-metadata', `onConflict must be ${CHOICES.join(', ')}`)
  return choice
}

/** The ids in `final;/v1/uploads/a /v1/uploads/b`, whose URLs may be absolute. */
function idsIn(concat: string): string[] {
  const ids = concat
    .slice(FINAL.length)
    .split(' ')
    .filter((url) => url !== '')
    .map((url) => /\/v1\/uploads\/([\w-]+)$/.exec(url)?.[1])
  if (ids.length === 0 || ids.includes(undefined)) throw invalid('upload-concat', 'must name uploads of this server')
  if (new Set(ids).size < ids.length) throw invalid('upload-concat', 'must name each upload once')
  return ids as string[]
}

const invalid = (field: string, message: string) => problems.invalidRequest([{ path: `/${field}`, message }])
