/** Records of the vault as they cross the wire. */
import type { Static } from '@sinclair/typebox'
import { timestamp } from '../schemas/common.ts'
import type { File } from '../schemas/files.ts'
import type { StoredFile } from '../vault/stored-file.ts'

export function presentFile({
  sizeBytes,
  createdAt,
  updatedAt,
  blob: _blob,
  ...file
}: StoredFile): Static<typeof File> {
  return { ...file, size: sizeBytes, createdAt: timestamp(createdAt), updatedAt: timestamp(updatedAt) }
}
