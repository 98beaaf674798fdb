/** Reads the bytes of an upload that is not a file yet. */
import type { Upload } from '../../ports/uploads.ts'
import { problems } from '../../problems.ts'
import { type ContentPorts, openContent } from '../crypto/content.ts'
import { missingBlob } from '../files/damage.ts'

/** Its bytes from the place `from` on, at most half a MiB at a time. */
export async function* contentOf(
  ports: ContentPorts,
  { id, offset, parts }: Upload,
  fileKey: Buffer,
  from = 0,
): AsyncGenerator<Buffer[]> {
  if (from === offset) return
  const file = { id, version: id }
  const range = { start: from, end: offset - 1 }
  const reader = await openContent(ports, file, { fileKey, sizeBytes: offset, parts, sha256: '' }, range)
  if (!reader) throw problems.internalError(missingBlob(file, (await ports.files.parts(id, from, 1))[0] ?? null))
  try {
    for (let chunks = await reader.next(); chunks; chunks = await reader.next()) yield chunks
  } finally {
    await reader.close()
  }
}
