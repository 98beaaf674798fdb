/** Creates zip files in memory. */
import { type ZipEntry, zipOf } from '../../src/http/zip/zip.ts'

export const ZIPPED_AT = Date.UTC(2026, 10, 22, 8, 30, 7)

export function entry(path: string, ...batch: (Buffer | string)[]): ZipEntry {
  const parts = batch.map((part) => Buffer.from(part))
  const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0)
  return { path, modifiedAt: ZIPPED_AT, zoneMinutes: 0, sizeBytes, batches: [parts] }
}

export async function* inOrder(entries: Iterable<ZipEntry>): AsyncGenerator<ZipEntry> {
  yield* entries
}

export async function zipOfEntries(...entries: ZipEntry[]): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const batch of zipOf(inOrder(entries))) parts.push(...batch)
  return Buffer.concat(parts)
}

export function zipped(...files: [path: string, bytes: Buffer][]): Promise<Buffer> {
  return zipOfEntries(...files.map(([path, bytes]) => entry(path, bytes)))
}
