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
/** How a PIN reaches its person: in the response, in the server's log, by mail. */
export type PinDeliveryMode = 'response' | 'console' | 'email'

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

export interface Session {
  id: string
  userId: string
  deviceId: string
  createdAt: number
  lastUsedAt: number
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

/** A file as its row has it: all but the contents and their digest stands in clear. */
export interface SealedFile {
  id: string
  name: string
  sizeBytes: number
  contentType: string
  createdAt: number
  /** Changes with content and type only. */
  updatedAt: number
  /**
   * When this content and type came to stand under this name: by upload, replacement, renaming or restoring. In a later second
   * than any content that came to this name of this owner before, also after the clock was set back, so that no date in whole
   * seconds was another content's.
   */
  namedAt: number
  /** The blob that holds this version; a new version has a new one, so it also tells versions apart. */
  blob: string
  /** File key, SHA-256 and size under the vault key. */
  seal: Buffer
  /** The same for all contents of this owner that are the same; `null` for a row that has none yet. */
  tag: Buffer | null
}

/** What tells a file as it was seen, under its name, from what became of it. */
export type Seen = Pick<SealedFile, 'id' | 'name' | 'blob'>

/** The trash entry that a replaced version becomes: all but this it has from the row that it stood in. */
export interface Displaced {
  id: string
  /** Under the id of the entry. */
  seal: Buffer
  deletedAt: number
}

/** Live files and trash together, as the quota counts them. */
export interface Used {
  bytes: number
  files: number
}

/** All that an upload or a download needs to know before it begins, in one look. */
export interface Look {
  /** What opens and seals the owner's files. */
  slot: KeySlot
  used: Used
  /** What stands under the name. */
  file: SealedFile | null
}

/** A file or a deleted one, for whoever looks at all of them. */
export interface OwnedFile {
  owner: string
  file: SealedFile
}

export interface SealedTrash extends SealedFile {
  deletedAt: number
}

export type FileSort = 'name' | 'createdAt' | 'updatedAt' | 'size'

export interface FileQuery {
  prefix: string
  sort: FileSort
  order: 'asc' | 'desc'
  /** The last row already seen: its sort key and, as a tie-break, its id. */
  after: { key: string | number; id: string } | null
  limit: number
}

export interface TrashQuery {
  since: number
  after: { deletedAt: number; id: string } | null
  limit: number
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

/** What a redeemed PIN makes: a session, for a new user or for one that exists. */
export interface Redemption {
  pinId: string
  session: { id: string; deviceId: string; tokenHash: Buffer; createdAt: number }
  /** A new user comes with the first slot of a vault key. `vouchedBy`: the session that asked for the PIN, if one did. */
  user: (User & { slot: KeySlot }) | { id: string; vouchedBy: string | null }
  /** Where the guess was counted that turned out to be right, and by what rule: it was none of the wrong ones. */
  givenBack: { address: Buffer; every: number } | null
  /** The sign-in for the user's list of what happened; `new-device` where it is one. */
  event: ActivityEvent
  bounds: {
    /** Of sessions that were not ended: one more ends the one unused for longest. */
    sessions: number
    /** Of known devices: one more is forgotten that has no session, the one that signed in longest ago. */
    devices: number
    newDevice: Keep
    signIn: Keep
  }
}

/** The owner is the first argument where one is known: another's session is "not found" by construction. */
export interface SessionRepository {
  /**
   * One act: takes the address for a new user, ends the user's older session on that device, opens the new one, gives the
   * guess back, notes the sign-in. Nothing has happened unless the session was opened; then `newDevice` tells whether
   * the user had not signed in on it before. `spent`: this PIN id has opened a session before. `taken`: the new user's
   * address belongs to somebody. `gone`: the existing user does not exist any more, or the session that vouched is over.
   */
  redeem(redemption: Redemption): Promise<{ newDevice: boolean } | 'spent' | 'taken' | 'gone'>
  /** The session that was not ended; its age is for the caller to judge. */
  findByTokenHash(tokenHash: Buffer): Promise<Session | null>
  find(owner: string, sessionId: string): Promise<Session | null>
  /** Never moves `lastUsedAt` backwards. */
  touch(owner: string, sessionId: string, at: number): Promise<void>
  /** The sessions that were not ended, the last opened first; their age is for the caller to judge. */
  list(owner: string): Promise<Session[]>
  /** Whether the user has ever signed in on the device. */
  knowsDevice(owner: string, deviceId: string): Promise<boolean>
  /** The session as it was; `null` where there was nothing to end. In force for every later `find`. */
  end(owner: string, sessionId: string, at: number): Promise<Session | null>
  /** Ends all others, and answers them. */
  endOthers(owner: string, sessionId: string, at: number): Promise<Session[]>
  /** Forgets what ended before the first time, was last used before the second, or was opened before the third. */
  forget(endedBefore: number, lastUsedBefore: number, createdBefore: number): Promise<void>
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

/** An act on a file that the caller saw is `stale` where another version, or nothing, stands under its name now. */
export interface FileRepository {
  /** What stands under a name, with all that an act on it needs; `null` where there is no such user. */
  look(owner: string, name: string): Promise<Look | null>
  /**
   * One act, durable once answered: puts the file under its name. `replaces` is the blob that the caller saw there, or
   * null for none; where another version stands there now, nothing happens and the answer is `stale`. In the same act the
   * replaced version becomes the trash entry `displaced`, or with `null` its blob becomes garbage. `run-ended`: the run that wrote the blob is over, so the sweeper may have it.
   * `quota`: the user would use more bytes than `quota` allows; `quota-files`: more files. Nobody who adds none is refused.
   * `quota` is `null` for no limit. `gone`: there is no such user.
   */
  commit(
    owner: string,
    file: SealedFile,
    replaces: string | null,
    quota: Quota | null,
    displaced?: Displaced | null,
  ): Promise<'done' | 'stale' | 'run-ended' | 'quota' | 'quota-files' | 'gone'>
  /** Gives the file that the caller saw another name. `taken`: another file has it. */
  rename(owner: string, seen: Seen, name: string, at: number): Promise<'done' | 'stale' | 'taken'>
  /** Moves the file that the caller saw to the trash; its name is free. */
  discard(owner: string, seen: Seen, at: number): Promise<'done' | 'stale'>
  /**
   * Forgets, for all users, at most `limit` dates of names that hold no file, where the second of the date has passed at this
   * time; answers how many. What `namedAt` promises holds for these names, too. A user has a bounded number of such dates.
   */
  forgetVacated(at: number, limit: number): Promise<number>
  /**
   * At most `limit` files in the order asked for, ties broken by id; stable while others write. Where few names begin so,
   * and they are not sorted by name, it may look at all of the owner's files: then `scan` is for it.
   */
  list(owner: string, query: FileQuery): Promise<SealedFile[]>
  /**
   * The same of the next `rows` files alone, whatever their names are; `last` is the last of those, where there may be
   * more behind it.
   */
  scan(
    owner: string,
    query: FileQuery & { sort: Exclude<FileSort, 'name'> },
    rows: number,
  ): Promise<{ found: SealedFile[]; last: FileQuery['after'] }>
  /** Those of the names that the owner's files have. */
  taken(owner: string, names: string[]): Promise<string[]>
  /** At most `limit` files of one content, by its tag, whose names begin so and go on, after one, in the order of names. */
  tagged(
    owner: string,
    tag: Buffer,
    query: { prefix: string; after: string | null; limit: number },
  ): Promise<SealedFile[]>
  /** At most `limit` of everybody's files and trash without a tag, with ids after this one, in their order. */
  untagged(after: string, limit: number): Promise<OwnedFile[]>
  /** Gives a row its tag where it has none and names this blob still. */
  fillInTags(tags: { id: string; blob: string; tag: Buffer }[]): Promise<void>
  /** At most `limit` of everybody's files and trash with ids after this one, in their order. */
  page(after: string, limit: number): Promise<OwnedFile[]>
  /** A file or a deleted one, whoever owns it. */
  byId(id: string): Promise<OwnedFile | null>
}

/** Deleted files, by id, until they are restored or gone for good. They hold no names. */
export interface TrashRepository {
  find(owner: string, id: string): Promise<SealedTrash | null>
  /** At most `limit` files that were deleted after `since`, the last deleted first, ties broken by id. */
  list(owner: string, query: TrashQuery): Promise<SealedTrash[]>
  /**
   * Takes the file that the caller saw out of the trash, under this name. `taken`: a file has it. `stale`: it is not
   * there any more, or with other contents.
   */
  restore(owner: string, seen: Pick<Seen, 'id' | 'blob'>, name: string, at: number): Promise<'done' | 'taken' | 'stale'>
  /** Removes one file for good and answers its blob, which is garbage now; `null` where it is not in the trash. */
  remove(owner: string, id: string): Promise<string | null>
  /** Removes at most `limit` files deleted up to this time, and answers their blobs, which are garbage now. */
  empty(owner: string, deletedUntil: number, limit: number): Promise<string[]>
  /** The same for all users at once. */
  expire(deletedUntil: number, limit: number): Promise<string[]>
}

/**
 * The books on blobs. A blob id is `<run>/<random>`, where a run is one life of one server process; so what a crash
 * leaves behind is found by its run, and a living run's unfinished uploads are never touched.
 */
export interface BlobLedger {
  /** `keyIds` are the master keys that the run can open. Opening it again changes nothing, not even where it has ended. */
  openRun(run: string, at: number, keyIds: string[]): Promise<void>
  /** Whether a run that was opened goes on: it was neither ended nor forgotten. Opens none. */
  goesOn(run: string): Promise<boolean>
  /**
   * Ends for good every other run that is certain to be over, and answers all ended runs that are not swept yet.
   * `null` for a process that opened none.
   */
  endedRuns(run: string | null): Promise<string[]>
  /** The master keys that each run which may still live can open. */
  livingRuns(): Promise<{ run: string; keyIds: string[] }[]>
  /** Those of the blobs that a row still names. */
  named(blobs: string[]): Promise<string[]>
  /**
   * Gives up blobs whose commit threw before it was answered: from now on it does not happen, however late it comes to the
   * database. Answers those that no row names.
   */
  renounce(blobs: string[]): Promise<string[]>
  /** Those of the blobs that no row names and that are not garbage either. */
  unaccounted(blobs: string[]): Promise<string[]>
  /** The run's blobs are swept: nothing remembers it, so it does not go on. */
  forgetRun(run: string): Promise<void>
  /** Blobs that no row names any more, the oldest first. */
  garbage(limit: number): Promise<string[]>
  forgetGarbage(blobs: string[]): Promise<void>
  /** While a hold lasts, no process deletes a blob. True where it was taken, or renewed before it ran out. */
  hold(id: string, now: number, until: number): Promise<boolean>
  release(id: string): Promise<void>
  held(now: number): Promise<boolean>
  /** Does what one of many servers does for all. False, and nothing was done, while another server does it. */
  takeTurn(work: () => Promise<void>): Promise<boolean>
}

/** The bytes of one blob, in order. */
export interface BlobReader {
  /**
   * The next `count` bytes, about 1 MiB at most, or fewer where `end` is reached. They hold until the next call, when their memory is used again. Throws
   * where the blob is too short, or cannot be read any more.
   */
  read(count: number): Promise<Buffer>
  /** Lets go of the blob. To be called once, however the reading ended. */
  close(): Promise<void>
}

/** Bytes by id. Blobs are written once, whole or not at all, and never changed. */
export interface BlobStore {
  /**
   * Durable once resolved: bytes and entry survive a power cut. Each batch is a list of chunks, about 1 MiB together.
   * Where the batches throw, nothing is left and the same error is thrown on.
   */
  put(blob: string, batches: AsyncIterable<Uint8Array[]>): Promise<void>
  /**
   * Opens the bytes from `start` up to, and not with, `end`, at least one; `null` where there is no such blob. A reader
   * whose blob is deleted reads on or fails; it never hands out other bytes.
   */
  open(blob: string, start: number, end: number): Promise<BlobReader | null>
  /** The length of a blob; `null` where there is no such blob. */
  length(blob: string): Promise<number | null>
  /** Durable once resolved; an absent blob is no fault. */
  delete(blobs: string[]): Promise<void>
  /**
   * Every blob of one run that is finished, so many at a time; blobs may be deleted meanwhile. Others may be there or be
   * left to `closeRun`.
   */
  list(run: string): AsyncIterable<string[]>
  /** Every run that has blobs here. */
  runs(): Promise<string[]>
  /** Removes what is kept for an ended run beside the blobs that `list` told of, such as what a crash left unfinished. */
  closeRun(run: string): Promise<void>
}

/** What a PIN opens: a new user's registration, an existing user's vault, or nothing at all. */
export type PinGrant =
  | { kind: 'registration'; userId: string; name: string; email: string; confirmedBy: PinDeliveryMode }
  /** `vouchedBy`: the session that asked for the PIN, if one did; it must not be over. */
  | { kind: 'user'; userId: string; vouchedBy: string | null }
  /** `userId`: whose address was given, where it belongs to somebody who cannot be told the PIN. */
  | { kind: 'nothing'; userId: string | null }

export interface PendingPin {
  id: string
  deviceId: string
  /**
   * `open`: asked for without a session; a device has one. `vouched`: asked for by a session, or by the operator, for the user
   * that it opens; a device has one for each user. None replaces another's.
   */
  origin: 'open' | 'vouched'
  /** `code`: the long one that stands in for a PIN while those of the address are paused. */
  kind: 'pin' | 'code'
  /** Where guesses at this PIN are counted: a keyed hash of the address. `null` for one that was shown to its caller. */
  address: Buffer | null
  /** HMAC-SHA-256 of the PIN and of all the other fields. */
  digest: Buffer
  grant: PinGrant
  expiresAt: number
}

/**
 * What became of a PIN that was to be kept. `unlike`: the device has other pending PINs than those that were compared; these
 * are all of them. `full`: so many users have a pending PIN for the device that it takes none of a further user; the first of
 * them ends at `until`.
 */
export type Put = { as: 'kept' } | { as: 'unlike'; others: PendingPin[] } | { as: 'full'; until: number }

/** PINs on their way. May forget everything at a restart; never answers a PIN that is expired, used up or spent. */
export interface PendingPinStore {
  /**
   * Replaces the device's earlier PIN of the same origin, and where that is `vouched`, of the same user. Only where the ids of
   * all other pending PINs of the device are among `compared`, so that no two of them are the same digits; in a single step.
   */
  put(pin: PendingPin, than: { compared: string[]; mostUsers: number }): Promise<Put>
  /**
   * Counts one guess against every PIN of the device and answers those that had guesses left, in a single step: of
   * any number of callers, at most `maxAttempts` see a given PIN. A code has any number of guesses.
   */
  guess(deviceId: string, maxAttempts: number): Promise<PendingPin[]>
  /** True for exactly one caller. */
  spend(pin: PendingPin): Promise<boolean>
}

/** When PINs are paused: with every so many wrong guesses at an address, for twice as long as the time before. */
export interface PauseRule {
  every: number
  firstPauseMs: number
}

/** What a guess came to. `nobody`: there was no address to count it at. */
export type Counted = { as: 'nobody' | 'paused' } | { as: 'counted'; pauses: boolean }

/**
 * The memory that guessing must not outlive: of wrong guesses by address, over PINs, devices, processes and restarts, and of
 * PINs that an operator handed out.
 */
export interface PinLedger {
  /**
   * One act, durable once answered, and the same work in every case: counts a guess at the address as if it were wrong,
   * unless PINs of the address are paused; and counts it against each PIN that the operator handed out for the device. Of
   * any number of callers, at most `maxAttempts` see a given one.
   */
  count(guess: {
    deviceId: string
    address: Buffer | null
    at: number
    maxAttempts: number
    rule: PauseRule
  }): Promise<{ counted: Counted; handedOut: PendingPin[] }>
  /** Writes to a row that is nobody's: as much work as to note what happened to a user, where there is no user. */
  noteNothing(at: number): Promise<void>
  /** Whether PINs of the address are paused. */
  isPaused(address: Buffer, at: number): Promise<boolean>
  /** Keeps a PIN that the operator hands out, in place of an earlier one for the device and the same user. */
  handOut(pin: PendingPin & { grant: { kind: 'user' } }): Promise<void>
  /** Forgets what was handed out and is over. */
  forget(until: number): Promise<void>
}

/** Counts acts under a key within a window of time. May forget at a restart. */
export interface ActCounter {
  /** Counts one more; true while there were at most `max` within `windowMs`. */
  take(key: string, max: number, windowMs: number): Promise<boolean>
}

/** The same for requests, whose callers are told how they stand. May forget at a restart, or be out of reach for a while. */
export interface RequestCounter {
  /**
   * Counts one more of the caller's under a limit, as so many as it costs (1), and answers how many there were within the
   * window, this one included, and how long it stays open. It opens with the first. No caller makes another one's window
   * close early.
   */
  count(limit: string, caller: string, windowMs: number, cost?: number): Promise<{ count: number; leftMs: number }>
}

/** In `response` mode the PIN goes out with the answer, and there is nothing to deliver. */
export type PinDelivery = { mode: 'response' } | PinMessenger

/** What is delivered: a PIN, or the long code that stands in for it while the PINs of an address are paused. */
export interface PinLetter {
  /** `null` for nobody: as much work as for somebody, as far as that can be, and nothing is sent. */
  email: string | null
  secret: string
  kind: 'pin' | 'code'
  expiresAt: number
  requestId: string
}

/** Something that the owner of an account should hear of. */
export interface Notice {
  /** `null` as in a letter. */
  email: string | null
  event: 'new-device' | 'locked'
  at: number
  /** The caller's IP address. Nothing else in a notice comes from its caller. */
  address: string
  requestId: string
}

export interface PinMessenger {
  mode: Exclude<PinDeliveryMode, 'response'>
  /** Takes the letter on its way; resolves once it was handed on or given up, so nobody who answers a request waits for it. */
  deliver(letter: PinLetter): Promise<void>
  notify(notice: Notice): Promise<void>
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

export interface Ports {
  users: UserRepository
  keySlots: KeySlotRepository
  sessions: SessionRepository
  pinLedger: PinLedger
  activity: ActivityRepository
  files: FileRepository
  trash: TrashRepository
  ledger: BlobLedger
  blobs: BlobStore
  /** Resolves while there is room to take bytes in; throws with the code `ENOSPC` where what is left is for deleting. */
  room(): Promise<void>
  pendingPins: PendingPinStore
  delivery: PinDelivery
  mailCounter: ActCounter
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

/** How much there is of everything, at one moment. */
export interface Census {
  users: number
  sessions: number
  files: { count: number; bytes: number }
  trash: { count: number; bytes: number }
  /** Blobs that wait to be deleted. */
  garbage: number
  /** Runs that are not swept yet, and those of them that were not ended. */
  runs: { known: number; open: number }
  /** Slots by the id of their master key. */
  slots: Record<string, number>
  /** Holds that have not run out. */
  holds: number
  schema: number
  databaseBytes: number
}

/** What the operator's commands need beyond what a server needs. */
export interface OperatorPorts extends Ports {
  census(): Promise<Census>
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
export type MovedTable =
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

/** Rows as they are kept, by the names of their columns. */
export interface MovedRows {
  table: MovedTable
  rows: Record<string, string | bigint | Buffer | null>[]
}

/** The rows of a vault that moves away. They stay as they are. */
export interface RowDeparture {
  /**
   * Keeps every row as it is until `close`: nobody writes, and no server that would can start, while others read on. False
   * where a server is there that takes writes. Throws where the database is damaged.
   */
  freeze(): Promise<boolean>
  counts(): Promise<Record<MovedTable, number>>
  /** All rows, those of a table after those that they refer to. */
  rows(): AsyncIterable<MovedRows>
  close(): Promise<void>
}

/** A place for the rows of a vault that moves in. Until `settle` there is none in it. */
export interface RowArrival {
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
  settle(rows: AsyncIterable<MovedRows>, counts: Record<MovedTable, number>): Promise<void>
  close(): Promise<void>
}

/** A vault that moves away. */
export interface MoveSource
  extends Pick<OperatorPorts, 'users' | 'keySlots' | 'files' | 'ledger' | 'blobs' | 'clock' | 'chance' | 'census'> {
  rows: RowDeparture
  close(): Promise<void>
}

/** Where it moves to. */
export interface MoveTarget {
  masterKeys: MasterKeys
  /** Makes what is not there yet. */
  open(): Promise<{ rows: RowArrival; blobs: BlobStore }>
  close(): Promise<void>
}
