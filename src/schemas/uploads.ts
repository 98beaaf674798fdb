import { Type } from '@sinclair/typebox'
import { Id, Timestamp } from './common.ts'

const OpenUpload = Type.Object(
  {
    id: Id,
    name: Type.Union([Type.String({ examples: ['film.mp4'] }), Type.Null()], {
      description: 'null for a part of a concatenation.',
    }),
    contentType: Type.Union([Type.String({ examples: ['video/mp4'] }), Type.Null()]),
    size: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], { description: 'Bytes; null while not known.' }),
    offset: Type.Integer({ minimum: 0, description: 'The bytes that are stored.' }),
    createdAt: Timestamp,
    expiresAt: Timestamp,
  },
  { 'x-name': 'OpenUpload' },
)

export const UploadList = Type.Object({ uploads: Type.Array(OpenUpload) }, { 'x-name': 'UploadList' })

export const IetfQuery = Type.Object({
  onConflict: Type.Optional(
    Type.Union([Type.Literal('fail'), Type.Literal('rename'), Type.Literal('replace')], {
      default: 'fail',
      description: 'If a file with other bytes has the name. For tus it is a key of Upload-Metadata.',
    }),
  ),
})
