import type { Database } from 'better-sqlite3'
import type { ActivityEvent, ActivityRepository } from '../../ports.ts'
import type { Act } from './group-commit.ts'

type Row = ActivityEvent & { owner: string }

export function sqliteActivity(db: Database, act: Act): ActivityRepository {
  const add = insertActivity(db)
  const countIn = db.prepare<[Row & { since: number; most: number }]>(
    `WITH alike AS (
       SELECT user_id, at, id, address FROM activity
       WHERE user_id = :owner AND at >= :since AND kind = :kind AND device_id IS :deviceId AND file_id IS :fileId)
     UPDATE activity SET count = count + 1 WHERE (user_id, at, id) = (
       SELECT user_id, at, id FROM alike WHERE address = :address OR (SELECT count(*) FROM alike) >= :most
       ORDER BY address = :address DESC, at DESC LIMIT 1)`,
  )
  const list = db.prepare<
    [{ owner: string; since: number; at: number; id: string; limit: number }],
    ActivityEvent & { count: number }
  >(
    `SELECT id, at, kind, address, user_agent AS userAgent, session_id AS sessionId, device_id AS deviceId,
       file_id AS fileId, count
     FROM activity WHERE user_id = :owner AND at > :since AND (at, id) < (:at, :id)
     ORDER BY at DESC, id DESC LIMIT :limit`,
  )
  const expire = db.prepare<[number, number]>(
    `DELETE FROM activity WHERE (user_id, at, id) IN (SELECT user_id, at, id FROM activity WHERE at <= ? LIMIT ?)`,
  )

  return {
    async add(owner, event) {
      await act(() => add({ ...event, owner }))
    },

    async fold(owner, event, alike) {
      await act(() => {
        if (countIn.run({ ...event, owner, ...alike }).changes === 0) add({ ...event, owner })
      })
    },

    async list(owner, { since, after, limit }) {
      return list.all({ owner, since, at: after?.at ?? Number.MAX_SAFE_INTEGER, id: after?.id ?? '', limit })
    },

    expire(until, limit) {
      return act(() => expire.run(until, limit).changes)
    },
  }
}

/** Adds a row inside whatever act the caller runs; nothing for a user who does not exist. */
export function insertActivity(db: Database): (row: Row) => void {
  const insert = db.prepare<[Row]>(
    `INSERT INTO activity (id, user_id, at, kind, address, user_agent, session_id, device_id, file_id)
     SELECT :id, id, :at, :kind, :address, :userAgent, :sessionId, :deviceId, :fileId FROM users WHERE id = :owner`,
  )
  return (row) => void insert.run(row)
}
