import type { Database } from 'better-sqlite3'
import type { KeySlot, User } from '../../ports/accounts.ts'
import type { NamedSession, Redemption, Session, SessionRepository } from '../../ports/sign-in.ts'
import { eventKeeper } from './activity.ts'
import type { InTransaction } from './group-commit.ts'

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
  const pinUsed = db.prepare<[string], unknown>('SELECT 1 FROM sessions WHERE pin_id = ?')
  const addUser = db.prepare<[User]>(
    `INSERT INTO users (id, name, email, confirmed_by, created_at)
     VALUES (:id, :name, :email, :confirmedBy, :createdAt) ON CONFLICT (email) DO NOTHING`,
  )
  const addSlot = db.prepare<[KeySlot & { owner: string }]>(
    'INSERT INTO key_slots (user_id, kind, key_id, sealed) VALUES (:owner, :kind, :keyId, :sealed)',
  )
  /** The user exists, and the session that vouched, if there was one, has not ended. */
  const mayJoin = db.prepare<[{ id: string; vouchedBy: string | null }], unknown>(
    `SELECT 1 FROM users WHERE id = :id AND (:vouchedBy IS NULL OR EXISTS (
       SELECT 1 FROM sessions WHERE user_id = :id AND id = :vouchedBy AND ended_at IS NULL))`,
  )
  const endOfDevice = db.prepare<[number, string, string]>(
    'UPDATE sessions SET ended_at = ? WHERE user_id = ? AND device_id = ? AND ended_at IS NULL',
  )
  // Each count reads one range of an index. Rows over the bound are searched only if there are any.
  const openSessions = db
    .prepare<[string], number>('SELECT count(*) FROM sessions WHERE user_id = ? AND ended_at IS NULL')
    .pluck()
  const knownDevices = db.prepare<[string], number>('SELECT count(*) FROM devices WHERE user_id = ?').pluck()
  const endIdlest = db.prepare<[{ owner: string; at: number; kept: number }]>(
    `UPDATE sessions SET ended_at = :at WHERE id IN (
       SELECT id FROM sessions WHERE user_id = :owner AND ended_at IS NULL
       ORDER BY last_used_at DESC, created_at DESC, id LIMIT -1 OFFSET :kept)`,
  )
  const addSession = db.prepare<[Redemption['session'] & { userId: string; pinId: string }]>(
    `INSERT INTO sessions (id, user_id, device_id, token_hash, pin_id, created_at, last_used_at)
     VALUES (:id, :userId, :deviceId, :tokenHash, :pinId, :createdAt, :createdAt)`,
  )
  const touch = db.prepare<[number, string, string]>(
    'UPDATE sessions SET last_used_at = max(last_used_at, ?) WHERE user_id = ? AND id = ? AND ended_at IS NULL',
  )
  type SeenDevice = Pick<Redemption['session'], 'deviceId' | 'deviceName'> & { owner: string; at: number }
  const addDevice = db.prepare<[SeenDevice]>(
    `INSERT INTO devices (user_id, device_id, name, first_seen_at, last_seen_at)
     VALUES (:owner, :deviceId, :deviceName, :at, :at) ON CONFLICT DO NOTHING`,
  )
  const seeDevice = db.prepare<[SeenDevice]>(
    `UPDATE devices SET last_seen_at = :at, name = coalesce(:deviceName, name)
     WHERE user_id = :owner AND device_id = :deviceId`,
  )
  /** Devices that are signed in are kept. */
  const dropDevices = db.prepare<[{ owner: string; most: number }]>(
    `DELETE FROM devices WHERE user_id = :owner AND device_id IN (
       SELECT device_id FROM devices AS d WHERE user_id = :owner
       ORDER BY EXISTS (SELECT 1 FROM sessions
         WHERE user_id = :owner AND device_id = d.device_id AND ended_at IS NULL) DESC, last_seen_at DESC, device_id
       LIMIT -1 OFFSET :most)`,
  )
  const knowsDevice = db.prepare<[string, string], unknown>('SELECT 1 FROM devices WHERE user_id = ? AND device_id = ?')
  const giveBack = db.prepare<[{ address: Buffer; every: number }]>(
    `UPDATE guesses SET wrong = wrong - 1, paused_until = CASE WHEN wrong % :every = 0 THEN 0 ELSE paused_until END
     WHERE address = :address`,
  )
  const dropHandedOut = db.prepare<[string, string]>('DELETE FROM handed_out_pins WHERE device_id = ? AND user_id = ?')
  const keepEvent = eventKeeper(db)
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
    redeem({ pinId, session, user, givenBack, event, bounds }) {
      return inTransaction(() => {
        if (pinUsed.get(pinId)) return 'spent'
        if ('email' in user) {
          const { slot, ...person } = user
          if (addUser.run(person).changes === 0) return 'taken'
          addSlot.run({ ...slot, owner: user.id })
        } else if (!mayJoin.get(user)) {
          return 'gone'
        }
        const { createdAt: at, deviceId, deviceName } = session
        const owner = user.id
        const seen = { owner, deviceId, deviceName, at }
        endOfDevice.run(at, owner, deviceId)
        if ((openSessions.get(owner) ?? 0) >= bounds.sessions) endIdlest.run({ owner, at, kept: bounds.sessions - 1 })
        addSession.run({ ...session, userId: owner, pinId })
        dropHandedOut.run(deviceId, owner)
        if (givenBack) giveBack.run(givenBack)
        const newDevice = addDevice.run(seen).changes === 1
        if (newDevice) {
          if ((knownDevices.get(owner) ?? 0) > bounds.devices) dropDevices.run({ owner, most: bounds.devices })
          keepEvent({ ...event, owner, kind: 'new-device' }, bounds.newDevice)
        } else {
          seeDevice.run(seen)
          keepEvent({ ...event, owner }, bounds.signIn)
        }
        return { newDevice }
      })
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
