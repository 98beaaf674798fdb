/** The blobs of a test's server in its folder, to be looked at and spoilt. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BlobStore } from '../../src/ports/blobs.ts'
import type { Member, TestApp } from './app.ts'

/** Where the blob of a file lies. */
export async function pathOf(
  { ports, config }: TestApp,
  { userId }: Pick<Member, 'userId'>,
  name: string,
): Promise<string> {
  const found = await ports.files.snapshot(userId, name)
  return join(config.UPLOADS_DIR, found?.file?.blob as string)
}

/** Puts other bytes where some are, or where there are none yet. */
export async function spoil(path: string, change: (bytes: Buffer) => Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, change(await readFile(path).catch(() => Buffer.alloc(0))))
}

/** All that a store lists of a run. */
export async function listed(blobs: Pick<BlobStore, 'list'>, run: string): Promise<string[]> {
  const found: string[] = []
  for await (const batch of blobs.list(run)) found.push(...batch)
  return found
}
