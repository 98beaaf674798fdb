/** The part of a vault that one database stores. */
import type { ActivityRepository, KeySlotRepository, UserRepository } from './accounts.ts'
import type { BlobLedger } from './blobs.ts'
import type { ChangeRepository } from './changes.ts'
import type { FileRepository, TrashRepository } from './files.ts'
import type { PinLedger, SessionRepository } from './sign-in.ts'
import type { ThumbnailRepository } from './thumbnails.ts'
import type { UploadRepository } from './uploads.ts'

export interface Repositories {
  users: UserRepository
  keySlots: KeySlotRepository
  sessions: SessionRepository
  pinLedger: PinLedger
  activity: ActivityRepository
  files: FileRepository
  trash: TrashRepository
  thumbnails: ThumbnailRepository
  uploads: UploadRepository
  changes: ChangeRepository
}

/** The numbers of all records, at one moment. */
export interface Census {
  users: number
  sessions: number
  files: { count: number; bytes: number }
  trash: { count: number; bytes: number }
  /** Of files and trash entries; the bytes of the pictures. */
  thumbnails: { count: number; bytes: number }
  /** Uploads that are not complete. */
  uploads: { count: number; bytes: number }
  /**
   * Files and trash entries by their last read-back: never tried, and tried last without success. `oldestAt` is the oldest
   * of the other read-backs; `null` for none.
   */
  readBack: { never: number; failed: number; oldestAt: number | null }
  /** Blobs that wait to be deleted. */
  garbage: number
  /** Runs that are not swept yet. */
  runs: number
  /** Slots by the id of their master key. */
  slots: Record<string, number>
  /** Holds that have not expired. */
  holds: number
  schema: number
  databaseBytes: number
}

/** Numbers about the state of a database now. An engine leaves out what it does not have. */
export interface DatabaseFigures {
  /** The bytes of a database file, those that are free inside it, and those of its write-ahead log. */
  file?: { bytes: number; freeBytes: number; logBytes: number }
  /** The connections to a database server, those that are idle, and the transactions that wait for one. */
  pool?: { connections: number; idle: number; waiting: number }
}

/** An opened database. It was opened for a server, for a read-only server, or beside servers. */
export interface DatabaseEngine {
  repositories: Repositories
  ledger: BlobLedger
  /**
   * Resolves while there is space for uploads. Throws with the code `ENOSPC` if the remaining space is needed for
   * deletes.
   */
  room(): Promise<void>
  /**
   * Commits a transaction, durably. It settles when the database answers, however long that takes. Absent if this process does not
   * write.
   */
  probe?(): Promise<void>
  /** Transactions that write throw this error from now on, at once; `null` ends that. Absent if a commit cannot hang alone. */
  pauseWrites?(why: Error | null): void
  /** Returns some space of deleted rows to the disk. True if there is more. */
  shrink(): Promise<boolean>
  /** Each check resolves while the database can work. Its key is the name that the operator knows. */
  checks: Record<string, () => Promise<void>>
  census(now: number): Promise<Census>
  /** Asks the database nothing that takes longer with more rows. */
  figures(): Promise<DatabaseFigures>
  close(): Promise<void>
}
