import { Type } from '@sinclair/typebox'
import { Bytes, Id, Timestamp } from './common.ts'
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
      bytes: Type.Integer({ minimum: 0, description: 'Files and trash.', examples: [5_368_709_120] }),
    }),
    quota: Type.Object({
      bytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
        description: 'What files and trash may take together; `null` where there is no limit.',
      }),
      files: Type.Integer({
        minimum: 1,
        description: 'How many files and trash may be together.',
        examples: [1_000_000],
      }),
    }),
  },
  { 'x-name': 'Account', description: 'Who is signed in, and what it uses.' },
)

export const Export = Type.Unsafe<unknown>({
  description: 'A zip file. It is whole where the connection ends as it should.',
  headers: {
    'Content-Disposition': { type: 'string', description: '`attachment` with a name that has the day in it.' },
  },
  content: { 'application/zip': { schema: Bytes } },
})
