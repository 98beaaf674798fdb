import type { Database } from 'better-sqlite3'
import type { NamedSession, Session, SessionRepository } from '../../ports/sign-in.ts'
import type { InTransaction } from './group-commit.ts'
import { pinRedeemer } from './redeeming.ts'

const COLUMNS =
  'id, user_id AS userId, device_id AS deviceId, created_at AS createdAt, last_used_at AS lastUsedAt FROM sessions'

/** Rows that one transaction reads and may delete: requests wait for it. */
const PIECE = 50

export function sqliteSessions(db: Database, inTransaction: InTransaction): SessionRepository {
  const byTokenHash = db.prepare<[Buffer], Session>(`SELECT ${COLUMNS} WHERE token_hash = ? AND ended_at IS NULL`)
  const byId = db.prepare<[string, string], Session>(
    `SELECT ${COLUMNS} WHERE user_id = ? AND id = ? AND ended_at IS NULL`,
  )
  const count = db
    .prepare<[number], number>('SELECT count(*) FROM (SELECT 1 FROM sessions WHERE ended_at IS NULL LIMIT ?)')
    .pluck()
  const redeemPin = pinRedeemer(db)
  const touch = db.prepare<[number, string, string]>(
    'UPDATE sessions SET last_used_at = max(last_used_at, ?) WHERE user_id = ? AND id = ? AND ended_at IS NULL',
  )
  const knowsDevice = db.prepare<[string, string], unknown>('SELECT 1 FROM devices WHERE user_id = ? AND device_id = ?')
  const ofUser = db.prepare<[string], NamedSession>(
    `SELECT id, user_id AS userId, device_id AS deviceId, name AS deviceName, created_at AS createdAt,
       last_used_at AS lastUsedAt
     FROM sessions LEFT JOIN devices USING (user_id, device_id)
     WHERE user_id = ? AND ended_at IS NULL ORDER BY created_at DESC, id`,
  )
  const RETURNED =
    'RETURNING id, user_id AS userId, device_id AS deviceId, created_at AS createdAt, last_used_at AS lastUsedAt'
  const end = db.prepare<[number, string, string], Session>(
    `UPDATE sessions SET ended_at = ? WHERE user_id = ? AND id = ? AND ended_at IS NULL ${RETURNED}`,
  )
  const endOthers = db.prepare<[number, string, string], Session>(
    `UPDATE sessions SET ended_at = ? WHERE user_id = ? AND id <> ? AND ended_at IS NULL ${RETURNED}`,
  )
  const endOfPiece = db
    .prepare<[string], string | null>(
      `SELECT max(id) FROM (SELECT id FROM sessions WHERE id > ? ORDER BY id LIMIT ${PIECE})`,
    )
    .pluck()
  const forget = db.prepare<[string, string, number, number, number]>(
    'DELETE FROM sessions WHERE id > ? AND id <= ? AND (ended_at < ? OR last_used_at < ? OR created_at < ?)',
  )

  return {
    redeem(redemption) {
      return inTransaction(() => redeemPin(redemption))
    },

    async findByTokenHash(tokenHash) {
      return byTokenHash.get(tokenHash) ?? null
    },

    async find(owner, sessionId) {
      return byId.get(owner, sessionId) ?? null
    },

    async count(limit) {
      return count.get(limit) as number
    },

    async list(owner) {
      return ofUser.all(owner)
    },

    async knowsDevice(owner, deviceId) {
      return knowsDevice.get(owner, deviceId) !== undefined
    },

    async touch(owner, sessionId, at) {
      await inTransaction(() => touch.run(at, owner, sessionId))
    },

    end(owner, sessionId, at) {
      return inTransaction(() => end.get(at, owner, sessionId) ?? null)
    },

    endOthers(owner, sessionId, at) {
      return inTransaction(() => endOthers.all(at, owner, sessionId))
    },

    async forget(endedBefore, lastUsedBefore, createdBefore) {
      for (let after: string | null = ''; after !== null; ) {
        const from: string = after
        after = await inTransaction(() => {
          const end = endOfPiece.get(from) ?? null
          if (end !== null) forget.run(from, end, endedBefore, lastUsedBefore, createdBefore)
          return end
        })
      }
    },
  }
}
