/** Bytes by id, and the books on them. */

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
