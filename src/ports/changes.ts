/** Changes of users' live files, in the order in which they were committed. */
import type { SealedFile } from './files.ts'

/** A file that is live with this change, or one that is not live any more. */
export type Change = { revision: number; file: SealedFile } | { revision: number; gone: { id: string; at: number } }

export interface ChangeQuery {
  /** Changes with greater numbers are read. */
  after: number
  /** Of files that are gone, only changes with greater numbers are read. */
  goneAfter: number
  limit: number
}

export interface Changes {
  /** A restored backup has another history: the numbers of its changes do not continue those that clients have seen. */
  history: string
  /** The number of the last change. */
  latest: number
  /** The number of the latest change that is not kept any more. */
  forgotten: number
  changes: Change[]
}

/**
 * Each transaction that changes a live file, or makes a file live or not live any more, takes the user's next number. So
 * a number is seen only after all smaller ones.
 */
export interface ChangeRepository {
  /** At most `limit` changes, in the order of their numbers, all read at one moment. `null` if there is no such user. */
  page(owner: string, query: ChangeQuery): Promise<Changes | null>
  /** Deletes at most `limit` changes of all users about files that are gone since this time or longer. Returns how many. */
  forget(until: number, limit: number): Promise<number>
}

/** Tells all servers of a vault whose files changed, for clients that wait. A notice may be lost, or come twice. */
export interface ChangeNotices {
  /** Called after the commit of a change. */
  publish(owner: string): void
  /** Calls `heard` with each owner, of this server and of the others; with `null` if notices may have been lost. */
  listen(heard: (owner: string | null) => void): void
}
