/** Reads header fields that both protocols have. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Vault } from '../../vault/vault.ts'

export interface UploadContext {
  vault: Vault
  /** Whether interim responses (104, 102) are sent. */
  interim: boolean
}

export const pathOf = ({ id }: Pick<Upload, 'id'>): string => `/v1/uploads/${id}`

export const idOf = ({ params }: FastifyRequest): string => (params as { id: string }).id

/** The Content-Type as it was sent, also that of an empty body. */
export const contentTypeOf = ({ raw }: FastifyRequest): string | undefined => raw.headersDistinct['content-type']?.[0]

/** The same without parameters. */
export const mediaTypeOf = (request: FastifyRequest): string | undefined =>
  contentTypeOf(request)?.split(';')[0]?.trim().toLowerCase()

/** A field with a number of bytes; `null` if it is absent. */
export function bytesIn(headers: IncomingHttpHeaders, field: string): number | null {
  const value = headers[field]
  if (value === undefined) return null
  const bytes = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (!Number.isSafeInteger(bytes)) {
    throw problems.invalidRequest([{ path: `/${field}`, message: 'must be a number of bytes' }])
  }
  return bytes
}

/** The same for a field that must be there. */
export function neededBytesIn(headers: IncomingHttpHeaders, field: string): number {
  const bytes = bytesIn(headers, field)
  if (bytes === null) throw problems.invalidRequest([{ path: `/${field}`, message: 'is required' }])
  return bytes
}
