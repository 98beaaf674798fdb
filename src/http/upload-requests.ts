/** What both uploads, as a form and as raw bytes, read from their request and answer. */
import type { FastifyRequest } from 'fastify'
import { problems } from '../problems.ts'
import type { Placement } from '../vault/files/files.ts'
import { ANY_BYTES } from '../vault/files/names.ts'

/** RFC 9110, section 8.3.1, limited to characters that a response header can have. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;[\t\x20-\x7e]*)?$/
const MEDIA_TYPE_CHARACTERS = 255

/** The path of the stored file, for `Location`. */
export function pathOf({ file }: Placement): string {
  return `/v1/files/${encodeURIComponent(file.name)}`
}

export function statusOf({ outcome }: Placement): 200 | 201 {
  return outcome === 'created' ? 201 : 200
}

/** The given type, or `application/octet-stream` if it is absent or malformed. */
export function contentTypeOf(given: string | undefined): string {
  return given && given.length <= MEDIA_TYPE_CHARACTERS && MEDIA_TYPE.test(given) ? given : ANY_BYTES
}

/** The type that the client sent; `null` for none, a malformed one, or `application/octet-stream`. */
export function specificType(given: string | undefined): string | null {
  const type = contentTypeOf(given)
  return /^application\/octet-stream\s*(;|$)/i.test(type) ? null : type
}

/**
 * A client of resumable uploads sends the first part of a file so (draft-ietf-httpbis-resumable-upload; `Upload-Incomplete` in
 * its first versions). It must not be stored as the whole file.
 */
export function refuseUnfinished({ headers }: FastifyRequest) {
  const complete = headers['upload-complete'] ?? '?1'
  const incomplete = headers['upload-incomplete'] ?? '?0'
  const message = 'the body must be the whole file: this server has no resumable uploads'
  if (complete !== '?1') throw problems.invalidRequest([{ path: '/upload-complete', message }])
  if (incomplete !== '?0') throw problems.invalidRequest([{ path: '/upload-incomplete', message }])
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
