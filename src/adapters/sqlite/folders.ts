/** The folder of a database: its lock, and files and folders in it that survive a power cut. */
import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'

const LOCK = 'server.lock'
/** An operator's command holds the folder for a moment to check for a server. A starting server waits for it. */
const HOLD_WAIT_MS = 1000
/** A command that checks waits for such a moment of another command. After that it takes the other one for a server, which is safe. */
const TRY_WAIT_MS = 20

/**
 * Holds the folder for the lifetime of the process, so that no second server sweeps what this one is writing. The lock is
 * SQLite's own, on a file beside the database; the system releases it however the process ends. Throws if another server
 * holds it.
 */
export function holdFolder(folder: string): () => void {
  const release = holdFor(folder, HOLD_WAIT_MS)
  if (release) return release
  throw new Error('another server is using it; stop that one first, or give this one a folder of its own')
}

/**
 * Takes a shared lock on the folder for the lifetime of the process. It excludes servers that write, but not others that
 * only read. `null` if a server that writes holds the folder.
 */
export function shareFolder(folder: string): (() => void) | null {
  return lockFile(join(folder, LOCK), HOLD_WAIT_MS, 'BEGIN; SELECT 1 FROM sqlite_master')
}

/**
 * Holds the folder; `null` if a server holds it. Release it within a moment, because a server that starts meanwhile waits
 * only `HOLD_WAIT_MS`.
 */
export function tryHoldFolder(folder: string): (() => void) | null {
  return holdFor(folder, TRY_WAIT_MS)
}

/** Whether a server, or for a moment a command, holds the folder. */
export function isHeld(folder: string): boolean {
  const release = tryHoldFolder(folder)
  release?.()
  return release === null
}

function holdFor(folder: string, waitMs: number): (() => void) | null {
  makeFolder(folder)
  return lockFile(join(folder, LOCK), waitMs)
}

/** Locks a file until the process ends or the returned function is called; `null` if another process has the lock. */
export function lockFile(path: string, waitMs: number, statement = 'BEGIN EXCLUSIVE'): (() => void) | null {
  const lock = new Database(path, { timeout: waitMs })
  try {
    chmodSync(path, 0o600)
    // The lock then needs no disk space.
    lock.pragma('journal_mode = MEMORY')
    lock.exec(statement)
    return () => void lock.close()
  } catch (error) {
    lock.close()
    if ((error as { code?: string }).code === 'SQLITE_BUSY') return null
    throw error
  }
}

/**
 * Creates a folder for this user alone, whose entry survives a power cut. It is created level by level: where nothing can be
 * created, such as in /proc, Node's own recursive mkdir never returns.
 */
export function makeFolder(folder: string): void {
  if (isFolder(folder)) return
  const parent = dirname(resolve(folder))
  makeFolder(parent)
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    // Another process may have created it meanwhile.
    if (!isFolder(folder)) throw error
  }
  syncPath(parent)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}

/** Renames a complete file in its folder, durably. Only its user can read it. */
export function placeFile(fresh: string, path: string): void {
  chmodSync(fresh, 0o600)
  syncPath(fresh)
  renameSync(fresh, path)
  syncPath(dirname(path))
}

/** Syncs a file's bytes or a folder's entries. */
export function syncPath(path: string): void {
  const opened = openSync(path, 'r')
  fsyncSync(opened)
  closeSync(opened)
}
