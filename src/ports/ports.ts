/**
 * What the vault needs from the world, and the records that cross that line. No code: a port is a promise,
 * and `test/contracts/` holds every adapter to it. Times are milliseconds since the Unix epoch, sizes are bytes.
 * Absence is `null`, conflict is an answer; only faults throw.
 *
 * A fault of the storage that may pass by itself has a `code`, whatever the engine: `ENOSPC` where there is no room,
 * `EROFS` where it takes no writes at the moment, `EMFILE` or `ENFILE` where too many files are open, `EUNREACHABLE` where
 * a server that keeps it does not answer, or does not let us in. Of a database: `EAGAIN` where it cannot be reached or is too
 * busy, `ECONNABORTED` where it was lost before it answered. A `put` or an act of the database that throws with `ENOSPC`,
 * `EROFS` or `EAGAIN` has changed nothing; after `ECONNABORTED` nobody knows. Of a fault with `told: true` the operator has
 * heard already.
 */
import type { Quota } from './accounts.ts'
import type { BlobStore } from './blobs.ts'
import type { EventCounter, RequestCounter } from './counters.ts'
import type { DatabaseEngine, Repositories } from './database.ts'
import type { PendingPinStore, PinDelivery } from './sign-in.ts'

/** Limits and lifetimes that the operator sets; the vault applies them. */
export interface VaultRules {
  pinTtlMs: number
  pinMaxAttempts: number
  sessionTtlMs: number
  sessionMaxMs: number
  maxFileBytes: number
  /** What each user may keep. */
  quota: Quota
  /** How long a deleted file can be restored. */
  trashMs: number
  /** How long a user can read what happened. */
  activityMs: number
  /** Nothing is written, not even what nobody asked for: use of sessions, what happened, what the sweeper does. */
  readOnly: boolean
  /** After how long begins the work after an answer that must not tell what it is about: some time between these. */
  asideMs: { least: number; most: number }
  /** How many mails go out in an hour: to one account, and in all. */
  mails: { perAccount: number; overall: number }
}

/** Milliseconds since the Unix epoch. */
export type Clock = () => number

/** Where chance comes from; cryptographic outside tests. */
export interface Chance {
  /** A nanoid: 21 URL-safe characters, 126 bits. */
  id(): string
  /** Four digits, uniform, leading zeros included. */
  pin(): string
  /** 16 characters of base32 (RFC 4648), 80 bits. */
  code(): string
  /** `mks_` and 43 URL-safe characters, 256 bits. */
  token(): string
  /** So many random bytes: keys, salts, nonces. */
  bytes(count: number): Buffer
}

/** Tells the operator of work that failed where no request waits for it. */
export type Alarm = (error: unknown, doing: string) => void

/** The operator's keys, 32 bytes each. Only the current one seals. */
export interface MasterKeys {
  current: Buffer
  previous: Buffer[]
}

export interface Ports extends Repositories, Pick<DatabaseEngine, 'ledger' | 'room'> {
  blobs: BlobStore
  pendingPins: PendingPinStore
  delivery: PinDelivery
  mailCounter: EventCounter
  requestCounter: RequestCounter
  clock: Clock
  chance: Chance
  alarm: Alarm
  masterKeys: MasterKeys
  /** Each resolves while its engine can do its work, by the name that the operator knows it by. */
  checks: Record<string, () => Promise<void>>
  /** Gives up what may wait long for somebody else's server, mail above all, so that work in the background ends. */
  stopWaiting(): Promise<void>
  close(): Promise<void>
}
