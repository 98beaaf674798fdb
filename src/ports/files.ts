/** Files and the trash, as rows. */
import type { KeySlot, Quota } from './accounts.ts'

/** A file as its row stores it. Everything is in clear except the contents and their digest. */
export interface SealedFile {
  id: string
  name: string
  sizeBytes: number
  contentType: string
  createdAt: number
  /** Changes only with content and type. */
  updatedAt: number
  /**
   * When this content and type got this name: by upload, replacement, renaming or restoring. It is in a later second
   * than that of every earlier content of this name of this owner, even after the clock was set back. So a date in
   * whole seconds never stands for two contents of a name.
   */
  namedAt: number
  /** Identifies these bytes as the caller saw them. New bytes have a new version, also if they equal the former ones. */
  version: string
  /** File key, SHA-256 and size, sealed under the vault key. */
  seal: Buffer
  /** Equal for equal contents of this owner; `null` for a row that has no tag yet. */
  tag: Buffer | null
  /** When the content was made, as far as the client knows; otherwise `null`. */
  takenAt: number | null
  /** The time zone of `takenAt`, in minutes east of UTC. */
  takenOffset: number
  /** When all bytes of the version were last read back and opened; `null` for never. */
  verifiedAt: number | null
  /** The tag of its thumbnail; `null` if it has none. */
  thumbnail: string | null
  thumbnailBytes: number
}

/** When the content was made. */
export type Taken = Pick<SealedFile, 'takenAt' | 'takenOffset'>

/** A part of a version: bytes that were sealed together into one blob. A version has its parts in order, without gaps. */
export interface Part {
  /** The place of its first byte in the version. */
  start: number
  sizeBytes: number
  blob: string
  /** The part's own key, sealed under the file key; `null` for the only part of a version, which uses the file key. */
  seal: Buffer | null
}

/**
 * A file that is complete. If the content of its name is the same, its thumbnail stays, and its date too if `takenAt` is `null`.
 * Otherwise the new file has no thumbnail.
 */
export interface NewFile extends Omit<SealedFile, 'verifiedAt' | 'thumbnail' | 'thumbnailBytes'> {
  /** The blob of its only part; `null` if its parts are those of the upload of this version. */
  blob: string | null
}

/** Identifies a file as the caller saw it, under its name. */
export type Seen = Pick<SealedFile, 'id' | 'name' | 'version'>

/** The trash entry that a replaced version becomes. It takes all other columns from the row of that version. */
export interface Displaced {
  id: string
  /** Sealed under the id of the entry. */
  seal: Buffer
  deletedAt: number
}

/** An upload from whose bytes another file was made, and how many it had then. */
export interface Source {
  upload: string
  received: number
}

/** Live files and trash together, as the quota counts them. */
export interface Used {
  bytes: number
  files: number
}

/** Everything that an upload or a download needs before it begins, read at one moment. */
export interface Snapshot {
  /** The slot of the key that opens and seals the owner's files. */
  slot: KeySlot
  used: Used
  /** The file of this name. */
  file: SealedFile | null
  /** The first part of the file. */
  firstPart: Part | null
}

/** A file or a deleted one, with its owner. */
export interface OwnedFile {
  owner: string
  file: SealedFile
}

export interface SealedTrash extends SealedFile {
  deletedAt: number
}

/** A live file, with `deletedAt` as `null`, or a trash entry. */
export interface LiveOrTrashed extends SealedFile {
  deletedAt: number | null
}

/** The row of a live file, with `deletedAt` as `null`, or of a trash entry, for a lookup. */
export interface SealedEntry
  extends Pick<SealedFile, 'id' | 'name' | 'sizeBytes' | 'version' | 'seal' | 'tag' | 'verifiedAt'> {
  deletedAt: number | null
}

/** A file or trash entry of any owner, and when it was last read back. */
export interface ReadBack extends OwnedFile {
  /** The time of the last attempt, whatever its result was; 0 for never. */
  at: number
  /** The version did not open in the last attempt. */
  failed: boolean
}

