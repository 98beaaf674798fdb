/** Requests of resumable uploads as clients send them: tus, and each version of the IETF's draft. */
import { createHash } from 'node:crypto'
import type { Answer, Call } from './http.ts'

/** `tus`, or the interop version of the draft. */
export type Dialect = 'tus' | 3 | 5 | 6 | 8 | 9 | 10
export const DIALECTS: readonly Dialect[] = ['tus', 3, 5, 6, 8, 9, 10]
export const DRAFTS = DIALECTS.filter((dialect): dialect is Exclude<Dialect, 'tus'> => dialect !== 'tus')

export interface Sending {
  path: string
  call: Omit<Call, 'headers'> & { headers: Record<string, string> }
}

export interface Piece {
  bytes: Buffer
  /** The request says that the upload is complete with it. tus has no word for that. */
  isLast: boolean
  /** Announces the digest of other bytes. */
  digest?: 'right' | 'wrong'
  /** The length of the whole, if the request says it. */
  size?: number
}

/** Begins an upload at /v1/uploads. With tus a piece without bytes is not sent, and without `size` the length is deferred. */
export function beginning(dialect: Dialect, name: string, piece: Piece): Sending {
  if (dialect !== 'tus') {
    const disposition = { 'content-disposition': `attachment; filename="${name}"` }
    return { path: '/v1/uploads', call: { method: 'POST', ...draft(dialect, piece, { ...disposition, ...OF_BYTES }) } }
  }
  const { bytes, size } = piece
  const creation = {
    'tus-resumable': '1.0.0',
    'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
    ...(size === undefined ? { 'upload-defer-length': '1' } : { 'upload-length': String(size) }),
  }
  if (bytes.length === 0) return { path: '/v1/uploads', call: { method: 'POST', headers: creation } }
  const headers = { ...creation, 'content-type': TUS_TYPE, ...checksum(piece) }
  return { path: '/v1/uploads', call: { method: 'POST', headers, body: bytes } }
}

/** Begins an upload with a plain PUT. */
export function beginningByPut(version: number, name: string, piece: Piece): Sending {
  return { path: `/v1/files/${name}`, call: { method: 'PUT', ...draft(version, piece, OF_BYTES) } }
}

/** Begins an upload with a plain form. The bytes are those of the form. */
export function beginningByForm(version: number, contentType: string, piece: Piece): Sending {
  return { path: '/v1/files', call: { method: 'POST', ...draft(version, piece, { 'content-type': contentType }) } }
}

export function appending(dialect: Dialect, path: string, offset: number, piece: Piece): Sending {
  const at = { 'upload-offset': String(offset) }
  if (dialect !== 'tus') {
    const type = dialect >= 6 ? { 'content-type': 'application/partial-upload' } : {}
    return { path, call: { method: 'PATCH', ...draft(dialect, piece, { ...at, ...type }) } }
  }
  const length = piece.size === undefined ? {} : { 'upload-length': String(piece.size) }
  const headers = { 'tus-resumable': '1.0.0', 'content-type': TUS_TYPE, ...at, ...length, ...checksum(piece) }
  return { path, call: { method: 'PATCH', headers, body: piece.bytes } }
}

export function asking(dialect: Dialect, path: string): Sending {
  const headers: Record<string, string> =
    dialect === 'tus' ? { 'tus-resumable': '1.0.0' } : { 'upload-draft-interop-version': String(dialect) }
  return { path, call: { method: 'HEAD', headers } }
}

/** Both protocols name the file once the upload is complete. */
export const isComplete = ({ headers }: Answer): boolean => headers['content-location'] !== undefined

/** The offset that a response tells, a refusal included. `null` if it tells none. */
export function toldOffset({ headers }: Answer): number | null {
  const field = headers['upload-offset']
  return field === undefined ? null : Number(field)
}

const TUS_TYPE = 'application/offset+octet-stream'
const OF_BYTES = { 'content-type': 'application/octet-stream' }

function draft(version: number, { bytes, isLast, digest, size }: Piece, more: Record<string, string>) {
  const complete = version === 3 ? { 'upload-incomplete': flag(!isLast) } : { 'upload-complete': flag(isLast) }
  const headers: Record<string, string> = {
    'upload-draft-interop-version': String(version),
    ...complete,
    ...(size !== undefined && { 'upload-length': String(size) }),
    ...(digest && { 'content-digest': `sha-256=:${digestOf('sha256', bytes, digest)}:` }),
    ...more,
  }
  return { headers, body: bytes }
}

function checksum({ bytes, digest }: Piece) {
  if (!digest) return {}
  const algorithm = bytes.length % 2 === 0 ? 'sha1' : 'sha256'
  return { 'upload-checksum': `${algorithm} ${digestOf(algorithm, bytes, digest)}` }
}

const flag = (value: boolean) => (value ? '?1' : '?0')

function digestOf(algorithm: string, bytes: Buffer, digest: 'right' | 'wrong'): string {
  return createHash(algorithm)
    .update(bytes)
    .update(digest === 'wrong' ? 'other' : '')
    .digest('base64')
}
