/** Finds, lists and damages the blobs of a test's server. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BlobStore } from '../../src/ports/blobs.ts'
import type { Member, TestApp } from './app.ts'

/** The path of the blob of a file. */
export async function pathOf(
  { ports, config }: TestApp,
  { userId }: Pick<Member, 'userId'>,
  name: string,
): Promise<string> {
  const found = await ports.files.snapshot(userId, name)
  return join(config.UPLOADS_DIR, found?.firstPart?.blob as string)
}

/** Changes the bytes of a file, or creates it. */
export async function spoil(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, change(await readFile(path).catch(() => Buffer.alloc(0))))
}

/** All blobs that a store lists for a run. */
export async function listed(blobs: Pick<BlobStore, 'list'>, run: string): Promise<string[]> {
  const found: string[] = []
  for await (const batch of blobs.list(run)) found.push(...batch)
  return found
}
