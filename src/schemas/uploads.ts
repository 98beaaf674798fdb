import { type Static, Type } from '@sinclair/typebox'
import { Bytes, Id, MOST_CHARACTERS, nullable, streamed, Timestamp } from './common.ts'
import { PutHeaders, StoredFile, TakenQuery, withFile } from './files.ts'

const OpenUpload = Type.Object(
  {
    id: Id,
    name: nullable(Type.String({ examples: ['film.mp4'] }), {
      description: 'The wanted name; `null` for a part of a concatenation, and for a form.',
    }),
    contentType: nullable(Type.String({ examples: ['video/mp4'] }), {
      description: '`null` if the client named none.',
    }),
    size: nullable(Type.Integer({ minimum: 0 }), {
      description: 'The length of the whole; `null` while it is not known.',
    }),
    offset: Type.Integer({ minimum: 0, description: 'The bytes that are stored.' }),
    createdAt: Timestamp,
    expiresAt: Type.String({ ...Timestamp, description: 'When it is removed if nothing is appended.' }),
  },
  { 'x-name': 'OpenUpload', description: 'An upload that is not complete.' },
)

export const UploadList = Type.Object(
  { uploads: Type.Array(OpenUpload) },
  { 'x-name': 'UploadList', description: 'All uploads that are not complete, the oldest first.' },
)

export const UploadQuery = Type.Object({
  ...TakenQuery,
  onConflict: Type.Optional(
    Type.Union([Type.Literal('fail'), Type.Literal('rename'), Type.Literal('replace')], {
      default: 'fail',
      description: 'If a file with other bytes has the name. For tus it is a key of `Upload-Metadata`.',
    }),
  ),
})

const header = (description: string, ...examples: string[]) =>
  Type.Optional(Type.String({ maxLength: MOST_CHARACTERS, description, ...(examples.length > 0 && { examples }) }))

const Dialect = {
  'upload-draft-interop-version': header('IETF: the version of the draft: 3, 5, 6, 8, 9 or 10. Without it, 10.', '10'),
  'tus-resumable': header('tus: `1.0.0`. It makes the request one of tus.'),
}

const Completeness = {
  'upload-complete': header('IETF: `?1` if the upload is complete with this body.', '?1'),
  'upload-incomplete': header('IETF, version 3: the inverse of `Upload-Complete`.', '?0'),
  'upload-length': header('The length of the whole, if it is known. tus needs it, or `Upload-Defer-Length`.'),
  'upload-checksum': header('tus: `sha1` or `sha256`, and the digest of this body in base64.'),
}

const { 'repr-digest': _whole, 'content-digest': _part, ...Preconditions } = PutHeaders.properties

export const CreateHeaders = Type.Object({
  ...Dialect,
  ...Completeness,
  'content-disposition': header('IETF: the name (RFC 6266).', 'attachment; filename="film.mp4"'),
  'upload-defer-length': header('tus: `1` if the length is not known yet.'),
  'upload-metadata': header(
    'tus: `filename`, `filetype`, `takenAt`, `onConflict`, each with its value in base64. With `Upload-Concat` at most 12 KiB.',
  ),
  'upload-concat': header('tus: `partial`, or `final;` and the paths of the uploads that become one file.'),
  ...Preconditions,
  'repr-digest': header('IETF: the sha-256 in it is checked when the upload is complete (RFC 9530).'),
  'content-digest': header('IETF: the sha-256 in it is checked for this body (RFC 9530).'),
})

export const AppendHeaders = Type.Object({
  ...Dialect,
  ...Completeness,
  'upload-offset': Type.String({
    maxLength: MOST_CHARACTERS,
    description: 'The byte where the body begins. It must be the offset of the upload.',
    examples: ['0'],
  }),
  'content-digest': header('IETF: the sha-256 in it is checked for this body (RFC 9530).'),
})

/** The media types of an append: of the draft, and of tus. */
export const APPEND_TYPES = ['application/partial-upload', 'application/offset+octet-stream']

export const AppendBytes = Type.Unsafe<unknown>({
  content: Object.fromEntries(APPEND_TYPES.map((type) => [type, { schema: streamed(Bytes) }])),
})

/** A plain upload with these fields can be resumed. */
const Resumable = {
  'upload-draft-interop-version': Dialect['upload-draft-interop-version'],
  'upload-complete': header('`?1` to get a 104 with the path of an upload; `?0` if more bytes follow there.', '?1'),
  'upload-incomplete': Completeness['upload-incomplete'],
  'upload-length': header('The length of the whole body, if more bytes follow.', '2481733'),
}

export const PutUploadHeaders = Type.Object({ ...PutHeaders.properties, ...Resumable })

export const FormUploadHeaders = Type.Object(Resumable)

export const OffsetHeaders = Type.Object(Dialect)

const text = (description: string) => ({ type: 'string', description })

const offset = { 'Upload-Offset': text('The bytes that are stored.') }

/** Responses that complete an upload, and those that do not. */
export const Progress = {
  complete: (description: string) =>
    withFile(description, { ...offset, 'Content-Location': text('The path of the file.') }),
  begun: Type.Unsafe<Static<typeof StoredFile>>({
    description:
      'Complete: the new file. Or begun: no body. Then `Location` is the path of the upload, and `Upload-Complete` is `?0` (tus: absent).',
    headers: { ...offset, Location: text('The path of the upload, or of the file that is complete.') },
    content: { 'application/json': { schema: StoredFile } },
  }),
  stored: (description: string) => Type.Null({ description, headers: offset }),
}