/** `takenAt` takes `createdAt` for a file without one. */
export type FileSort = 'name' | 'createdAt' | 'updatedAt' | 'size' | 'takenAt'

export interface FileQuery {
  prefix: string
  sort: FileSort
  order: 'asc' | 'desc'
  /** The last row of the previous page: its sort key and, as a tie-break, its id. */
  after: { key: string | number; id: string } | null
  limit: number
}

/** A place in the list by `takenAt`, the newest first: after all files whose instant and id are greater or equal. */
export interface DatedPlace {
  key: number
  id: string
}

export interface CountedMonths {
  /** The first instant of each month in UTC, and how many files were counted in it. */
  months: { month: number; files: number }[]
  /** The place after the last counted file; `null` if the end was reached. */
  last: DatedPlace | null
}

export interface TrashQuery {
  since: number
  after: { deletedAt: number; id: string } | null
  limit: number
}

/** A change of a file that the caller saw is `stale` if the name has another version now, or none. */
export interface FileRepository {
  /** The file of a name, with everything that a change of it needs; `null` if there is no such user. */
  snapshot(owner: string, name: string): Promise<Snapshot | null>
  /**
   * One transaction, durable once answered: puts the file under its name, with its parts. The bytes of an upload count for the
   * owner already. In the same transaction the replaced version becomes the trash entry `displaced`, or, with `null`, garbage. Any
   * result but `done` has changed nothing.
   *
   * - `replaces` is the version that the caller saw there, or `null` for none.
   * - `source`, if there is one, becomes complete with this file in the same transaction. Its own bytes are garbage then, and do
   *   not count any more, for `quota` either.
   * - `quota` is `null` for no limit. An upload that adds no bytes or no files is not refused for them.
   * - `stale`: the name has another version now.
   * - `upload-gone`: `blob` is `null`, and there is no such upload of this size that is not complete yet. Or there is no `source`.
   * - `run-ended`: the run that wrote the blob is over, so the sweeper may delete the blob.
   * - `quota`: the user would use more bytes than `quota` allows. `quota-files`: more files.
   * - `gone`: there is no such user.
   */
  commit(
    owner: string,
    file: NewFile,
    replaces: string | null,
    quota: Quota | null,
    displaced?: Displaced | null,
    source?: Source | null,
  ): Promise<'done' | 'stale' | 'upload-gone' | 'run-ended' | 'quota' | 'quota-files' | 'gone'>
  /**
   * Gives the file that the caller saw another name, another `takenAt`, or both; `null` leaves it as it is. `taken`:
   * another file has that name.
   */
  edit(
    owner: string,
    seen: Seen,
    edit: { name: string | null; taken: Taken | null },
    at: number,
  ): Promise<'done' | 'stale' | 'taken'>
  /** Moves the file that the caller saw to the trash. Its name is free then. */
  discard(owner: string, seen: Seen, at: number): Promise<'done' | 'stale'>
  /**
   * A name without a file keeps the date of its last file. Deletes, for all users, at most `limit` of these dates whose
   * second is over at the time `at`. Returns how many. The promise of `namedAt` still holds for these names. The number of
   * such dates of a user is bounded.
   */
  forgetVacated(at: number, limit: number): Promise<number>
  /**
   * At most `limit` files in this order, ties broken by id; stable while others write. If few names have the prefix,
   * and the order is not by name, it may read all of the owner's files. `scan` is for that case.
   */
  list(owner: string, query: FileQuery): Promise<SealedFile[]>
  /**
   * The same, but it reads only the next `rows` files, whatever their names are. `last` is the last file that it read
   * if there may be more after it, otherwise `null`.
   */
  scan(
    owner: string,
    query: FileQuery & { sort: Exclude<FileSort, 'name'> },
    rows: number,
  ): Promise<{ found: SealedFile[]; last: FileQuery['after'] }>
  /**
   * Counts the owner's files by month, the newest first, from this place on (`null`: the first file): at most `most.files` files
   * of at most `most.months` months, both at least 1. The last month may go on after `last`. A file is in the month of its
   * `takenAt`, or of its `createdAt` if it has none. Instants before the year 0 count to its first month, and instants after
   * the year 9999 to its last month.
   */
  countByMonth(owner: string, after: DatedPlace | null, most: { files: number; months: number }): Promise<CountedMonths>
  /** Returns the names, out of these, that files of the owner have. */
  taken(owner: string, names: string[]): Promise<string[]>
  /**
   * At most `limit` files with this tag whose names come after `after`, ordered by name. The names start with the
   * prefix and are longer than it.
   */
  tagged(
    owner: string,
    tag: Buffer,
    query: { prefix: string; after: string | null; limit: number },
  ): Promise<SealedFile[]>
  /**
   * All files and trash entries with one of these tags, read at one moment. If there are more than `limit`, `limit` of
   * them, whichever.
   */
  withTags(owner: string, tags: Buffer[], limit: number): Promise<SealedEntry[]>
  /** The owner's files and trash entries with these ids, in any order. An id that the owner does not have is left out. */
  withIds(owner: string, ids: string[]): Promise<LiveOrTrashed[]>
  /**
   * Records attempts to read versions back: whether all their bytes opened (`verifiedAt`), or not. Nothing is recorded
   * for a version that was replaced. A row that another transaction is changing may be left out.
   */
  recordReadBacks(attempts: { id: string; version: string; at: number; opened: boolean }[]): Promise<void>
  /** At most `limit` files and trash entries of all users that were last read back in `[from, before)`, ordered by that time. */
  readBack(range: { from: number; before: number }, limit: number): Promise<ReadBack[]>
  /**
   * The number and the bytes of all files and trash entries that were last read back at this time or later. Reads an entry for each of
   * them, so it is for the operator.
   */
  countReadBack(since: number): Promise<{ count: number; bytes: number }>
  /** At most `limit` files and trash entries of all users that have no tag, with ids after this one, ordered by id. */
  untagged(after: string, limit: number): Promise<OwnedFile[]>
  /** Sets the tag of each row that has none, if the row still has this version. */
  fillInTags(tags: { id: string; version: string; tag: Buffer }[]): Promise<void>
  /** At most `limit` files and trash entries of all users with ids after this one, ordered by id. */
  page(after: string, limit: number): Promise<OwnedFile[]>
  /** A file or a deleted one, of any owner; `null` if there is none. */
  byId(id: string): Promise<OwnedFile | null>
  /** At most `limit` parts of a version, in order: the part with the byte at `from`, and those after it. */
  parts(version: string, from: number, limit: number): Promise<Part[]>
}

