/** Copies blobs between folders. Each copy has a temporary name until it is synced, so a blob under its own name is complete. */
import { constants, copyFile, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pLimit from 'p-limit'
import type { BlobCopies, Taken } from '../../ports/operator.ts'
import { diskBlobs } from './blobs.ts'
import { syncFolder } from './folders.ts'

const UNFINISHED = '.part'
const BLOB = /^[A-Za-z0-9_-]+\/[A-Za-z0-9_-]+$/
const AT_A_TIME = 4

export async function blobCopies(from: string, to: string): Promise<BlobCopies> {
  const blobs = await diskBlobs(to)
  const limit = pLimit(AT_A_TIME)
  for (const run of await blobs.runs()) {
    for (const name of await readdir(join(to, run))) if (name.endsWith(UNFINISHED)) await unlink(join(to, run, name))
  }

  return {
    async take(wanted) {
      const runs = new Set(wanted.map(({ blob }) => blob.slice(0, blob.indexOf('/'))))
      for (const run of runs) await mkdir(join(to, run), { recursive: true, mode: 0o700 })
      await syncFolder(to)
      const answers = await limit.map(wanted, ({ blob, bytes }) => takeOne(blob, bytes))
      // Also for kept blobs: an earlier, interrupted try may not have synced the folder.
      for (const run of runs) await syncFolder(join(to, run))
      return answers
    },

    lacking: (wanted) => limit.map(wanted, ({ blob, bytes }) => damageOf(blob, bytes)),

    async *all() {
      for (const run of await blobs.runs()) yield* blobs.list(run)
    },

    remove: blobs.delete,
  }

  async function takeOne(blob: string, bytes: number): Promise<Taken> {
    if (!BLOB.test(blob)) throw new Error('not a blob id')
    const target = join(to, blob)
    if ((await lengthOf(target)) === bytes) return 'kept'
    const damage = await damageOf(blob, bytes)
    if (damage) return damage
    const unfinished = `${target}${UNFINISHED}`
    try {
      await copyFile(join(from, blob), unfinished, constants.COPYFILE_FICLONE)
      await finish(unfinished)
      await rename(unfinished, target)
    } catch (error) {
      await unlink(unfinished).catch(() => {})
      throw error
    }
    return 'copied'
  }

  async function damageOf(blob: string, bytes: number): Promise<'missing' | 'damaged' | null> {
    const path = join(from, blob)
    const length = await lengthOf(path)
    if (length === null) return 'missing'
    return length === bytes && !(await isLink(dirname(path))) ? null : 'damaged'
  }
}

async function finish(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.chmod(0o600)
    await file.sync()
  } finally {
    await file.close()
  }
}

/**
 * -1 for what is not a file. Links are not followed: otherwise a person who keeps a backup could have a restore copy any file of the
 * machine into the vault, and get it with the next backup.
 */
async function lengthOf(path: string): Promise<number | null> {
  try {
    const found = await lstat(path)
    return found.isFile() ? found.size : -1
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

const isLink = async (path: string) => (await lstat(path)).isSymbolicLink()
