/**
 * Numbers about the whole vault, for its operator. Each reads an index or a bounded number of rows. Only `stored` reads the row of
 * each user, as the scrubber does every minute.
 */
import type { Usage } from '../ports/accounts.ts'
import type { Ports } from '../ports/ports.ts'
import type { Needs } from './context.ts'

export const MOST_COUNTED_SESSIONS = 100_000
/** The index does not order new files by age. At most this many are read. */
const MOST_NEW = 200

export interface Figures {
  /** Sessions that were not ended, counted up to `MOST_COUNTED_SESSIONS`. */
  sessions(): Promise<number>
  /** The sums of all users. */
  stored(): Promise<Usage>
  /**
   * When the file that has waited longest was last read back, or was stored if it never was. Only some
   * of the new files are read, so with many of them the real time may be earlier. `null` without files.
   */
  unverifiedSince(): Promise<number | null>
  /** When the database of the last backup was copied; `null` if none is known. */
  lastBackupAt(): Promise<number | null>
  database: Ports['databaseFigures']
  disks: Ports['disks']
}

export function openFigures({
  ports: { sessions, users, files, ledger, databaseFigures, disks },
}: Needs<'sessions' | 'users' | 'files' | 'ledger' | 'databaseFigures' | 'disks'>): Figures {
  return {
    sessions: () => sessions.count(MOST_COUNTED_SESSIONS),
    stored: () => users.total(),

    async unverifiedSince() {
      const waiting = await files.readBack({ from: 0, before: 1 }, MOST_NEW)
      const [oldest] = await files.readBack({ from: 1, before: Number.MAX_SAFE_INTEGER }, 1)
      const times = [...waiting.map(({ file }) => file.createdAt), ...(oldest ? [oldest.at] : [])]
      return times.length === 0 ? null : Math.min(...times)
    },

    lastBackupAt: () => ledger.lastBackupAt(),
    database: databaseFigures,
    disks,
  }
}
