import { Type } from '@sinclair/typebox'
import { Bytes, Id, MOST_CHARACTERS, nullable, Timestamp } from './common.ts'
import { Email } from './users.ts'

export const Me = Type.Object(
  {
    userId: Id,
    name: Type.String({ examples: ['Ada'] }),
    email: Email,
    createdAt: Timestamp,
    usage: Type.Object({
      files: Type.Integer({ minimum: 0, description: 'Files, not counting the trash.', examples: [1204] }),
      trashFiles: Type.Integer({ minimum: 0, description: 'Files in the trash.', examples: [12] }),
      bytes: Type.Integer({
        minimum: 0,
        description: 'Files, trash, thumbnails, and uploads that are not complete.',
        examples: [5_368_709_120],
      }),
    }),
    quota: Type.Object({
      bytes: nullable(Type.Integer({ minimum: 0 }), {
        description: 'The limit for these bytes; `null` for no limit.',
      }),
      files: Type.Integer({
        minimum: 1,
        description: 'The maximum number of files, including the trash.',
        examples: [1_000_000],
      }),
    }),
  },
  { 'x-name': 'Account', description: 'The signed-in user, with usage and quota.' },
)

/** The maximum of ids of one zip. */
export const MOST_CHOSEN = 300

export const ExportQuery = Type.Object({
  ids: Type.Optional(
    Type.String({
      pattern: `^[A-Za-z0-9_-]{1,64}(?:,[A-Za-z0-9_-]{1,64}){0,${MOST_CHOSEN - 1}}$`,
      'x-message': `must be 1 to ${MOST_CHOSEN} ids, with a comma between them`,
      maxLength: MOST_CHARACTERS,
      description: `Only these files and entries of the trash: 1 to ${MOST_CHOSEN} ids, with a comma between them.`,
      examples: ['V1StGXR8_Z5jdHi6B-myT'],
    }),
  ),
})

export const Export = Type.Unsafe<unknown>({
  description: 'A zip file. It is incomplete if the connection breaks.',
  headers: {
    'Content-Disposition': {
      type: 'string',
      description: '`attachment`, with the date in the file name, and with `ids` the number of files.',
    },
  },
  content: { 'application/zip': { schema: Bytes } },
})
