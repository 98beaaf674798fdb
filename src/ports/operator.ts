/** What the operator's commands need, and a server does not. */
import type { KeySlot } from './accounts.ts'
import type { BlobStore } from './blobs.ts'
import type { Census, Repositories } from './database.ts'
import type { MasterKeys, Ports } from './ports.ts'

/** What the operator's vault needs. */
export interface OperatorPorts
  extends Repositories,
    Pick<Ports, 'ledger' | 'blobs' | 'clock' | 'chance' | 'alarm' | 'masterKeys'> {}

/** What each of the operator's commands is given. */
export interface CommandPorts extends OperatorPorts {
  census(): Promise<Census>
  close(): Promise<void>
}

/** A copy of the database, in a backup or on its way there or back. */
export interface DatabaseCopy {
  /** Files and trash that it has, and what they hold. */
  totals(): Promise<{ files: number; bytes: number }>
  /** At most `limit` of its files and trash with blobs after this one, in their order. */
  files(after: string, limit: number): Promise<{ id: string; blob: string; sizeBytes: number }[]>
  /** Those of the blobs that it names. */
  named(blobs: string[]): Promise<string[]>
  countByKey(): Promise<Map<string, number>>
  /** Puts it where it is looked for, in place of what was there. Durable once resolved. */
  place(): Promise<void>
  /** Lets go. A copy that was not placed stays without effect. */
  close(): Promise<void>
}

/** What became of a blob: it was there before; it came; it is not there, or not of its length, where it would come from. */
export type Taken = 'kept' | 'copied' | 'missing' | 'damaged'

/** The blobs of a backup, or those of a vault that is being restored. */
export interface BlobCopies {
  /** Has these blobs here too, each whole and of just this length or not at all. Durable once resolved. */
  take(wanted: { blob: string; bytes: number }[]): Promise<Taken[]>
  /** What is wrong with each of these where they come from; `null` for nothing. Copies nothing. */
  lacking(wanted: { blob: string; bytes: number }[]): Promise<('missing' | 'damaged' | null)[]>
  /** All blobs that are here, run by run. */
  all(): AsyncIterable<string[]>
  remove(blobs: string[]): Promise<void>
}

/** Databases of former backups in the same place. They share the blobs with the last one. */
export interface BackupVersions {
  /** Makes a version of the last backup, which stays where it is. Nothing where there is none. Durable once resolved. */
  keep(): Promise<void>
  /** Removes the oldest until there are `most`. */
  thin(most: number): Promise<void>
  /** By the time of their backup, the newest first. */
  names(): Promise<string[]>
  open(name: string): Promise<DatabaseCopy>
}

/** Where a backup is made. */
export interface BackupTarget {
  /** The database as it is now, to be placed once all its blobs are here. */
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

/** What a vault takes with it when it moves. Left behind are runs, holds, and blobs that wait to be deleted. */
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
  | 'vacated_names'

/** Rows of one table as they are kept, by the names of their columns. */
export interface MoveBatch {
  table: MoveTable
  rows: Record<string, string | bigint | Buffer | null>[]
}

/** The rows of a vault that moves away. They stay as they are. */
export interface MoveSourceRows {
  /**
   * Keeps every row as it is until `close`: nobody writes, and no server that would can start, while others read on. False
   * where a server is there that takes writes. Throws where the database is damaged.
   */
  freeze(): Promise<boolean>
  counts(): Promise<Record<MoveTable, number>>
  /** All rows, those of a table after those that they refer to. */
  batches(): AsyncIterable<MoveBatch>
  close(): Promise<void>
}

/** A place for the rows of a vault that moves in. Until `settle` there is none in it. */
export interface MoveTargetRows {
  /**
   * Makes it ready. `same`: the vault with one of these slots is here already; `other`: another one is. Throws while a server
   * uses it, or another move, and where another vault's move was begun and not finished.
   */
  begin(slots: { owner: string; slot: KeySlot }[]): Promise<'empty' | 'same' | 'other'>
  /** Books blobs before they come, so that none is forgotten here; answers those that were proven already. */
  expect(blobs: string[]): Promise<string[]>
  /** These blobs are here, durable, and open with their rows. */
  prove(blobs: string[]): Promise<void>
  /**
   * One act, durable once answered: all rows, and what was expected and is not named by any of them becomes garbage. Throws,
   * and changes nothing, where there came to be other rows than `counts`, or a vault or a server is here meanwhile.
   */
  settle(batches: AsyncIterable<MoveBatch>, counts: Record<MoveTable, number>): Promise<void>
  close(): Promise<void>
}

/** A vault that moves away. */
export interface MoveSource
  extends Pick<CommandPorts, 'users' | 'keySlots' | 'files' | 'ledger' | 'blobs' | 'clock' | 'chance' | 'census'> {
  rows: MoveSourceRows
  close(): Promise<void>
}

/** Where it moves to. */
export interface MoveTarget {
  masterKeys: MasterKeys
  /** Makes what is not there yet. */
  open(): Promise<{ rows: MoveTargetRows; blobs: BlobStore }>
  close(): Promise<void>
}
