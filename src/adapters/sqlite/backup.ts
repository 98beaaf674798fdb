/** Copies of a database: taken while servers write, and put in place by a rename. */
import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import type { BackupVersions, DatabaseCopy } from '../../ports/operator.ts'
import { DATABASE, lockFile, makeFolder, openBeside, syncPath } from './database.ts'
import { checkMigratable } from './migrate.ts'

const LOCK = 'backup.lock'
const VERSIONS = 'versions'
/** `2026-11-28T19-03-05.123Z`: a time that every file system takes for a name. */
const VERSION = /^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z)\.db$/
/** Pages that are copied at a time; between two, the process gets to its other work. */
const PAGES = 1000

/** Holds the folder, so that no two backups are made in it at once. The file stays: it says what the folder is. */
export function holdBackupFolder(folder: string): () => void {
  const release = lockFile(join(folder, LOCK), 0)
  if (!release) throw new Error(`another backup is being made in ${folder}`)
  return release
}

export function isBackupFolder(folder: string): boolean {
  return existsSync(join(folder, LOCK))
}

/** Copies the database of `from` as it is at one moment, to be placed in `to`. Nobody has to wait meanwhile. */
export async function copyDatabase(from: string, to: string): Promise<DatabaseCopy> {
  const fresh = freshPath(to)
  writeFileSync(fresh, '', { mode: 0o600 })
  const source = openBeside(from)
  try {
    // While it reads, the database does not change for this connection, so the copy never has to begin anew.
    source.exec('BEGIN')
    source.prepare('SELECT 1 FROM users').get()
    await source.backup(fresh, { progress: () => PAGES })
  } finally {
    source.close()
  }
  const db = new Database(fresh)
  try {
    // One file, with all that is in it.
    db.pragma('journal_mode = DELETE')
    db.pragma('synchronous = FULL')
    refuseStranger(db, join(to, DATABASE))
    // The hold under which this copy is made is not the copy's.
    db.exec('DELETE FROM holds')
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

/** The former versions of the backup in a folder: `versions/<time>.db`. */
export function backupVersions(folder: string): BackupVersions {
  const versions = join(folder, VERSIONS)
  const pathOf = (name: string) => join(versions, `${name}.db`)
  const names = () => versionsIn(folder)

  return {
    async keep() {
      const last = join(folder, DATABASE)
      const found = statSync(last, { throwIfNoEntry: false })
      if (!found) return
      const path = pathOf(found.mtime.toISOString().replaceAll(':', '-'))
      // A former try broke off after this.
      if (existsSync(path)) return
      makeFolder(versions)
      const fresh = join(versions, 'new')
      copyFileSync(last, fresh, constants.COPYFILE_FICLONE)
      move(fresh, path)
    },

    async thin(most) {
      const old = names().slice(most)
      for (const name of old) unlinkSync(pathOf(name))
      if (old.length > 0) syncPath(versions)
    },

    async names() {
      return names()
    },

    async open(name) {
      return openBackup(folder, folder, name)
    },
  }
}

function versionsIn(folder: string): string[] {
  const versions = join(folder, VERSIONS)
  const found = existsSync(versions) ? readdirSync(versions) : []
  return found
    .flatMap((name) => VERSION.exec(name)?.[1] ?? [])
    .sort()
    .reverse()
}

/**
 * Opens the backup in `from`, the last or the version of this name, to be placed in `to`. Throws where there is none that
 * this program could use.
 */
export function openBackup(from: string, to: string, version?: string): DatabaseCopy {
  if (version !== undefined && !versionsIn(from).includes(version)) {
    throw new Error(`there is no version ${version} in ${from}, but: ${versionsIn(from).join(', ') || 'none'}`)
  }
  const path = version === undefined ? join(from, DATABASE) : join(from, VERSIONS, `${version}.db`)
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
    return placed(fresh)
  })
}

function opened(first: Database.Database, place: () => string, drop = () => {}): DatabaseCopy {
  let db = first
  return {
    async totals() {
      const sums = 'SELECT count(*) AS files, coalesce(sum(size), 0) AS bytes FROM files'
      return db.prepare<[], { files: number; bytes: number }>(sums).get() as { files: number; bytes: number }
    },

    async files(after, limit) {
      const page = 'SELECT id, blob, size AS sizeBytes FROM files WHERE blob > ? ORDER BY blob LIMIT ?'
      return db.prepare<[string, number], { id: string; blob: string; sizeBytes: number }>(page).all(after, limit)
    },

    async named(blobs) {
      const named = 'SELECT blob FROM files WHERE blob IN (SELECT value FROM json_each(?))'
      return db.prepare<[string], string>(named).pluck().all(JSON.stringify(blobs))
    },

    async countByKey() {
      const counts = 'SELECT key_id, count(*) FROM key_slots GROUP BY key_id ORDER BY key_id'
      return new Map(db.prepare<[], [string, number]>(counts).raw().all())
    },

    async place() {
      db.close()
      db = new Database(place(), { readonly: true })
    },

    /** What was not placed is not left lying about. */
    async close() {
      db.close()
      drop()
    },
  }
}

/** A server that began with nothing, after all was lost, would replace the last that is left of it. */
function refuseStranger(db: Database.Database, former: string): void {
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

/** What a copy is called before it is placed; what is left of a former try is gone. */
function freshPath(folder: string): string {
  const path = join(folder, `${DATABASE}.new`)
  for (const suffix of ['', '-journal', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true })
  return path
}

/** Answers where it is now. */
function placed(fresh: string): string {
  const path = join(dirname(fresh), DATABASE)
  move(fresh, path)
  return path
}

/** To another name in the same folder, durably. */
function move(fresh: string, path: string): void {
  chmodSync(fresh, 0o600)
  syncPath(fresh)
  renameSync(fresh, path)
  syncPath(dirname(path))
}
