import { type Static, Type } from '@sinclair/typebox'
import { Bytes, Id, MOST_CHARACTERS, NextCursor, nullable, Paging, streamed, Timestamp } from './common.ts'

/** RFC 3339 with an offset. */
export const TakenAt = Type.String({ format: 'date-time', maxLength: 64, examples: ['2026-11-22T10:30:00.000+02:00'] })

const takenAtOf = (description: string) => Type.Optional(Type.String({ ...TakenAt, description }))

/** For uploads. */
export const TakenQuery = {
  takenAt: takenAtOf('When the content was made: RFC 3339 with an offset. Write its `+` as `%2B`.'),
}

export const StoredFile = Type.Object(
  {
    id: Id,
    name: Type.String({ examples: ['beach.jpg'] }),
    size: Type.Integer({ minimum: 0, description: 'Bytes.', examples: [2_481_733] }),
    contentType: Type.String({ examples: ['image/jpeg'] }),
    sha256: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'SHA-256 of the bytes as uploaded, in lower-case hex.',
      examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
    }),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    takenAt: nullable(TakenAt, {
      description: 'When the content was made, with the offset that it came with; `null` if no client said.',
    }),
    thumbnail: nullable(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', examples: ['V1StGXR8_Z5jdHi6B-myT'] }), {
      description: 'The tag of the thumbnail, which changes whenever the thumbnail does; `null` without one.',
    }),
  },
  { 'x-name': 'StoredFile', description: 'A file, without its bytes.' },
)

const entityTag = { type: 'string', description: 'Strong, made from the SHA-256 (RFC 9110, section 8.8.3).' }

/** A response with the file. */
export const withFile = (description: string, headers: Record<string, unknown> = {}) =>
  Type.Unsafe<Static<typeof StoredFile>>({
    description,
    headers: { ETag: entityTag, ...headers },
    content: { 'application/json': { schema: StoredFile } },
  })

export const location = { Location: { type: 'string', description: 'The path of the file.' } }

export const ByName = Type.Object({
  name: Type.String({
    maxLength: MOST_CHARACTERS,
    description:
      'One path segment, percent-encoded: 1 to 255 bytes of UTF-8, no control characters. It is converted to NFC.',
    examples: ['beach.jpg'],
  }),
})

export const Form = streamed(
  Type.Object({
    file: Type.String({ ...Bytes, description: 'The file.' }),
    name: Type.Optional(
      Type.String({
        description: 'Overrides the file name of the part: `beach.jpg`.',
        // Empty, because Swagger UI fills the example in, and it would be the name of every upload.
        examples: [''],
      }),
    ),
    takenAt: Type.Optional(
      Type.String({ description: 'When the content was made: RFC 3339 with an offset.', examples: [''] }),
    ),
  }),
)

/**
 * Bytes of any type. Code generators recognise raw bytes by the first entry. The second entry allows every other type,
 * including JSON that is not a string.
 */
const anyBytes = {
  'application/octet-stream': { schema: streamed(Bytes) },
  '*/*': { schema: streamed(Type.Unknown()) },
}

export const RawBytes = Type.Unsafe<unknown>({ content: anyBytes })

const onConflict = (description: string) =>
  Type.Object({
    onConflict: Type.Optional(
      Type.Union([Type.Literal('fail'), Type.Literal('rename')], { default: 'fail', description }),
    ),
  })

export const OnConflict = onConflict(
  'If a file with other bytes has the name: refuse, or store as `beach (1).jpg` and so on.',
)

export const OnRestoreConflict = onConflict(
  'If another file has the name now: refuse, or restore as `beach (1).jpg` and so on.',
)

export const Replaced = Type.Object({
  ...TakenQuery,
  replaced: Type.Optional(
    Type.Union([Type.Literal('trash'), Type.Literal('discard')], {
      default: 'trash',
      description: 'Whether a version that is replaced by other bytes goes to the trash, or is deleted at once.',
    }),
  ),
})

export const FileEdit = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        maxLength: MOST_CHARACTERS,
        description: 'One path segment: 1 to 255 bytes of UTF-8, no control characters. It is converted to NFC.',
        examples: ['holiday.jpg'],
      }),
    ),
    takenAt: Type.Optional(
      Type.Union([TakenAt, Type.Null()], {
        description: 'When the content was made: RFC 3339 with an offset; `null` removes it.',
      }),
    ),
  },
  { 'x-name': 'FileEdit', minProperties: 1, description: 'What changes: the name, `takenAt`, or both.' },
)

