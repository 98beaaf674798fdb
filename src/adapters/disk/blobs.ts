/**
 * Stores blobs as files `<folder>/<run>/<random>`. The name of a blob is random, and nothing reads it before a row names it. So
 * it is written without a temporary name: created exclusively, written, synced, and then its folder is synced.
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
import type { Clock } from '../../ports/ports.ts'
import { makeFolder, syncFolder } from './folders.ts'
import { presenceOf } from './presence.ts'
import { blobReader, openForReading } from './reader.ts'
import { sharedSync } from './shared-sync.ts'
import { writeNew } from './writer.ts'

const RUN = /^[A-Za-z0-9_-]+$/
const BLOB = /^[A-Za-z0-9_-]+\/[A-Za-z0-9_-]+$/
/** The errors of a disk that is not mounted, and of a file server that is gone. */
const GONE = ['ENOENT', 'ENODEV', 'ENOTCONN', 'ESTALE']
/** The number of folder entries that are read at a time. */
const AT_A_TIME = 500

export interface DiskBlobs extends BlobStore {
  /** Throws if the folder, or the folder of a run of this process, is not writable. */
  check(): Promise<void>
  /** Writes a byte durably, and removes it. */
  probe(): Promise<void>
  close(): Promise<void>
}

interface RunFolder {
  handle: FileHandle
  sync: () => Promise<void>
}

/**
 * `shared`: a server may be writing into the folder of its run, so an emptied folder stays until its run is closed.
 */
export async function diskBlobs(
  folder: string,
  { shared = false, clock = Date.now }: { shared?: boolean; clock?: Clock } = {},
): Promise<DiskBlobs> {
  await makeFolder(folder)
  /** The runs that this process writes blobs of. The folder of each is kept open for syncing. */
  const runs = new Map<string, Promise<RunFolder>>()
  /** The runs of a disk that was unmounted: operations under way may still use them. */
  const former: Promise<RunFolder>[] = []
  const presence = await presenceOf(
    folder,
    async () => (await runsThere()).length > 0,
    () => {
      former.push(...runs.values())
      runs.clear()
    },
  )

  return {
    opensAhead: 1,

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
        // If the file cannot be removed now, the sweeper removes it after this run is over.
        if (created) await unlink(path).catch(() => {})
        else if (GONE.includes(codeOf(error))) await presence.check()
        throw error
      }
    },

    async open(blob, start, end) {
      const fd = await ifExists(() => openForReading(pathOf(blob)))
      return fd === null ? null : blobReader(fd, start, end, clock)
    },

    async length(blob) {
      return ifExists(async () => (await stat(pathOf(blob))).size)
    },

    async delete(blobs) {
      const touched = new Set<string>()
      await Promise.all(
        blobs.map(async (blob) => {
          if (await ifExists(() => unlink(pathOf(blob)).then(() => true))) touched.add(dirname(blob))
        }),
      )
      for (const run of touched) await syncDeletions(run)
    },

    async *list(run) {
      const entries = await ifExists(() => opendir(join(folder, run), { bufferSize: AT_A_TIME }))
      let batch: string[] = []
      for await (const { name } of entries ?? []) {
        const blob = `${run}/${name}`
        // File systems create files of their own, such as .nfs…. They are no blobs, and must not be deleted.
        if (BLOB.test(blob)) batch.push(blob)
        if (batch.length < AT_A_TIME) continue
        yield batch
        batch = []
      }
      if (batch.length > 0) yield batch
    },

    async runs() {
      await presence.check()
      return runsThere()
    },

    closeRun: removeEmptyFolder,

    async check() {
      await presence.check()
      const written = [...runs.keys()].map((run) => join(folder, run))
      for (const path of [folder, ...written]) await access(path, constants.W_OK | constants.X_OK)
    },

    async probe() {
      await presence.check()
      // Beside the folders of runs, so it is no blob. Processes may share the folder.
      const path = join(folder, `probe-${process.pid}`)
      const file = await open(path, 'w', 0o600)
      try {
        await file.write('x')
        await file.datasync()
        // A blob is there only once its folder is synced.
        await syncFolder(folder)
      } finally {
        await file.close()
        await unlink(path)
      }
    },

    async close() {
      for (const opened of [...runs.values(), ...former]) await (await opened).handle.close()
      runs.clear()
      former.length = 0
    },
  }

  async function runsThere(): Promise<string[]> {
    const entries = await readdir(folder, { withFileTypes: true })
    // File systems create folders of their own, such as lost+found.
    return entries.filter((entry) => entry.isDirectory() && RUN.test(entry.name)).map(({ name }) => name)
  }

  function pathOf(blob: string): string {
    if (!BLOB.test(blob)) throw new Error('not a blob id')
    return join(folder, blob)
  }

  /** The result of the operation; `null` if the file or folder does not exist on the disk. */
  async function ifExists<T>(operation: () => Promise<T>): Promise<T | null> {
    try {
      return await operation()
    } catch (error) {
      if (GONE.includes(codeOf(error))) await presence.check()
      if (codeOf(error) === 'ENOENT') return null
      throw error
    }
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
    await presence.check()
    // The plain mkdir is for the right error: the recursive one reports a missing folder on a read-only disk.
    await mkdir(path, { recursive: true, mode: 0o700 }).catch(() => mkdir(path))
    await syncFolder(folder)
    const handle = await open(path, 'r')
    return { handle, sync: sharedSync(() => handle.sync()) }
  }

  /** Makes deletions in a run's folder durable, and removes the folder of a former run once it is empty. */
  async function syncDeletions(run: string): Promise<void> {
    const own = await runs.get(run)
    if (own) return own.sync()
    // A concurrent deletion in the same folder may have removed the folder already.
    const synced = await ifExists(() => syncFolder(join(folder, run)).then(() => true))
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

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}
