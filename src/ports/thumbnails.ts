/** Thumbnails of files, as sealed rows of the database. */
import type { KeySlot } from './accounts.ts'
import type { SealedFile, Seen } from './files.ts'

export interface SealedThumbnail {
  /** Every thumbnail has another one. */
  tag: string
  contentType: string
  /** The picture, sealed under a key that is derived from the vault key. */
  sealed: Buffer
}

export interface NewThumbnail extends SealedThumbnail {
  /** The size of the picture, which counts for the quota. */
  sizeBytes: number
}

/** Everything that a response with a thumbnail needs, read at one moment. */
export interface ThumbnailSnapshot {
  /** The slot of the key that opens the owner's files. */
  slot: KeySlot
  /** The file of this name; its `thumbnail` is the tag. */
  file: Pick<SealedFile, 'id' | 'sizeBytes' | 'seal' | 'thumbnail' | 'thumbnailBytes'> | null
  /** `null` if the file has none, and if its row is missing. */
  thumbnail: SealedThumbnail | null
}

/** Identifies a file as the caller saw it, with its thumbnail. */
export type SeenThumbnail = Seen & Pick<SealedFile, 'thumbnail'>

/**
 * A file or trash entry has at most one thumbnail, which goes with its content. `FileRepository` and `TrashRepository`
 * delete thumbnails together with contents.
 *
 * Each change is one transaction, durable once answered, and a change of the live file. `stale`: the name has another
 * version or another thumbnail now, or no file.
 */
export interface ThumbnailRepository {
  /** `null` if there is no such user. */
  find(owner: string, name: string): Promise<ThumbnailSnapshot | null>
  /**
   * Puts the thumbnail in place of the one that the caller saw, if there was one. `quota`: the user would use more bytes
   * than `quotaBytes` allows; `null` is no limit. A thumbnail that is not larger than the former one is not refused for it.
   */
  put(
    owner: string,
    seen: SeenThumbnail,
    thumbnail: NewThumbnail,
    quotaBytes: number | null,
  ): Promise<'done' | 'stale' | 'quota'>
  /** Deletes the thumbnail that the caller saw. */
  remove(owner: string, seen: SeenThumbnail): Promise<'done' | 'stale'>
  /** A thumbnail of a live file or a trash entry; `null` if there is none with this tag. */
  byTag(owner: string, tag: string): Promise<SealedThumbnail | null>
}
