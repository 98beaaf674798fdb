/**
 * Keeps the date of each name that has no file, so that the next content of the name gets a later second. A row is deleted
 * once the second of its date has passed, because any new date is later then, unless the clock is set back. For that case
 * `users.vacated_at` is the latest date of all deleted rows of the user, and every new date of the user's names is after it.
 * So no row has to be kept for as long as a clock may be wrong. With a correct clock `vacated_at` is in the past and changes
 * no date. Each function runs inside its caller's transaction.
 */
import type { Database } from 'better-sqlite3'

/** The maximum of rows of one user. Beyond it the earliest are deleted, even if their second has not passed. */
const MOST_NAMES = 500
/** Rows of one user that are deleted at a time. */
const BATCH = 100

interface Row {
  owner: string
  name: string
  namedAt: number
}

const ROWS = 'SELECT user_id AS owner, name, named_at AS namedAt FROM vacated_names'

export function sqliteVacatedNames(db: Database) {
  const latest = db.prepare<[string], number>('SELECT vacated_at FROM users WHERE id = ?').pluck()
  const raise = db.prepare<[{ owner: string; at: number }]>(
    'UPDATE users SET vacated_at = :at WHERE id = :owner AND vacated_at < :at',
  )
  const keep = db.prepare<[string, string, number]>(
    `INSERT INTO vacated_names (user_id, name, named_at) VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET named_at = max(named_at, excluded.named_at)`,
  )
  const drop = db
    .prepare<[string, string], number>('DELETE FROM vacated_names WHERE user_id = ? AND name = ? RETURNING named_at')
    .pluck()
  const crowded = db.prepare<[string], unknown>(
    `SELECT 1 FROM vacated_names WHERE user_id = ? LIMIT 1 OFFSET ${MOST_NAMES}`,
  )
  const earliestOfUser = db.prepare<[string, number, number], Row>(
    `${ROWS} WHERE user_id = ? AND named_at < ? ORDER BY named_at LIMIT ?`,
  )
  const earliest = db.prepare<[number, number], Row>(`${ROWS} WHERE named_at < ? ORDER BY named_at LIMIT ?`)

  return {
    /** Returns the date of a content that gets the name at this time. The name is no longer vacated. */
    take(owner: string, name: string, at: number, replacedAt = 0): number {
      return laterSecond(at, Math.max(latest.get(owner) ?? 0, drop.get(owner, name) ?? 0, replacedAt))
    },

    /** Keeps the date of a content that leaves its name at this time. */
    vacate(owner: string, name: string, namedAt: number, at: number): void {
      if (namedAt < secondOf(at)) raise.run({ owner, at: namedAt })
      else keep.run(owner, name, namedAt)
      const before = crowded.get(owner) ? Number.MAX_SAFE_INTEGER : secondOf(at)
      for (const row of earliestOfUser.all(owner, before, BATCH)) forget(row)
    },

    /** Deletes at most `limit` rows, of all users, whose second has passed at this time; returns their number. */
    forgetPassed(at: number, limit: number): number {
      const rows = earliest.all(secondOf(at), limit)
      for (const row of rows) forget(row)
      return rows.length
    },
  }

  function forget({ owner, name, namedAt }: Row): void {
    drop.get(owner, name)
    raise.run({ owner, at: namedAt })
  }
}

/** The first moment of the second of this time. */
function secondOf(at: number): number {
  return Math.floor(at / 1000) * 1000
}

/** This time, or the first moment of the second after `other` if that is later. 0 stands for no other time. */
function laterSecond(at: number, other: number): number {
  return other === 0 ? at : Math.max(at, secondOf(other) + 1000)
}
