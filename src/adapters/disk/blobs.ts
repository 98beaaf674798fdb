/**
 * Blobs as files `<folder>/<run>/<random>`. A blob's name is random and nobody looks for it before a row names it, so
 * it is written in place: created exclusively, written, synced, then its folder synced.
 */
import { open as openFile } from 'node:fs'
import {
  access,
  constants,
  type FileHandle,
  mkdir,
  open,
  opendir,
  readdir,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { BlobStore } from '../../ports/blobs.ts'
import { makeFolder, syncFolder } from './folders.ts'
import { blobReader, openForReading } from './reader.ts'
import { sharedSync } from './shared-sync.ts'
import { writeNew } from './writer.ts'

const RUN = /^[A-Za-z0-9_-]+$/
const BLOB = /^[A-Za-z0-9_-]+\/[A-Za-z0-9_-]+$/
/** Names of a folder that are read in one piece. */
const AT_A_TIME = 500

export interface DiskBlobs extends BlobStore {
  /** Throws while the folder, or that of a run of this process, cannot be written. */
  check(): Promise<void>
  close(): Promise<void>
}

/**
 * `shared`: a server may be writing into the folders of its run, so a folder that was emptied stays until its run is
 * closed.
 */
export async function diskBlobs(folder: string, { shared } = { shared: false }): Promise<DiskBlobs> {
  await makeFolder(folder)
  /** The runs of blobs written by this process, each with its folder held open for syncing. */
  const runs = new Map<string, Promise<{ handle: FileHandle; sync: () => Promise<void> }>>()

  return {
    async put(blob, batches) {
      const path = pathOf(blob)
      const { sync } = await runFolder(dirname(blob))
      let created = false
      const create = async () => {
        const fd = await createFile(path)
        created = true
        return fd
      }
      try {
        await writeNew(create, batches)
        await sync()
      } catch (error) {
        // What cannot be removed now is the sweeper's, once this run is over.
        if (created) await unlink(path).catch(() => {})
        throw error
      }
    },

    async open(blob, start, end) {
      const fd = await ifThere(() => openForReading(pathOf(blob)))
      return fd === null ? null : blobReader(fd, start, end)
    },

    async length(blob) {
      return ifThere(async () => (await stat(pathOf(blob))).size)
    },

    async delete(blobs) {
      const touched = new Set<string>()
      await Promise.all(
        blobs.map(async (blob) => {
          if (await ifThere(() => unlink(pathOf(blob)).then(() => true))) touched.add(dirname(blob))
        }),
      )
      for (const run of touched) await forgetEntries(run)
    },

    async *list(run) {
      const entries = await ifThere(() => opendir(join(folder, run), { bufferSize: AT_A_TIME }))
      let batch: string[] = []
      for await (const { name } of entries ?? []) {
        const blob = `${run}/${name}`
        // A file system leaves files of its own, such as .nfs…; they are nobody's to name or to delete.
        if (BLOB.test(blob)) batch.push(blob)
        if (batch.length < AT_A_TIME) continue
        yield batch
        batch = []
      }
      if (batch.length > 0) yield batch
    },

    async runs() {
      const entries = await readdir(folder, { withFileTypes: true })
      // A file system has folders of its own, such as lost+found.
      return entries.filter((entry) => entry.isDirectory() && RUN.test(entry.name)).map(({ name }) => name)
    },

    closeRun: removeEmptyFolder,

    async check() {
      const written = [...runs.keys()].map((run) => join(folder, run))
      for (const path of [folder, ...written]) await access(path, constants.W_OK | constants.X_OK)
    },

    async close() {
      for (const opened of runs.values()) await (await opened).handle.close()
      runs.clear()
    },
  }

  function pathOf(blob: string): string {
    if (!BLOB.test(blob)) throw new Error('not a blob id')
    return join(folder, blob)
  }

  function runFolder(run: string) {
    let opened = runs.get(run)
    if (!opened) {
      opened = openRunFolder(run)
      runs.set(run, opened)
      opened.catch(() => runs.delete(run))
    }
    return opened
  }

  async function openRunFolder(run: string) {
    const path = join(folder, run)
    // Where that fails, the plain one says why: Node takes a read-only disk for a folder that is not there.
    await mkdir(path, { recursive: true, mode: 0o700 }).catch(() => mkdir(path))
    await syncFolder(folder)
    const handle = await open(path, 'r')
    return { handle, sync: sharedSync(() => handle.sync()) }
  }

  /** Makes deletions in a run's folder durable, and removes the folder of a former run once it is empty. */
  async function forgetEntries(run: string): Promise<void> {
    const own = await runs.get(run)
    if (own) return own.sync()
    // Whoever deletes in the same folder at the same time may have removed it, and everything in it before.
    const synced = await ifThere(() => syncFolder(join(folder, run)).then(() => true))
    if (!synced) return syncFolder(folder)
    if (!shared) await removeEmptyFolder(run)
  }

  async function removeEmptyFolder(run: string): Promise<void> {
    try {
      await rmdir(join(folder, run))
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(codeOf(error))) throw error
    }
  }
}

function createFile(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    openFile(path, 'wx', 0o600, (error, fd) => (error ? reject(error) : resolve(fd)))
  })
}

/** What the act answers; `null` where what it acts on is not there. */
async function ifThere<T>(act: () => Promise<T>): Promise<T | null> {
  try {
    return await act()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}