/** Deleted files, by id, until they are restored or removed. They hold no names. */
export interface TrashRepository {
  find(owner: string, id: string): Promise<SealedTrash | null>
  /** At most `limit` files that were deleted after `since`, the last deleted first, ties broken by id. */
  list(owner: string, query: TrashQuery): Promise<SealedTrash[]>
  /** At most `limit` entries with this tag, ordered by `deletedAt`, then by name and id. `after` is the last of the page before. */
  tagged(owner: string, tag: Buffer, after: SealedTrash | null, limit: number): Promise<SealedTrash[]>
  /**
   * Moves the file that the caller saw out of the trash, under this name. `taken`: a file has that name. `stale`: the
   * entry is not there any more, or has other contents.
   */
  restore(
    owner: string,
    seen: Pick<Seen, 'id' | 'version'>,
    name: string,
    at: number,
  ): Promise<'done' | 'taken' | 'stale'>
  /** Removes one file for good. Returns its version, which is garbage now; `null` if the file is not in the trash. */
  remove(owner: string, id: string): Promise<string | null>
  /** Removes at most `limit` files that were deleted up to this time. Returns their versions, which are garbage now. */
  empty(owner: string, deletedUntil: number, limit: number): Promise<string[]>
  /** The same for all users together. */
  expire(deletedUntil: number, limit: number): Promise<string[]>
}
