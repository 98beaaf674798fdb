/** Users, the key slots of their vaults, and their activity lists. */
import type { PinDeliveryMode, Session } from './sign-in.ts'

/** The maximum of a user's files and trash together. */
export interface Quota {
  /** `null` for no limit. */
  bytes: number | null
  files: number
}

export interface User {
  id: string
  name: string
  /** In lower case: addresses are compared case-insensitively. */
  email: string
  /** The delivery mode by which the owner proved the address. */
  confirmedBy: PinDeliveryMode
  createdAt: number
}

/** The sender of a request. */
export interface Caller {
  /** The IP address; empty if it is not known. */
  address: string
  /** As sent, cut to 256 characters; empty if there was none. */
  userAgent: string
  requestId: string
  /** The session of the request, if it has one. */
  session?: Session | undefined
}

/**
 * `new-device`: the first sign-in of a user on a device. `sign-in`: each later one. `wrong-pin`: a wrong guess at a PIN
 * of the user. `locked`: PINs of the address are paused. `file-purged` without a file: the whole trash was emptied.
 * `damaged-read`: a file's bytes did not open.
 */
export type ActivityKind =
  | 'sign-in'
  | 'new-device'
  | 'wrong-pin'
  | 'locked'
  | 'pin-issued'
  | 'session-revoked'
  | 'file-deleted'
  | 'file-purged'
  | 'export'
  | 'damaged-read'

/** An event of a user's account or files. */
export interface ActivityEvent extends Pick<Caller, 'address' | 'userAgent'> {
  id: string
  kind: ActivityKind
  at: number
  /** The session that caused the event, or that the event is about. */
  sessionId: string | null
  deviceId: string | null
  fileId: string | null
}

/** An entry of the activity list. */
export interface ListedEvent extends ActivityEvent {
  /** The number of events in the entry. */
  count: number
  /** The present name of the device; `null` if it has none, or the user has never signed in on it. */
  deviceName: string | null
}

/** How an event is stored in the activity list of its user. */
export interface Keep {
  /** Each class has its own bound, so events of one class never evict events of the other. */
  class: 'security' | 'routine'
  /** The maximum of events of this class for the user. One more evicts the event that was added first. */
  most: number
  /** Which earlier event may count this one instead of a new entry; `null` for none. */
  fold: Fold | null
}

/**
 * The earlier event has the same kind, address and device. It then names the session and the file of the last event
 * that it counts.
 */
export interface Fold {
  /** The earlier event is not older than this time. */
  since: number
  /**
   * The maximum of such events that differ only in the address. An event from one more address is counted with the last
   * of them.
   */
  mostAddresses: number
  /** `same`: both events are about the same file. `any`: both are about a file, whichever, or both are about none. */
  file: 'same' | 'any'
}

/** A user's vault key, sealed under a master key (`docs/blob-format.md`). */
export interface KeySlot {
  kind: 'server'
  /** The id of the master key that opens it. */
  keyId: string
  sealed: Buffer
}

export interface Usage {
  /** Live files. */
  files: number
  trashFiles: number
  /** Live files and trash. */
  bytes: number
}

export interface ListedUser extends Usage {
  id: string
  email: string
  createdAt: number
  /** Sessions that were not ended. Some of them may have expired. */
  sessions: number
  /**
   * The last use of a session, or the last sign-in if the sessions are already deleted. It is as exact as the calls of
   * `touch`.
   */
  lastSeenAt: number
}

export interface UserRepository {
  find(owner: string): Promise<User | null>
  findByEmail(email: string): Promise<User | null>
  /** All zeros for a user who does not exist. */
  usage(owner: string): Promise<Usage>
  /** The usage of all users together. */
  total(): Promise<Usage>
  /** At most `limit` users with ids after this one, ordered by id: the stored counts, and the sums of their files. */
  audit(after: string, limit: number): Promise<{ id: string; counted: Usage; actual: Usage }[]>
  /** At most `limit` users with ids after this one, ordered by id, for the operator's list. */
  page(after: string, limit: number): Promise<ListedUser[]>
  /**
   * One transaction: deletes the user, every session and every key slot, and frees the address. The remaining files
   * belong to a departed user and cannot be opened any more. False if there is no such user.
   */
  remove(owner: string): Promise<boolean>
  /** At most `limit` removed users whose removal is not finished. */
  departed(limit: number): Promise<string[]>
  /**
   * Removes at most `limit` files, uploads and records of files that are gone, of a departed user. Returns how many. In the
   * same transaction the versions become garbage; `versions` has their ids.
   */
  clearOut(owner: string, limit: number): Promise<{ removed: number; versions: string[] }>
  /**
   * Finishes a removal: storage that held the user's keys has nothing of them any more, not even as freed space. An
   * engine may keep former versions of rows for a while of its own. False if the removal cannot be finished now; then
   * it must be retried.
   */
  forget(owner: string): Promise<boolean>
}

export interface KeySlotRepository {
  /** Empty for a user who does not exist. */
  find(owner: string): Promise<KeySlot[]>
  /** Changes nothing if the owner has a slot of this kind. */
  add(owner: string, slot: KeySlot): Promise<void>
  /** The number of slots under each master key, by its id. */
  countByKey(): Promise<Map<string, number>>
  /** At most `limit` slots under other master keys than this one, with their owners. */
  notUnder(keyId: string, limit: number): Promise<{ owner: string; slot: KeySlot }[]>
  /** Replaces one slot by another. False if the old slot is not there any more. */
  replace(owner: string, old: KeySlot, fresh: KeySlot): Promise<boolean>
  /** Erases what is left of replaced slots, also in freed space. False if that is not possible now. */
  purge(): Promise<boolean>
}

/** The activity list of each user, for the user to read. It is deleted with the user. */
export interface ActivityRepository {
  /** Counts the event with an earlier one, or adds it, as `keep` says. Does nothing if there is no such user. */
  note(owner: string, event: ActivityEvent, keep: Keep): Promise<void>
  /** At most `limit` entries after `since`, the latest first, ties broken by id. */
  list(owner: string, query: ActivityQuery): Promise<ListedEvent[]>
  /** Deletes at most `limit` events of all users up to this time; returns how many. */
  expire(until: number, limit: number): Promise<number>
}

export interface ActivityQuery {
  since: number
  after: { at: number; id: string } | null
  limit: number
}
