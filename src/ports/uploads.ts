/** Uploads that arrive in several requests, as rows. Their parts are parts of the version that they will become. */
import type { Quota } from './accounts.ts'
import type { Part } from './files.ts'

/** An upload that is not complete, or that was complete a while ago. */
export interface Upload {
  /** Also the id of the version. */
  id: string
  /** `null` for an upload that will only be a part of another one. */
  name: string | null
  /** `null` if the client named none. */
  contentType: string | null
  /** The length of the whole; `null` while it is not known. */
  sizeBytes: number | null
  /** The bytes that are stored, from the first one on. */
  offset: number
  parts: number
  onConflict: 'fail' | 'rename' | 'replace'
  /** `tus`: complete when the length is reached. `ietf`: complete when a request says so. */
  protocol: 'tus' | 'ietf'
  /** JSON with other fields of the creation, which later requests need: metadata, conditions, digests. */
  terms: string
  /** The file key, sealed under the vault key. */
  seal: Buffer
  createdAt: number
  /** The last append, or the creation. */
  touchedAt: number
  /** Each claim raises it. Only the append that has claimed the upload last can add parts. */
  claim: number
  /** The file that the upload became; `null` while it is not complete. */
  fileId: string | null
  /** The name that the file got then. */
  fileName: string | null
}

/** An upload in a list: without what only its own requests need, which may be long. */
export type ListedUpload = Omit<Upload, 'terms' | 'seal'>

/** An upload with its owner. */
export interface OwnedUpload {
  owner: string
  upload: Upload
}

/** A part that changes its version: from the place `from` of an upload to `start`, with a new seal. */
export interface MovedPart {
  upload: string
  from: number
  start: number
  seal: Buffer
}

export interface UploadRepository {
  /**
   * Records a new upload. `full`: the owner already has `most` uploads that are not complete. `gone`: there is no such user. If
   * the owner would have more than 2 × `most` records, some records of complete uploads are deleted, the least recently touched
   * first.
   */
  create(owner: string, upload: Upload, most: number): Promise<'done' | 'full' | 'gone'>
  find(owner: string, id: string): Promise<Upload | null>
  /** The uploads of the owner that are not complete, the oldest first. At most `most` of `create`. */
  list(owner: string): Promise<ListedUpload[]>
  /** Takes the upload from an append that may still run, in any process. Returns it as it is then; `null` if it is gone. */
  claim(owner: string, id: string): Promise<Upload | null>
  /**
   * One transaction, durable once answered: adds a part behind the others, and raises what the owner uses. `sizeBytes` sets
   * the length of the whole; `null` leaves it. With `replaced` the new part replaces the last part, which has the same `start`.
   * The old part moves to the version `replaced`, which is garbage.
   *
   * - `stale`: the upload was claimed since, has another offset or another last part, or is complete, or it or its owner is
   *   gone.
   * - `run-ended`: as in `FileRepository.commit`.
   * - `quota`: the user would use more bytes than `quotaBytes` allows.
   */
  append(
    owner: string,
    seen: Pick<Upload, 'id' | 'offset' | 'claim'>,
    part: Part | null,
    change: { sizeBytes: number | null; at: number; quotaBytes: Quota['bytes']; replaced?: string | undefined },
  ): Promise<'done' | 'stale' | 'run-ended' | 'quota'>
  /**
   * One transaction: moves all parts of other uploads of the owner behind each other into this upload, which has none, and
   * deletes those uploads. `stale`: one of them is not there, is not complete in its length, or has other parts.
   */
  concatenate(owner: string, id: string, moved: MovedPart[], at: number): Promise<'done' | 'stale'>
  /** At most `limit` uploads of all users that are not complete, with ids after this one, ordered by id. */
  page(after: string, limit: number): Promise<OwnedUpload[]>
  /** Deletes an upload. Its version is garbage then, unless it has become a file. False if there is none. */
  remove(owner: string, id: string): Promise<boolean>
  /**
   * Deletes at most `limit` uploads that were not touched since, of the owner, or with `null` of all users, the oldest first.
   * `versions` are garbage now.
   */
  expire(touchedUntil: number, limit: number, owner: string | null): Promise<{ removed: number; versions: string[] }>
}
