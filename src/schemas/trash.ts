import { Type } from '@sinclair/typebox'
import { Id, MOST_CHARACTERS, NextCursor, Paging, Timestamp } from './common.ts'
import { StoredFile } from './files.ts'

export const ById = Type.Object({ id: Type.String({ ...Id, maxLength: MOST_CHARACTERS }) })

export const TrashQuery = Type.Object(Paging)

export const TrashList = Type.Object(
  {
    files: Type.Array(
      Type.Object(
        {
          ...StoredFile.properties,
          deletedAt: Timestamp,
          expiresAt: Type.String({ ...Timestamp, description: 'When it is deleted for good.' }),
        },
        { 'x-name': 'TrashedFile', description: 'A file in the trash.' },
      ),
    ),
    nextCursor: NextCursor,
  },
  { 'x-name': 'TrashList', description: 'One page of the trash, the last deleted first.' },
)
