import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Unfinished, UnfinishedStore } from '../unfinished.ts'

/** Unfinished uploads in a folder, a file for each. A file is written aside and renamed, so a crash leaves no half of one. */
export function folderStore(folder: string): UnfinishedStore {
  const pathOf = (key: string) => join(folder, `${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`)
  return {
    async get(key) {
      try {
        return JSON.parse(await readFile(pathOf(key), 'utf8')) as Unfinished
      } catch {
        // There is none, or it cannot be read: then the upload begins again.
        return null
      }
    },
    async set(key, upload) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const aside = `${pathOf(key)}.${randomBytes(4).toString('hex')}`
      await writeFile(aside, JSON.stringify(upload), { mode: 0o600 })
      await rename(aside, pathOf(key))
    },
    delete: (key) => rm(pathOf(key), { force: true }),
  }
}
