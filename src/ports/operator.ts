/** The ports of the operator's commands that a server does not need. */
import type { KeySlot } from './accounts.ts'
import type { BlobStore } from './blobs.ts'
import type { Census, Repositories } from './database.ts'
import type { MasterKeys, Ports } from './ports.ts'

/** The ports of the operator's vault. */
export interface OperatorPorts
  extends Repositories,
    Pick<Ports, 'ledger' | 'shrink' | 'blobs' | 'clock' | 'chance' | 'alarm' | 'audit' | 'masterKeys'> {}

/** The ports that each of the operator's commands gets. */
export interface CommandPorts extends OperatorPorts {
  census(): Promise<Census>
  close(): Promise<void>
}

/** The content that a part belongs to: that of a file or trash entry, or of an upload that is not complete. */
export type Subject = { file: string } | { user: string; upload: string }

/** A copy of the database: in a backup, or on its way to or from one. */
export interface DatabaseCopy {
  /** The numbers of its files and trash entries, and of its uploads that are not complete, and the bytes of all of them. */
  totals(): Promise<{ files: number; uploads: number; bytes: number }>
  /** At most `limit` parts of its files, trash entries and uploads with blobs after this one, ordered by blob. */
  parts(after: string, limit: number): Promise<{ subject: Subject; blob: string; sizeBytes: number }[]>
  /** Returns the blobs, out of these, that the copy names. */
  named(blobs: string[]): Promise<string[]>
  countByKey(): Promise<Map<string, number>>
  /** Puts the copy in its final place and replaces what was there. Durable once resolved. */
  place(): Promise<void>
  /** Releases the copy. A copy that was not placed has no effect. */
  close(): Promise<void>
}

/**
 * The result for one blob. `kept`: it was there before. `copied`: it was copied. `missing`: it is absent from its
 * source. `damaged`: it has the wrong length in its source.
 */
export type Taken = 'kept' | 'copied' | 'missing' | 'damaged'

/** The blobs of a backup, or of a vault that is being restored. */
export interface BlobCopies {
  /**
   * Copies the blobs that are not here yet. Each of them is here whole, with exactly this length, or not at all.
   * Durable once resolved.
   */
  take(wanted: { blob: string; bytes: number }[]): Promise<Taken[]>
  /** The error of each of these blobs in their source; `null` for none. Copies nothing. */
  lacking(wanted: { blob: string; bytes: number }[]): Promise<('missing' | 'damaged' | null)[]>
  /** All blobs that are here, run by run. */
  all(): AsyncIterable<string[]>
  remove(blobs: string[]): Promise<void>
}

/** Databases of former backups in the same place. They share the blobs with the last one. */
export interface BackupVersions {
  /**
   * Makes a version of the last backup, which stays in its place. Does nothing if there is no backup. Durable once
   * resolved.
   */
  keep(): Promise<void>
  /** Removes the oldest versions until there are at most `most`. */
  thin(most: number): Promise<void>
  /** The names of the versions, ordered by the time of their backup, the newest first. */
  names(): Promise<string[]>
  open(name: string): Promise<DatabaseCopy>
}

/** The place where a backup is made. */
export interface BackupTarget {
  /** A copy of the database as it is now. It is placed once all its blobs are here. */
  copyDatabase(): Promise<DatabaseCopy>
  versions: BackupVersions
  blobs: BlobCopies
  close(): Promise<void>
}

/** A backup, and an empty place for a vault. */
export interface BackupSource {
  database: DatabaseCopy
  blobs: BlobCopies
  masterKeys: MasterKeys
  close(): Promise<void>
}

/** The tables that move with a vault. Runs, holds, the time of the last backup, and garbage with its parts do not move. */
export type MoveTable =
  | 'users'
  | 'departed'
  | 'key_slots'
  | 'sessions'
  | 'devices'
  | 'guesses'
  | 'handed_out_pins'
  | 'activity'
  | 'files'
  | 'parts'
  | 'uploads'
  | 'vacated_names'
  | 'tombstones'
  | 'thumbnails'

/** Rows of one table as they are stored, by the names of their columns. */
export interface MoveBatch {
  table: MoveTable
  rows: Record<string, string | bigint | Buffer | null>[]
}

/** The rows of a vault that moves away. They do not change. */
export interface MoveSourceRows {
  /**
   * Keeps every row as it is until `close`: no process writes, and no server that would write can start. Others can
   * read. False if a server that writes is running. Throws if the database is damaged.
   */
  freeze(): Promise<boolean>
  counts(): Promise<Record<MoveTable, number>>
  /** All rows. A table comes after the tables that its rows refer to. */
  batches(): AsyncIterable<MoveBatch>
  close(): Promise<void>
}

/** The place for the rows of a vault that moves in. Until `settle` it contains no vault. */
export interface MoveTargetRows {
  /**
   * Prepares the target. `same`: the vault that has one of these slots is here already. `other`: another vault is.
   * Throws while a server or another move uses the target, and if the move of another vault was begun and not finished.
   */
  begin(slots: { owner: string; slot: KeySlot }[]): Promise<'empty' | 'same' | 'other'>
  /**
   * Records blobs before they are copied, so that none is forgotten here. Returns those that were marked by `prove`
   * already.
   */
  expect(blobs: string[]): Promise<string[]>
  /** Marks these blobs: they are here, durable, and open with their rows. */
  prove(blobs: string[]): Promise<void>
  /**
   * One transaction, durable once answered: adds all rows; recorded blobs that no row names become garbage. Throws, and
   * changes nothing, if the number of rows differs from `counts`, or if a vault or a server is here now.
   */
  settle(batches: AsyncIterable<MoveBatch>, counts: Record<MoveTable, number>): Promise<void>
  close(): Promise<void>
}

/** A vault that moves away. */
export interface MoveSource
  extends Pick<
    CommandPorts,
    'users' | 'keySlots' | 'files' | 'uploads' | 'ledger' | 'blobs' | 'clock' | 'chance' | 'census'
  > {
  rows: MoveSourceRows
  close(): Promise<void>
}

/** The place where the vault moves to. */
export interface MoveTarget {
  masterKeys: MasterKeys
  /** Creates what does not exist yet. */
  open(): Promise<{ rows: MoveTargetRows; blobs: BlobStore }>
  close(): Promise<void>
}
