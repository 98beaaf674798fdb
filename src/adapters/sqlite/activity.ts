import type { Database } from 'better-sqlite3'
import type { ActivityEvent, ActivityRepository, Keep, ListedEvent } from '../../ports/accounts.ts'
import type { InTransaction } from './group-commit.ts'

type Row = ActivityEvent & { owner: string }

export function sqliteActivity(db: Database, inTransaction: InTransaction): ActivityRepository {
  const keepEvent = eventKeeper(db)
  const list = db.prepare<[{ owner: string; since: number; at: number; id: string; limit: number }], ListedEvent>(
    `SELECT id, at, kind, address, user_agent AS userAgent, session_id AS sessionId, device_id AS deviceId,
       name AS deviceName, file_id AS fileId, count
     FROM activity LEFT JOIN devices USING (user_id, device_id) WHERE user_id = :owner AND at > :since AND (at, id) < (:at, :id)
     ORDER BY at DESC, id DESC LIMIT :limit`,
  )
  const expire = db.prepare<[number, number]>(
    `DELETE FROM activity WHERE (user_id, at, id) IN (SELECT user_id, at, id FROM activity WHERE at <= ? LIMIT ?)`,
  )

  return {
    async note(owner, event, keep) {
      await inTransaction(() => keepEvent({ ...event, owner }, keep))
    },

    async list(owner, { since, after, limit }) {
      return list.all({ owner, since, at: after?.at ?? Number.MAX_SAFE_INTEGER, id: after?.id ?? '', limit })
    },

    expire(until, limit) {
      return inTransaction(() => expire.run(until, limit).changes)
    },
  }
}

/**
 * Returns a function that adds an event, or counts it with an earlier one. It runs inside the caller's transaction. It does
 * nothing if the user does not exist.
 */
export function eventKeeper(db: Database): (row: Row, keep: Keep) => void {
  const countIn = db.prepare<[Row & NonNullable<Keep['fold']>]>(
    `WITH alike AS MATERIALIZED (
       SELECT at, id, address FROM activity INDEXED BY activity_alike
       WHERE user_id = :owner AND kind = :kind AND coalesce(device_id, '') = coalesce(:deviceId, '') AND at >= :since
         AND CASE :file WHEN 'same' THEN file_id IS :fileId ELSE (file_id IS NULL) = (:fileId IS NULL) END)
     UPDATE activity SET count = count + 1, session_id = :sessionId, file_id = :fileId
     WHERE (user_id, at, id) = (
       SELECT :owner, at, id FROM alike WHERE address = :address OR (SELECT count(*) FROM alike) >= :mostAddresses
       ORDER BY address = :address DESC, at DESC LIMIT 1)`,
  )
  const insert = db.prepare<[Row & { class: Keep['class'] }], { place: number }>(
    `INSERT INTO activity (id, user_id, at, kind, address, user_agent, session_id, device_id, file_id, class, position)
     SELECT :id, id, :at, :kind, :address, :userAgent, :sessionId, :deviceId, :fileId, :class,
       1 + coalesce((SELECT max(position) FROM activity WHERE user_id = :owner AND class = :class), 0)
     FROM users WHERE id = :owner RETURNING position AS place`,
  )
  const drop = db.prepare<[string, Keep['class'], number]>(
    'DELETE FROM activity WHERE user_id = ? AND class = ? AND position <= ?',
  )
  return (row, keep) => {
    if (keep.fold && countIn.run({ ...row, ...keep.fold }).changes > 0) return
    const added = insert.get({ ...row, class: keep.class })
    if (added) drop.run(row.owner, keep.class, added.place - keep.most)
  }
}
