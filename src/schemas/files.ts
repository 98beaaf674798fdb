import { type Static, Type } from '@sinclair/typebox'
import { Bytes, Id, MOST_CHARACTERS, NextCursor, Paging, streamed, Timestamp } from './common.ts'

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
  },
  { 'x-name': 'StoredFile', description: 'A file, without its bytes.' },
)

const entityTag = { type: 'string', description: 'Strong, made from the SHA-256 (RFC 9110, section 8.8.3).' }

/** The file, as the answer to what was done with it. */
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
        description: 'Overrides the file name of the part, where it is given: `beach.jpg`.',
        // A page fills the example in, and whatever stands here would be the name of every upload.
        examples: [''],
      }),
    ),
  }),
)

/**
 * Bytes of any type. Generators know raw bytes by the first entry; the second one lets everything else through, JSON that is not
 * a string included.
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

export const OnConflict = onConflict('Where other bytes have the name: refuse, or store as `beach (1).jpg` and so on.')

export const OnRestoreConflict = onConflict(
  'Where another file has the name by now: refuse, or restore as `beach (1).jpg` and so on.',
)

export const Replaced = Type.Object({
  replaced: Type.Optional(
    Type.Union([Type.Literal('trash'), Type.Literal('discard')], {
      default: 'trash',
      description:
        'What becomes of a version that is replaced by other bytes: it goes to the trash, or is gone at once.',
    }),
  ),
})

export const NewName = Type.Object(
  {
    name: Type.String({
      maxLength: MOST_CHARACTERS,
      description: 'One path segment: 1 to 255 bytes of UTF-8, no control characters. It is converted to NFC.',
      examples: ['holiday.jpg'],
    }),
  },
  { 'x-name': 'NewName' },
)

const TAG = '"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'

const header = (description: string, examples: string[]) =>
  Type.Optional(Type.String({ maxLength: MOST_CHARACTERS, description, examples }))

export const Preconditions = {
  'if-match': header('Go on only if the file has one of these entity tags, or with `*` if it exists.', ['*']),
  'if-none-match': header('Go on only if the file has none of these entity tags, or with `*` if there is none.', [TAG]),
  'if-unmodified-since': header('Go on only if the file has not changed since.', ['Sun, 22 Nov 2026 08:30:00 GMT']),
}

export const ChangeHeaders = Type.Object(Preconditions)

export const PutHeaders = Type.Object({
  ...Preconditions,
  'repr-digest': header('Checked where it has a sha-256 (RFC 9530).', [
    'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:',
  ]),
  'content-digest': header('As Repr-Digest; here the two are the same.', [
    'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:',
  ]),
})

const Conditions = {
  ...Preconditions,
  'if-none-match': header('304 where the file has one of these entity tags.', [TAG]),
  'if-modified-since': header('304 where the file has not changed since.', ['Sun, 22 Nov 2026 08:30:00 GMT']),
}

export const HeadHeaders = Type.Object(Conditions)

export const GetHeaders = Type.Object({
  ...Conditions,
  range: header('Which bytes (RFC 9110, section 14). Several ranges that do not touch are answered with the whole.', [
    'bytes=0-1023',
  ]),
  'if-range': header('Answer the whole file where it is no longer this one.', [TAG]),
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
  'Last-Modified': text('When another content or type last came to stand under this name.'),
}

const downloadHeaders = {
  ...validators,
  'Cache-Control': text('`private, no-cache`: keep it, and ask before each use.'),
  'Accept-Ranges': text('`bytes`'),
  'Content-Disposition': text('`attachment` or `inline` with the file name (RFC 6266).'),
  'Repr-Digest': text('The sha-256 of the whole file (RFC 9530).'),
}

const bytesWith = (description: string, headers: Record<string, unknown>) =>
  Type.Unsafe<unknown>({ description, headers, content: anyBytes })

export const Downloads = {
  200: bytesWith('The bytes, under the content type that they were uploaded with.', downloadHeaders),
  206: bytesWith('The bytes of one range.', {
    ...downloadHeaders,
    'Content-Range': text('Which bytes these are, and of how many.'),
  }),
  304: Type.Unsafe<unknown>({ ...Type.Null(), description: 'The caller has it already.', headers: validators }),
}

export const Heads = {
  200: Type.Unsafe<unknown>({ ...Type.Null(), description: 'As GET, without the bytes.', headers: downloadHeaders }),
  304: Downloads[304],
}

/** Characters in NFC. Another normal form of the same name may have several times as many. */
export const MOST_OF_A_PREFIX = 255

export const FileListQuery = Type.Object({
  ...Paging,
  prefix: Type.Optional(
    Type.String({
      maxLength: MOST_CHARACTERS,
      description: `Only names that begin so. It is converted to NFC, and has at most ${MOST_OF_A_PREFIX} characters then.`,
      examples: ['holiday-'],
    }),
  ),
  sort: Type.Optional(
    Type.Union([Type.Literal('name'), Type.Literal('createdAt'), Type.Literal('updatedAt'), Type.Literal('size')], {
      default: 'name',
      description: 'Names are compared by their UTF-8 bytes.',
    }),
  ),
  order: Type.Optional(
    Type.Union([Type.Literal('asc'), Type.Literal('desc')], { default: 'asc', description: 'Upwards or downwards.' }),
  ),
})

export const FileList = Type.Object(
  {
    files: Type.Array(StoredFile),
    nextCursor: NextCursor,
  },
  { 'x-name': 'FileList', description: 'One page of the files of the signed-in user.' },
)
