/**
 * The interfaces that the vault needs, and their records. There is no code here: a port is a promise, and
 * `test/contracts/` checks every adapter against it. Times are milliseconds since the Unix epoch, sizes are bytes.
 * Absence is `null`, conflict is a result; only errors throw.
 *
 * An error of the storage that may pass by itself has a `code`, whatever the engine is:
 *
 * - `ENOSPC`: there is no space.
 * - `EROFS`: the storage takes no writes at the moment.
 * - `EMFILE` or `ENFILE`: too many files are open.
 * - `EUNREACHABLE`: a server that stores the data does not answer, or denies us access.
 * - `EAGAIN`, of a database: it cannot be reached or is too busy.
 * - `ECONNABORTED`, of a database: the connection was lost before it answered.
 *
 * A `put` or a transaction that throws `ENOSPC`, `EROFS` or `EAGAIN` has changed nothing. After `ECONNABORTED` the
 * result is unknown. `logged: true`: the error is already logged.
 */
import type { ActivityKind, Caller, Quota } from './accounts.ts'
import type { BlobStore } from './blobs.ts'
import type { ChangeNotices } from './changes.ts'
import type { EventCounter, RequestCounter } from './counters.ts'
import type { DatabaseEngine, Repositories } from './database.ts'
import type { PendingPinStore, PinDelivery } from './sign-in.ts'

/** Limits and lifetimes that the operator sets and the vault applies. */
export interface VaultRules {
  pinTtlMs: number
  pinMaxAttempts: number
  sessionTtlMs: number
  sessionMaxMs: number
  maxFileBytes: number
  /** The maximum for each user. */
  quota: Quota
  /** How long a deleted file can be restored. */
  trashMs: number
  /** How long an upload that is not complete stays after its last append. */
  uploadExpiryMs: number
  /** How long a cursor of the changes feed is good. */
  changesMs: number
  /** How long a user can read an entry of the activity list. */
  activityMs: number
  /** Everything is read back within this time; 0 if nothing is read back. */
  scrubMs: number
  /** The vault writes nothing: also no last use of sessions, no activity list, and no sweeping. */
  readOnly: boolean
  /** Bounds of the random delay of a job after a response. The delay hides what the job is about. */
  asideMs: { least: number; most: number }
  /** How many mails are sent in an hour: to one account, and in total. */
  mails: { perAccount: number; overall: number }
}

/** Milliseconds since the Unix epoch. */
export type Clock = () => number

/** The source of randomness; cryptographic outside tests. */
export interface Chance {
  /** A nanoid: 21 URL-safe characters, 126 bits. It does not begin with a hyphen. */
  id(): string
  /** Four digits, uniform, leading zeros included. */
  pin(): string
  /** 16 characters of base32 (RFC 4648), 80 bits. */
  code(): string
  /** `mks_` and 43 URL-safe characters, 256 bits. */
  token(): string
  /** `count` random bytes: for keys, salts, nonces. */
  bytes(count: number): Buffer
}

/**
 * The network of each user: where the latest request came from. Users of one network share its turns, so many accounts bring nobody
 * more turns.
 */
export interface Networks {
  /** A request of this user came from this network. Call the result once, when the request is over. Until then the user is known. */
  begin(owner: string, network: string): () => void
  /** `null` if nothing is known of the user. */
  of(owner: string): string | null
}

/** Logs an error of work that no request waits for. */
export type Alarm = (error: unknown, doing: string) => void

/**
 * The events of the activity lists, and more. The same event may concern no user: a `wrong-pin` for no account, a `pin-issued` for an
 * address that has no account yet.
 */
export type AuditEvent =
  | ActivityKind
  | 'account-created'
  | 'account-deleted'
  | 'master-key-rotated'
  | 'vault-moved'
  | 'vault-restored'

/** Logs an event for an audit, with the ids of what it is about. */
export type Audit = (
  event: AuditEvent,
  about: { caller: Caller; user?: string | null; session?: string | null; file?: string | null; key?: string },
) => void

/** Logs what work that no request waits for has done. */
export type Notice = (fields: object, message: string) => void

export interface DiskSpace {
  sizeBytes: number
  /** What this process can still write. */
  freeBytes: number
}

/** The operator's keys, 32 bytes each. Only the current one seals; all of them open. */
export interface MasterKeys {
  current: Buffer
  previous: Buffer[]
}

export interface Ports extends Repositories, Pick<DatabaseEngine, 'ledger' | 'room' | 'shrink'> {
  blobs: BlobStore
  pendingPins: PendingPinStore
  delivery: PinDelivery
  mailCounter: EventCounter
  requestCounter: RequestCounter
  changeNotices: ChangeNotices
  networks: Networks
  clock: Clock
  chance: Chance
  alarm: Alarm
  audit: Audit
  notice: Notice
  masterKeys: MasterKeys
  /** Each check resolves while its engine can work. Its key is the name that the operator knows. */
  checks: Record<string, () => Promise<void>>
  databaseFigures: DatabaseEngine['figures']
  /** The file systems that the server writes to. */
  disks: Partial<Record<'data' | 'uploads', () => Promise<DiskSpace>>>
  /** Stops long waits for other servers, mail above all, so that work in the background ends. */
  stopWaiting(): Promise<void>
  close(): Promise<void>
}
