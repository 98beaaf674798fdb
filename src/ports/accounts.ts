/** Users, the keys of their vaults, and what happened to them. */
import type { PinDeliveryMode, Session } from './sign-in.ts'

/** What a user's files and trash may come to together. */
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

/** Who sent a request. */
export interface Caller {
  /** The IP address; empty where it is not known. */
  address: string
  /** As sent, cut to 256 characters; empty where there was none. */
  userAgent: string
  requestId: string
  /** Where the caller is signed in. */
  session?: Session | undefined
}

/**
 * `new-device`: the first sign-in of a user on a device. `sign-in`: each later one. `wrong-pin`: somebody
 * guessed at a PIN of the user. `locked`: PINs of the address are paused. `file-purged`
 * without a file: the whole trash was. `damaged-read`: a file's bytes did not open.
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

/** Something that happened to a user's account or files. */
export interface ActivityEvent extends Pick<Caller, 'address' | 'userAgent'> {
  id: string
  kind: ActivityKind
  at: number
  /** The session that did it, or that it was done to. */
  sessionId: string | null
  deviceId: string | null
  fileId: string | null
}

/** How an event is kept beside its user's others. */
export interface Keep {
  /** Each class is bounded by itself, so that nothing is pushed out by events of the other. */
  class: 'security' | 'routine'
  /** How many events of its class the user has at most: one more drops the one that was added first. */
  most: number
  /** Where the event may be counted with an earlier one instead; `null` for never. */
  fold: Fold | null
}

/** The earlier event is of the same kind, address and device. It names the session and the file of the last one counted. */
export interface Fold {
  /** It is not older than this. */
  since: number
  /**
   * Where there are so many already that differ in the address alone, an event from a further address is counted with the
   * last of them.
   */
  mostAddresses: number
  /** `same`: it is about the same file. `any`: about any file, where the event is about one, else about none. */
  file: 'same' | 'any'
}

/** A user's vault key under a lock (`docs/blob-format.md`). */
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
  /** Sessions that were not ended; some of them may be too old to be good. */
  sessions: number
  /** The last use of a session, or the last sign-in where sessions are forgotten. As exact as `touch` is called. */
  lastSeenAt: number
}

export interface UserRepository {
  find(owner: string): Promise<User | null>
  findByEmail(email: string): Promise<User | null>
  /** Nothing is used by a user who does not exist. */
  usage(owner: string): Promise<Usage>
  /** At most `limit` users with ids after this one, in their order: what is counted, and what their files come to. */
  audit(after: string, limit: number): Promise<{ id: string; counted: Usage; actual: Usage }[]>
  /** At most `limit` users with ids after this one, in their order, for the operator's list. */
  page(after: string, limit: number): Promise<ListedUser[]>
  /**
   * One act: the user, every session and every key slot are gone, and the address is free. What is left of the files
   * belongs to a departed user and opens no more. False where there is no such user.
   */
  remove(owner: string): Promise<boolean>
  /** Users who were removed and whose removal is not finished. */
  departed(limit: number): Promise<string[]>
  /** Removes at most `limit` files of a departed user; their blobs become garbage in the same act, and are answered. */
  clearOut(owner: string, limit: number): Promise<string[]>
  /**
   * Finishes a removal: nothing is left of the user where keys were kept, not even as freed space, unless the engine keeps
   * former versions of rows for a while of its own. False where it cannot be finished now; then it is to be tried again.
   */
  forget(owner: string): Promise<boolean>
}

export interface KeySlotRepository {
  /** Empty for a user who does not exist. */
  find(owner: string): Promise<KeySlot[]>
  /** Changes nothing where the owner has a slot of this kind. */
  add(owner: string, slot: KeySlot): Promise<void>
  /** How many slots there are under each master key, by its id. */
  countByKey(): Promise<Map<string, number>>
  /** At most `limit` slots under another master key than this, with their owners. */
  notUnder(keyId: string, limit: number): Promise<{ owner: string; slot: KeySlot }[]>
  /** Puts one slot in place of another. False where that is not there any more. */
  replace(owner: string, old: KeySlot, fresh: KeySlot): Promise<boolean>
  /** Leaves nothing of slots that were replaced, not even as freed space. False where that is not possible now. */
  purge(): Promise<boolean>
}

/** What happened to a user's account and files, for its owner to read. It goes with the user. */
export interface ActivityRepository {
  /** Counts the event with an earlier one, or adds it, as `keep` says. Nothing happens where there is no such user. */
  note(owner: string, event: ActivityEvent, keep: Keep): Promise<void>
  /** At most `limit` events after `since`, the last first, ties broken by id; each with how many were counted in it. */
  list(owner: string, query: ActivityQuery): Promise<(ActivityEvent & { count: number })[]>
  /** Forgets at most `limit` of all users' events up to this time; answers how many. */
  expire(until: number, limit: number): Promise<number>
}

export interface ActivityQuery {
  since: number
  after: { at: number; id: string } | null
  limit: number
}
