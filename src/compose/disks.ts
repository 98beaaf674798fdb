import { statfs } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import type { DiskSpace, Ports } from '../ports/ports.ts'

/** The file systems of the folders in use: without those that PostgreSQL or S3 replaces. */
export function disksOf({ DATA_DIR, DATABASE_URL, UPLOADS_DIR, S3_BUCKET }: Config): Ports['disks'] {
  return {
    ...(DATABASE_URL === undefined && { data: () => spaceOf(DATA_DIR) }),
    ...(S3_BUCKET === undefined && { uploads: () => spaceOf(UPLOADS_DIR) }),
  }
}

/** Without the space that a file system reserves for root. */
async function spaceOf(path: string): Promise<DiskSpace> {
  const { bsize, blocks, bavail } = await statfs(path)
  return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize }
}
