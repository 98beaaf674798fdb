/**
 * Numbers the changes of a user's live files, and keeps tombstones: the files that are not live any more. Each function runs
 * inside its caller's transaction.
 */
import type { Database } from 'better-sqlite3'

/** Tombstones of changes so far back are deleted, so that a user who stores and deletes all the time has a bounded number. */
const MOST_BACK = 1_000_000
/** Tombstones of one user that are deleted with a new one. */
const BATCH = 10

export function sqliteRevisions(db: Database) {
  const next = db
    .prepare<[string], number>('UPDATE users SET revision = revision + 1 WHERE id = ? RETURNING revision')
    .pluck()
  const bury = db.prepare<[{ owner: string; id: string; revision: number; at: number }]>(
    `INSERT INTO tombstones (user_id, file_id, revision, at) VALUES (:owner, :id, :revision, :at)
     ON CONFLICT DO UPDATE SET revision = excluded.revision, at = excluded.at`,
  )
  const revive = db.prepare<[string, string]>('DELETE FROM tombstones WHERE user_id = ? AND file_id = ?')
  const farBack = db.prepare<[string, number, number], Tombstone>(
    `${TOMBSTONES} WHERE user_id = ? AND revision <= ? ORDER BY revision LIMIT ?`,
  )
  const forget = sqliteForgetting(db)

  return {
    /** Returns the number of a change that the caller makes. */
    next: (owner: string): number => next.get(owner) ?? 0,

    /** Records that a file is not live any more. */
    bury(owner: string, id: string, at: number): void {
      const revision = next.get(owner) ?? 0
      bury.run({ owner, id, revision, at })
      for (const tombstone of farBack.all(owner, revision - MOST_BACK, BATCH)) forget(tombstone)
    },

    /** Records that a file is live again. Returns the number of that change. */
    revive(owner: string, id: string): number {
      revive.run(owner, id)
      return next.get(owner) ?? 0
    },
  }
}

export interface Tombstone {
  owner: string
  id: string
  revision: number
}

export const TOMBSTONES = 'SELECT user_id AS owner, file_id AS id, revision FROM tombstones'

export function sqliteForgetting(db: Database): (tombstone: Tombstone) => void {
  const drop = db.prepare<[Tombstone]>('DELETE FROM tombstones WHERE user_id = :owner AND file_id = :id')
  const raise = db.prepare<[Tombstone]>(
    'UPDATE users SET forgotten_revision = :revision WHERE id = :owner AND forgotten_revision < :revision',
  )
  return (tombstone) => {
    drop.run(tombstone)
    raise.run(tombstone)
  }
}
