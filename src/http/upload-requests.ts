/** Reads the requests of uploads, and prepares their responses: for forms and for raw bytes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Problem, problems } from '../problems.ts'
import { ANY_BYTES } from '../vault/files/names.ts'
import type { Placement } from '../vault/files/placing.ts'

/** The characters that a response header can have (RFC 9110, section 5.5). A form may have others. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const MEDIA_TYPE_CHARACTERS = 255

/**
 * The routes of the scope read their bodies as streams of any type. The framework would refuse a malformed Content-Type, so it
 * sees another one. `contentTypeIn` reads the real one.
 */
export function takeAnyBytes(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHook('onRequest', async ({ raw }) => {
    raw.headers['content-type'] = ANY_BYTES
  })
}

/** The path of a file, for `Location` and `Content-Location`. */
export const pathOfFile = (name: string): string => `/v1/files/${encodeURIComponent(name)}`

export function statusOf({ outcome }: Placement): 200 | 201 {
  return outcome === 'created' ? 201 : 200
}

/**
 * The type that the client sent, as it is; `null` for none or `application/octet-stream`. A download sends it back, so one that
 * no header can have is refused.
 */
export function specificType(given: string | undefined, refusal: (message: string) => Problem): string | null {
  if (!given || /^application\/octet-stream\s*(;|$)/i.test(given)) return null
  if (given.length > MEDIA_TYPE_CHARACTERS) throw refusal(`must be at most ${MEDIA_TYPE_CHARACTERS} characters`)
  if (!FIELD_VALUE.test(given))
    throw refusal('must have only characters that a header field can have (RFC 9110, section 5.5)')
  return given
}

/** The same for the Content-Type of a request, as it was sent: the framework may see another. */
export function contentTypeIn({ raw }: FastifyRequest): string | null {
  return specificType(raw.headersDistinct['content-type']?.[0], (message) =>
    problems.invalidRequest([{ path: '/content-type', message }]),
  )
}

/** Refuses an upload whose Content-Length is too large, before its body is read. */
export function refuseOversized(request: FastifyRequest, maxBodyBytes: number, maxFileBytes: number) {
  if ((announcedBytes(request) ?? 0) > maxBodyBytes) throw problems.fileTooLarge(maxFileBytes)
}

/** A short upload is in memory three times: as received, as sealed, and as being written. */
export function memoryBytes(request: FastifyRequest, uploadBytes: number): number {
  return Math.min(uploadBytes, 3 * (announcedBytes(request) ?? uploadBytes))
}

/** The Content-Length; `null` without one. */
export function announcedBytes({ headers }: FastifyRequest): number | null {
  return headers['content-length'] === undefined ? null : Number(headers['content-length'])
}
