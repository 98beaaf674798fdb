/** How rows of `files` are read. */
import type { OwnedFile, SealedFile } from '../../ports/files.ts'

export const FILE_COLUMNS = `id, name, size AS sizeBytes, content_type AS contentType,
  created_at AS createdAt, updated_at AS updatedAt, named_at AS namedAt, version, seal, tag, taken_at AS takenAt, taken_offset AS takenOffset,
  verified_at AS verifiedAt, thumbnail, thumbnail_size AS thumbnailBytes`

export type Owned = SealedFile & { owner: string }

export function ownedFile({ owner, ...file }: Owned): OwnedFile {
  return { owner, file }
}
