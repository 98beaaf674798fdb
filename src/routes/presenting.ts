/** Records of the vault as they cross the wire. */
import type { Static } from '@sinclair/typebox'
import type { StoredFile } from '../ports.ts'
import { timestamp } from '../schemas/common.ts'
import type { File } from '../schemas/files.ts'

export function presentFile({
  sizeBytes,
  createdAt,
  updatedAt,
  blob: _blob,
  ...file
}: StoredFile): Static<typeof File> {
  return { ...file, size: sizeBytes, createdAt: timestamp(createdAt), updatedAt: timestamp(updatedAt) }
}
