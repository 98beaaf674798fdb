/** Connects the settings' vault with a folder of a backup: the target of a new backup, or the source of a restore. */
import { basename, dirname, join, resolve } from 'node:path'
import { blobCopies } from '../adapters/disk/copies.ts'
import { contentsBut, linkIn, overlap } from '../adapters/disk/folders.ts'
import {
  backupVersions,
  copyDatabase,
  holdBackupFolder,
  isBackupFolder,
  openBackup,
} from '../adapters/sqlite/backup.ts'
import { holdFolder, makeFolder } from '../adapters/sqlite/folders.ts'
import type { Config } from '../config/config.ts'
import type { BackupSource, BackupTarget } from '../ports/operator.ts'
import { masterKeysOf } from './master-keys.ts'
import { engines, naming } from './opening.ts'

/** Names that may be in an empty folder: a checkout's placeholder and a file system's own folder. */
const HARMLESS = ['.gitkeep', 'lost+found']

/** The target of a backup of SQLite and the disk. Throws unless the folder is new, empty, or has a backup already. */
export async function backupTarget(config: Config, folder: string): Promise<BackupTarget> {
  refuseUnfit(config, folder)
  if (!isBackupFolder(folder) && contentsBut(folder, HARMLESS).length > 0) {
    throw new Error(`${folder} is neither empty nor the folder of a backup`)
  }
  refuseLinks(folder)
  makeFolder(folder)
  const release = holdBackupFolder(folder)
  try {
    return {
      copyDatabase: () => copyDatabase(config.DATA_DIR, folder),
      versions: backupVersions(folder),
      blobs: await blobCopies(config.UPLOADS_DIR, join(folder, 'uploads')),
      close: async () => release(),
    }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * The source of a restore: the last backup of SQLite and the disk, or a version of it. Throws if the folders of the settings,
 * which are restored into, are not empty.
 */
export async function backupSource(config: Config, folder: string, version?: string): Promise<BackupSource> {
  refuseUnfit(config, folder)
  refuseLinks(folder)
  const { opened, close } = engines()
  try {
    const database = openBackup(folder, config.DATA_DIR, version)
    opened.push(database.close)
    const ids = [...(await database.countByKey()).keys()].join(', ')
    naming('DATA_DIR', config.DATA_DIR, () => {
      opened.push(holdFolder(config.DATA_DIR))
      refuseContents(config.DATA_DIR, ['server.lock', 'server.lock-journal', 'reserve', ...keyFilesIn(config)])
    })
    naming('UPLOADS_DIR', config.UPLOADS_DIR, () => refuseContents(config.UPLOADS_DIR, []))
    return {
      database,
      blobs: await blobCopies(join(folder, 'uploads'), config.UPLOADS_DIR),
      get masterKeys() {
        return masterKeysOf(config, (path) => {
          throw new Error(
            `the master key ${path} is missing, and the backup is locked with ${ids}. Put it there, or set MASTER_KEY or MASTER_KEY_FILE`,
          )
        })
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function refuseUnfit(config: Config, folder: string): void {
  if (config.DATABASE_URL !== undefined) {
    throw new Error('backup and restore are for SQLite in DATA_DIR. With DATABASE_URL, see docs/operating.md')
  }
  if (config.S3_BUCKET !== undefined) {
    throw new Error('backup and restore are for files in UPLOADS_DIR. With S3_BUCKET, see docs/operating.md')
  }
  for (const setting of ['DATA_DIR', 'UPLOADS_DIR'] as const) {
    if (overlap(folder, config[setting])) {
      throw new Error(`${folder} and ${setting}, which is ${config[setting]}, must not overlap`)
    }
  }
}

/**
 * The keeper of a backup may be another person. With a link in it, that person could have a restore copy, or a backup overwrite and
 * delete, other files of the machine. The blobs themselves are looked at one by one, when they are copied.
 */
function refuseLinks(folder: string): void {
  for (const part of [folder, join(folder, 'uploads'), join(folder, 'versions')]) {
    const link = linkIn(part)
    if (link) throw new Error(`${link} is a symbolic link. Only the folder of a backup may be one, and nothing in it`)
  }
}

function refuseContents(folder: string, allowed: string[]): void {
  if (contentsBut(folder, [...HARMLESS, ...allowed]).length === 0) return
  throw new Error('it is not empty. Restore into a new folder, or empty this one if a restore broke off here')
}

/** The names under which a master key may be in DATA_DIR before its vault is. */
function keyFilesIn({ DATA_DIR, MASTER_KEY_FILE }: Config): string[] {
  const own =
    MASTER_KEY_FILE && resolve(dirname(MASTER_KEY_FILE)) === resolve(DATA_DIR) ? [basename(MASTER_KEY_FILE)] : []
  return ['master.key', ...own]
}
