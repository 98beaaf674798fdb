import type { ActivityRepository, ListedEvent } from '../../ports/accounts.ts'
import { type Database, jsonOf } from './database.ts'

export function postgresActivity({ ask, call }: Database): ActivityRepository {
  return {
    async note(owner, event, keep) {
      await call('keep_event', { owner, event: jsonOf(event), as_kind: event.kind, keep: jsonOf(keep) })
    },

    list: (owner, { since, after, limit }) =>
      ask<ListedEvent>(
        `SELECT id, at, kind, address, user_agent AS "userAgent", session_id AS "sessionId",
           device_id AS "deviceId", name AS "deviceName", file_id AS "fileId", count
         FROM activity LEFT JOIN devices USING (user_id, device_id) WHERE user_id = $1 AND at > $2 AND (at, id) < ($3, $4)
         ORDER BY at DESC, id DESC LIMIT $5`,
        [owner, since, after?.at ?? Number.MAX_SAFE_INTEGER, after?.id ?? '', limit],
      ),

    async expire(until, limit) {
      const oldest = 'SELECT user_id, at, id FROM activity WHERE at <= $1 ORDER BY at LIMIT $2'
      const gone = await ask(`DELETE FROM activity WHERE (user_id, at, id) IN (${oldest}) RETURNING 1`, [until, limit])
      return gone.length
    },
  }
}
