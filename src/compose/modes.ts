/** Checks what other users of the machine may read: the file of the master key, and the folders of data. */
import { chmodSync, existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'

const OTHERS = 0o077

/**
 * Returns a warning for each path that has a permission for group or others. Folders that git created and this user owns get
 * 0700 instead, except with READ_ONLY, because git stores no modes. Any other mode may be intended, so it is not changed.
 */
export function closeToOthers(config: Config): string[] {
  // Outside Unix, modes mean nothing.
  if (!process.getuid) return []
  const { DATABASE_URL, DATA_DIR, UPLOADS_DIR, S3_BUCKET, MASTER_KEY_FILE, READ_ONLY } = config
  const folders = {
    ...(DATABASE_URL === undefined ? { DATA_DIR } : {}),
    ...(S3_BUCKET === undefined ? { UPLOADS_DIR } : {}),
  }
  if (READ_ONLY === 'off') for (const folder of Object.values(folders)) if (isFromGit(folder)) chmodSync(folder, 0o700)
  return Object.entries({ ...folders, ...(MASTER_KEY_FILE === undefined ? {} : { MASTER_KEY_FILE }) })
    .filter(([, path]) => isOpen(path))
    .map(
      ([name, path]) => `not fit for production: other users of this machine have rights to ${name} (${resolve(path)})`,
    )
}

function isFromGit(folder: string): boolean {
  return isOpen(folder) && statSync(folder).uid === process.getuid?.() && existsSync(join(folder, '.gitkeep'))
}

function isOpen(path: string): boolean {
  return (statSync(path).mode & OTHERS) !== 0
}
