/** The folder of a backup's former versions: `versions/<time>.db`. */
import { constants, copyFileSync, existsSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupVersions } from '../../ports/operator.ts'
import { DATABASE } from './database.ts'
import { makeFolder, placeFile, syncPath } from './folders.ts'

const VERSIONS = 'versions'
/** `2026-11-28T19-03-05.123Z`: a time that is a valid name on every file system. */
const VERSION = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z)\.db$/

/** The versions of the backup in a folder, but for opening them. */
export function versionsIn(folder: string): Omit<BackupVersions, 'open'> {
  const versions = join(folder, VERSIONS)

  return {
    async keep() {
      const last = join(folder, DATABASE)
      const found = statSync(last, { throwIfNoEntry: false })
      if (!found) return
      const path = pathOf(folder, found.mtime.toISOString().replaceAll(':', '-'))
      // An earlier attempt stopped after this step.
      if (existsSync(path)) return
      makeFolder(versions)
      const fresh = join(versions, 'new')
      copyFileSync(last, fresh, constants.COPYFILE_FICLONE)
      placeFile(fresh, path)
    },

    async thin(most) {
      const old = namesIn(folder).slice(most)
      for (const name of old) unlinkSync(pathOf(folder, name))
      if (old.length > 0) syncPath(versions)
    },

    async names() {
      return namesIn(folder)
    },
  }
}

/** The path of the version of this name. Throws if there is none. */
export function versionPath(folder: string, name: string): string {
  const names = namesIn(folder)
  if (names.includes(name)) return pathOf(folder, name)
  throw new Error(`there is no version ${name} in ${folder}, but: ${names.join(', ') || 'none'}`)
}

function namesIn(folder: string): string[] {
  const versions = join(folder, VERSIONS)
  const found = existsSync(versions) ? readdirSync(versions) : []
  return found
    .flatMap((name) => VERSION.exec(name)?.[1] ?? [])
    .sort()
    .reverse()
}

const pathOf = (folder: string, name: string) => join(folder, VERSIONS, `${name}.db`)
