/**
 * Copies of a SQLite database. They are made while servers write, and placed by a rename. PostgreSQL has tools of its own, such as
 * `pg_dump`, so `compose/backups.ts` refuses these commands with `DATABASE_URL`.
 */
import { copyFileSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import type { BackupVersions, DatabaseCopy, Subject } from '../../ports/operator.ts'
import { versionPath, versionsIn } from './backup-versions.ts'
import { DATABASE, openBeside } from './database.ts'
import { lockFile, placeFile } from './folders.ts'
import { checkMigratable } from './migrate.ts'

const LOCK = 'backup.lock'
/** Pages that are copied at a time. Between two batches the event loop runs other work. */
const PAGES = 1000

/** Locks the folder; throws if another backup is being made in it. The file stays, because it marks a backup's folder. */
export function holdBackupFolder(folder: string): () => void {
  const release = lockFile(join(folder, LOCK), 0)
  if (!release) throw new Error(`another backup is being made in ${folder}`)
  return release
}

export function isBackupFolder(folder: string): boolean {
  return existsSync(join(folder, LOCK))
}

/** Copies the database of `from` as it is at one moment, to be placed in `to`. Readers and writers do not wait. */
export async function copyDatabase(from: string, to: string): Promise<DatabaseCopy> {
  const fresh = freshPath(to)
  writeFileSync(fresh, '', { mode: 0o600 })
  const source = openBeside(from)
  try {
    // In this transaction the connection sees one state of the database, so the copying never restarts.
    source.exec('BEGIN')
    source.prepare('SELECT 1 FROM users').get()
    await source.backup(fresh, { progress: () => PAGES })
  } finally {
    source.close()
  }
  const db = new Database(fresh)
  try {
    // Without a write-ahead log the copy is one file.
    db.pragma('journal_mode = DELETE')
    db.pragma('synchronous = FULL')
    refuseOtherVault(db, join(to, DATABASE))
    // The copy must not contain the hold under which it was made. The blobs of its garbage are not copied.
    db.exec('DELETE FROM holds')
    db.exec('DELETE FROM parts WHERE version IN (SELECT version FROM garbage)')
    db.exec('DELETE FROM garbage')
  } catch (error) {
    db.close()
    freshPath(to)
    throw error
  }
  return opened(
    db,
    () => placed(fresh),
    () => void freshPath(to),
  )
}

/** The former versions of the backup in a folder. */
export function backupVersions(folder: string): BackupVersions {
  return { ...versionsIn(folder), open: async (name) => openBackup(folder, folder, name) }
}

/**
 * Opens the last backup in `from`, or its version of this name, to be placed in `to`. Throws if there is none, or if this
 * program cannot use it.
 */
export function openBackup(from: string, to: string, version?: string): DatabaseCopy {
  const path = version === undefined ? join(from, DATABASE) : versionPath(from, version)
  if (!existsSync(path)) throw new Error(`there is no backup in ${from}`)
  const db = new Database(path, { readonly: true })
  try {
    checkMigratable(db, from)
  } catch (error) {
    db.close()
    throw error
  }
  return opened(db, () => {
    const fresh = freshPath(to)
    copyFileSync(path, fresh)
    checkIntegrity(fresh, path)
    beginHistory(fresh)
    return placed(fresh)
  })
}

function opened(first: Database.Database, place: () => string, drop = () => {}): DatabaseCopy {
  let db = viewed(first)
  return {
    async totals() {
      const sums = `SELECT (SELECT count(*) FROM files) AS files, (SELECT count(*) FROM open_uploads) AS uploads,
        (SELECT coalesce(sum(size), 0) FROM copied_parts) AS bytes`
      return db.prepare<[], Totals>(sums).get() as Totals
    },

    async parts(after, limit) {
      const page = 'SELECT * FROM copied_parts WHERE blob > ? ORDER BY blob LIMIT ?'
      const rows = db.prepare<[string, number], CopiedPart>(page).all(after, limit)
      return rows.map(({ file, user, upload, blob, size }) => {
        const subject = (file === null ? { user, upload } : { file }) as Subject
        return { subject, blob, sizeBytes: size }
      })
    },

    async named(blobs) {
      const named = 'SELECT blob FROM copied_parts WHERE blob IN (SELECT value FROM json_each(?))'
      return db.prepare<[string], string>(named).pluck().all(JSON.stringify(blobs))
    },

    async countByKey() {
      const counts = 'SELECT key_id, count(*) FROM key_slots GROUP BY key_id ORDER BY key_id'
      return new Map(db.prepare<[], [string, number]>(counts).raw().all())
    },

    async place() {
      db.close()
      db = viewed(new Database(place(), { readonly: true }))
    },

    /** Also deletes a new copy that was not placed. */
    async close() {
      db.close()
      drop()
    },
  }
}

type Totals = Awaited<ReturnType<DatabaseCopy['totals']>>

/** A row of the view: the part of a file, or of an upload of a user. */
type CopiedPart = Record<'file' | 'user' | 'upload', string | null> & { blob: string; size: number }

/** In a backup of schema 9 each file has one blob. Before schema 11 there are no uploads. */
export const COPIED_PARTS: Record<'blobs' | 'parts' | 'uploads', string> = {
  blobs: 'SELECT id AS file, NULL AS user, NULL AS upload, blob, size FROM files',
  parts: 'SELECT id AS file, NULL AS user, NULL AS upload, blob, parts.size FROM parts JOIN files USING (version)',
  // Joined to each part, in the order of blobs. With a union each page would read and sort all parts.
  uploads: `SELECT files.id AS file, uploads.user_id AS user, uploads.id AS upload, blob, parts.size FROM parts
    LEFT JOIN files USING (version) LEFT JOIN uploads ON uploads.id = version AND file_id IS NULL
    WHERE files.id IS NOT NULL OR uploads.id IS NOT NULL`,
}

/** Adds views of the uploads that are not complete, and of the parts of everything that is copied. */
function viewed(db: Database.Database): Database.Database {
  const schema = db.pragma('user_version', { simple: true }) as number
  const parts = COPIED_PARTS[schema > 10 ? 'uploads' : schema > 9 ? 'parts' : 'blobs']
  const uploads = schema > 10 ? 'SELECT id FROM uploads WHERE file_id IS NULL' : 'SELECT NULL WHERE false'
  db.exec(`CREATE TEMP VIEW copied_parts AS ${parts}; CREATE TEMP VIEW open_uploads AS ${uploads}`)
  return db
}

/**
 * Throws if the folder has the backup of another vault. After all data was lost, a new server has an empty vault, whose
 * backup would replace the last copy.
 */
function refuseOtherVault(db: Database.Database, former: string): void {
  if (!existsSync(former)) return
  db.prepare('ATTACH ? AS former').run(former)
  const had = db.prepare('SELECT 1 FROM former.users LIMIT 1').get()
  const shared = db.prepare('SELECT 1 FROM former.users JOIN main.users USING (id) LIMIT 1').get()
  db.exec('DETACH former')
  if (had && !shared) {
    throw new Error(
      `${dirname(former)} has the backup of another vault: not one of its users is here. Give another folder, or restore that backup`,
    )
  }
}

function checkIntegrity(copy: string, original: string): void {
  const db = new Database(copy)
  try {
    const found = db.pragma('integrity_check(1)', { simple: true })
    if (found !== 'ok') throw new Error(`the database ${original} is damaged: ${found}`)
  } finally {
    db.close()
  }
}

/** The numbers of later changes are not those that clients have seen. A backup from before changes had numbers gets them later. */
function beginHistory(copy: string): void {
  const db = new Database(copy)
  try {
    const hasChanges = (db.pragma('user_version', { simple: true }) as number) > 11
    if (hasChanges) db.exec('UPDATE users SET history = lower(hex(randomblob(8)))')
  } finally {
    db.close()
  }
}

/** The path of a copy before it is placed. Deletes the files that an earlier attempt left there. */
function freshPath(folder: string): string {
  const path = join(folder, `${DATABASE}.new`)
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  return path
}

/** Places the copy and returns its new path. */
function placed(fresh: string): string {
  const path = join(dirname(fresh), DATABASE)
  placeFile(fresh, path)
  return path
}
