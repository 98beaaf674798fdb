import { Type } from '@sinclair/typebox'
import { Id, Paging, Timestamp } from './common.ts'
import { StoredFile } from './files.ts'

export const ChangesQuery = Type.Object({
  ...Paging,
  cursor: Type.Optional(
    Type.String({
      maxLength: 2048,
      description: '`nextCursor` of the last response. Without it: everything that is live.',
    }),
  ),
  wait: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 60,
      default: 0,
      description: 'Seconds to wait for a change if there is none. The response comes as soon as there is one.',
    }),
  ),
})

/** One object for both kinds: the serializer would try each schema of a union on each entry. */
const Change = Type.Object(
  {
    type: Type.Union([Type.Literal('file'), Type.Literal('gone')], {
      description: '`file`: a file that is new or has changed. `gone`: a file that is not live any more.',
    }),
    file: Type.Optional(StoredFile),
    id: Type.Optional(Type.String({ ...Id, description: 'With `gone`: the id of the file.' })),
    at: Type.Optional(Type.String({ ...Timestamp, description: 'With `gone`: when it left.' })),
  },
  { 'x-name': 'Change', description: 'A change of a live file.' },
)

export const ChangeList = Type.Object(
  {
    changes: Type.Array(Change),
    nextCursor: Type.String({ description: 'Where the feed goes on.' }),
    more: Type.Boolean({ description: 'Whether there are more changes already.' }),
  },
  { 'x-name': 'ChangeList', description: 'Changes of your live files, in their order.' },
)
