import { Type } from '@sinclair/typebox'
import { Bytes, MOST_CHARACTERS, streamed } from './common.ts'
import { PutHeaders } from './files.ts'

/** Raster images, which run no scripts. */
export const THUMBNAIL_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'image/avif']

export const MOST_THUMBNAIL_BYTES = 256 * 1024

const picture = Object.fromEntries(THUMBNAIL_TYPES.map((type) => [type, { schema: streamed(Bytes) }]))

export const Picture = Type.Unsafe<unknown>({ content: picture })

const header = (description: string, ...examples: string[]) =>
  Type.Optional(Type.String({ maxLength: MOST_CHARACTERS, description, ...(examples.length > 0 && { examples }) }))

const Preconditions = {
  'if-match': header('Continue only if the file, or its thumbnail, has one of these entity tags.', '*'),
  'if-none-match': header(
    'Continue only if the thumbnail has none of these entity tags, or with `*` if there is none.',
    '*',
  ),
}

const { 'repr-digest': reprDigest, 'content-digest': contentDigest } = PutHeaders.properties

export const ThumbnailChangeHeaders = Type.Object(Preconditions)

export const ThumbnailPutHeaders = Type.Object({
  ...Preconditions,
  'repr-digest': reprDigest,
  'content-digest': contentDigest,
})

export const ThumbnailGetHeaders = Type.Object({
  'if-match': header('412 if the thumbnail has none of these entity tags.', '*'),
  'if-none-match': header('304 if the thumbnail has one of these entity tags.', '"V1StGXR8_Z5jdHi6B-myT"'),
})

export const ThumbnailQuery = Type.Object({
  v: Type.Optional(
    Type.String({
      maxLength: MOST_CHARACTERS,
      description: '`thumbnail` of the file. With the current one, the response may be cached for a year.',
      examples: ['V1StGXR8_Z5jdHi6B-myT'],
    }),
  ),
})

const text = (description: string) => ({ type: 'string', description })

export const thumbnailEntityTag = { ETag: text('Strong, made from `thumbnail` of the file (RFC 9110, section 8.8.3).') }

const validators = {
  ...thumbnailEntityTag,
  'Cache-Control': text('`private, max-age=31536000, immutable` with the current `v`, otherwise `private, no-cache`.'),
}

const NotModified = Type.Unsafe<unknown>({
  ...Type.Null(),
  description: 'The thumbnail of the client is current.',
  headers: validators,
})

export const Thumbnails = {
  200: Type.Unsafe<unknown>({ description: 'The thumbnail.', headers: validators, content: picture }),
  304: NotModified,
}

export const ThumbnailHeads = {
  200: Type.Unsafe<unknown>({ ...Type.Null(), description: 'As GET, without the bytes.', headers: validators }),
  304: NotModified,
}