const TAG = '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'

const header = (description: string, examples: string[]) =>
  Type.Optional(Type.String({ maxLength: MOST_CHARACTERS, description, examples }))

const Preconditions = {
  'if-match': header('Continue only if the file has one of these entity tags, or with `*` if it exists.', ['*']),
  'if-none-match': header(
    'Continue only if the file has none of these entity tags, or with `*` if it does not exist.',
    [TAG],
  ),
  'if-unmodified-since': header('Continue only if the file has not changed since.', ['Sun, 22 Nov 2026 08:30:00 GMT']),
}

export const ChangeHeaders = Type.Object(Preconditions)

export const PutHeaders = Type.Object({
  ...Preconditions,
  'repr-digest': header('The sha-256 in it is checked (RFC 9530).', [
    'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:',
  ]),
  'content-digest': header('Checked as Repr-Digest: here both are the same.', [
    'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:',
  ]),
})

const Conditions = {
  ...Preconditions,
  'if-none-match': header('304 if the file has one of these entity tags.', [TAG]),
  'if-modified-since': header('304 if the file has not changed since.', ['Sun, 22 Nov 2026 08:30:00 GMT']),
}

export const HeadHeaders = Type.Object(Conditions)

export const GetHeaders = Type.Object({
  ...Conditions,
  range: header(
    'The bytes to send (RFC 9110, section 14). For several ranges that do not touch, the whole file is sent.',
    ['bytes=0-1023'],
  ),
  'if-range': header('Send the whole file if it is no longer this version.', [TAG]),
})

export const Disposition = Type.Object({
  disposition: Type.Optional(
    Type.Union([Type.Literal('attachment'), Type.Literal('inline')], {
      default: 'attachment',
      description: '`inline` works for raster images, audio and video; anything else stays an attachment.',
    }),
  ),
})

const text = (description: string) => ({ type: 'string', description })

const validators = {
  ETag: entityTag,
  'Last-Modified': text('When the content or type under this name last changed.'),
}

const downloadHeaders = {
  ...validators,
  'Cache-Control': text('`private, no-cache`: the response may be cached, and must be revalidated before each use.'),
  'Accept-Ranges': text('`bytes`'),
  'Content-Disposition': text('`attachment` or `inline` with the file name (RFC 6266).'),
  'Repr-Digest': text('The sha-256 of the whole file (RFC 9530).'),
}

const bytesWith = (description: string, headers: Record<string, unknown>) =>
  Type.Unsafe<unknown>({ description, headers, content: anyBytes })

export const Downloads = {
  200: bytesWith(
    'The bytes, with the content type of their upload. A request that relies on the cookie gets scripts and style sheets as `application/octet-stream`.',
    downloadHeaders,
  ),
  206: bytesWith('The bytes of one range.', {
    ...downloadHeaders,
    'Content-Range': text('The range of these bytes, and the size of the file.'),
  }),
  304: Type.Unsafe<unknown>({
    ...Type.Null(),
    description: 'The version of the client is current.',
    headers: validators,
  }),
}

export const Heads = {
  200: Type.Unsafe<unknown>({ ...Type.Null(), description: 'As GET, without the bytes.', headers: downloadHeaders }),
  304: Downloads[304],
}

/** In characters of NFC. Another normal form of the same name may have several times as many. */
export const MOST_OF_A_PREFIX = 255

export const FileListQuery = Type.Object({
  ...Paging,
  prefix: Type.Optional(
    Type.String({
      maxLength: MOST_CHARACTERS,
      description: `Only names with this prefix. It is converted to NFC, and may then have at most ${MOST_OF_A_PREFIX} characters.`,
      examples: ['holiday-'],
    }),
  ),
  sort: Type.Optional(
    Type.Union(
      [
        Type.Literal('name'),
        Type.Literal('createdAt'),
        Type.Literal('updatedAt'),
        Type.Literal('size'),
        Type.Literal('takenAt'),
      ],
      {
        default: 'name',
        description: 'Names are compared by their UTF-8 bytes. `takenAt` takes `createdAt` for a file without one.',
      },
    ),
  ),
  order: Type.Optional(
    Type.Union([Type.Literal('asc'), Type.Literal('desc')], {
      default: 'asc',
      description: 'Ascending or descending.',
    }),
  ),
})

export const FileList = Type.Object(
  {
    files: Type.Array(StoredFile),
    nextCursor: NextCursor,
  },
  { 'x-name': 'FileList', description: 'One page of the files of the signed-in user.' },
)
