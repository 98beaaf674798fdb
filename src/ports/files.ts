/** Files and the trash, as rows. */
import type { KeySlot, Quota } from './accounts.ts'

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

/** Everything that an upload or a download needs to know before it begins, read at one moment. */
export interface Snapshot {
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

/** An act on a file that the caller saw is `stale` where another version, or nothing, stands under its name now. */
export interface FileRepository {
  /** What stands under a name, with all that an act on it needs; `null` where there is no such user. */
  snapshot(owner: string, name: string): Promise<Snapshot | null>
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
