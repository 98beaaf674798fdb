/** Blobs by id, and the ledger of blobs. */

/**
 * The database's records of blobs. A blob id is `<run>/<random>`, and a run is the lifetime of one server process. So
 * blobs that a crash left are found by their run, and unfinished uploads of a living run are never touched.
 */
export interface BlobLedger {
  /** `keyIds` are the master keys that the run can open. Opening a run again changes nothing, even if it has ended. */
  openRun(run: string, at: number, keyIds: string[]): Promise<void>
  /** True if a run that was opened goes on, so it was neither ended nor deleted. Opens no run. */
  goesOn(run: string): Promise<boolean>
  /**
   * Ends for good every other run that is certain to be over. Returns all ended runs that are not swept yet. `run` is
   * `null` for a process that opened no run.
   */
  endedRuns(run: string | null): Promise<string[]>
  /** The runs that may still live, each with the master keys that it can open. */
  livingRuns(): Promise<{ run: string; keyIds: string[] }[]>
  /** Returns the blobs, out of these, that parts name, garbage included. */
  named(blobs: string[]): Promise<string[]>
  /**
   * Gives up blobs whose commit threw before it was answered. From now on such a commit has no effect, however late it
   * reaches the database. Returns those of the blobs that no part names.
   */
  renounce(blobs: string[]): Promise<string[]>
  /** Deletes the record of a run whose blobs are swept. So the run does not go on. */
  forgetRun(run: string): Promise<void>
  /** At most `limit` blobs of the garbage, the oldest first; with `versions` only those of these versions. */
  garbage(limit: number, versions?: string[]): Promise<string[]>
  /** Deletes the parts of these blobs of the garbage, and each version that has no part any more. */
  forgetGarbage(blobs: string[]): Promise<void>
  /**
   * Takes or renews a hold. While a hold lasts, no process deletes a blob. True if it was taken, or renewed before it
   * expired.
   */
  hold(id: string, now: number, until: number): Promise<boolean>
  release(id: string): Promise<void>
  held(now: number): Promise<boolean>
  /** Records that a backup was finished. `at`: when its copy of the database was made. */
  recordBackup(at: number): Promise<void>
  /** The time of the last recorded backup; `null` for none. */
  lastBackupAt(): Promise<number | null>
  /**
   * Runs work of a kind that one of many servers does for all. False, and nothing was done, while another server does work
   * of this kind.
   */
  takeTurn(work: () => Promise<void>, kind?: 'sweeping' | 'reading-back'): Promise<boolean>
}

/** The bytes of one blob, in order. */
export interface BlobReader {
  /**
   * The next `count` bytes, about 1 MiB at most, or fewer if `end` is reached. They are valid until the next call,
   * which uses the same memory again. Throws if the blob is too short, or cannot be read any more.
   */
  read(count: number): Promise<Buffer>
  /** Releases the blob. Call it once, however the reading ended. */
  close(): Promise<void>
}

/** Bytes by id. A blob is written once, whole or not at all, and never changed. */
export interface BlobStore {
  /**
   * How many of the following blobs a reader of small ones opens ahead: a store that answers late needs several. At least one. If it
   * is more, a request to the store is expensive, and small uploads and opened blobs take turns, too.
   */
  readonly opensAhead: number
  /**
   * Durable once resolved: bytes and directory entry survive a power cut. Each batch is a list of chunks, about 1 MiB
   * together. If `batches` throws, nothing is left, and `put` throws the same error. Once `signal` aborts, the result is not
   * wanted any more, and the store may stop; the blob may be there or not.
   */
  put(blob: string, batches: AsyncIterable<Uint8Array[]>, signal?: AbortSignal): Promise<void>
  /**
   * Opens the bytes from `start` up to `end`, without `end`; at least one byte. `null` if there is no such blob. If the
   * blob is deleted meanwhile, the reader reads on or throws; it never returns other bytes.
   */
  open(blob: string, start: number, end: number): Promise<BlobReader | null>
  /** The length of a blob; `null` if there is no such blob. */
  length(blob: string): Promise<number | null>
  /** Durable once resolved. An absent blob is no error. */
  delete(blobs: string[]): Promise<void>
  /**
   * Every finished blob of one run, in batches. Blobs may be deleted meanwhile. Unfinished blobs may be listed, or left
   * to `closeRun`.
   */
  list(run: string): AsyncIterable<string[]>
  /** Every run that has blobs here. */
  runs(): Promise<string[]>
  /** Removes what the store has of an ended run besides the listed blobs, such as unfinished blobs after a crash. */
  closeRun(run: string): Promise<void>
}
