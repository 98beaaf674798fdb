/** What one database keeps of a vault. */
import type { ActivityRepository, KeySlotRepository, UserRepository } from './accounts.ts'
import type { BlobLedger } from './blobs.ts'
import type { FileRepository, TrashRepository } from './files.ts'
import type { PinLedger, SessionRepository } from './sign-in.ts'

export interface Repositories {
  users: UserRepository
  keySlots: KeySlotRepository
  sessions: SessionRepository
  pinLedger: PinLedger
  activity: ActivityRepository
  files: FileRepository
  trash: TrashRepository
}

/** How much there is of everything, at one moment. */
export interface Census {
  users: number
  sessions: number
  files: { count: number; bytes: number }
  trash: { count: number; bytes: number }
  /** Blobs that wait to be deleted. */
  garbage: number
  /** Runs that are not swept yet. */
  runs: number
  /** Slots by the id of their master key. */
  slots: Record<string, number>
  /** Holds that have not run out. */
  holds: number
  schema: number
  databaseBytes: number
}

/** An opened database. It was opened for a server, for a server that changes nothing, or beside servers. */
export interface DatabaseEngine {
  repositories: Repositories
  ledger: BlobLedger
  /** Resolves while there is room to take bytes in; throws with the code `ENOSPC` where what is left is for deleting. */
  room(): Promise<void>
  /** Each resolves while the database can do its work, by the name that the operator knows it by. */
  checks: Record<string, () => Promise<void>>
  census(now: number): Promise<Census>
  close(): Promise<void>
}
