/** Reads header fields that both protocols have. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { parseItem } from 'structured-headers'
import { sessionOf } from '../../http/caller.ts'
import { pathOfFile } from '../../http/upload-requests.ts'
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import type { Placement } from '../../vault/files/placing.ts'
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

/** Names the file of a complete upload, unless it was renamed or deleted since: then another file may have its name. */
export async function locateContent(
  { uploads }: Vault,
  reply: FastifyReply,
  upload: Upload,
  placement: Placement | null,
): Promise<void> {
  if (upload.fileName === null) return
  const isThere = placement !== null || (await uploads.isInPlace(sessionOf(reply.request).userId, upload))
  if (isThere) reply.header('content-location', pathOfFile(upload.fileName))
}

/** A field with a number of bytes; `null` if it is absent. */
export function bytesIn(headers: IncomingHttpHeaders, field: string): number | null {
  const value = headers[field]
  if (value === undefined) return null
  // An item of the draft may have parameters, which are ignored (RFC 9651, section 2).
  const number = headers['tus-resumable'] === undefined ? withoutParameters(String(value)) : String(value)
  const bytes = /^\d{1,16}$/.test(number) ? Number(number) : Number.NaN
  if (!Number.isSafeInteger(bytes)) {
    throw problems.invalidRequest([{ path: `/${field}`, message: 'must be a number of bytes' }])
  }
  return bytes
}

function withoutParameters(value: string): string {
  const [digits, ...parameters] = value.split(';') as [string, ...string[]]
  if (parameters.length === 0) return value
  try {
    parseItem(value)
    return digits
  } catch {
    return ''
  }
}

/** The same for a field that must be there. */
export function neededBytesIn(headers: IncomingHttpHeaders, field: string): number {
  const bytes = bytesIn(headers, field)
  if (bytes === null) throw problems.invalidRequest([{ path: `/${field}`, message: 'is required' }])
  return bytes
}
