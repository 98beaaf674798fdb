import type { Database } from 'better-sqlite3'
import type { KeySlot, User } from '../../ports/accounts.ts'
import type { Redemption, SessionRepository } from '../../ports/sign-in.ts'
import { eventKeeper } from './activity.ts'

type SeenDevice = Pick<Redemption['session'], 'deviceId' | 'deviceName'> & { owner: string; at: number }

/** Returns a function that redeems a PIN, as `SessionRepository.redeem` says. It runs inside the caller's transaction. */
export function pinRedeemer(
  db: Database,
): (redemption: Redemption) => Awaited<ReturnType<SessionRepository['redeem']>> {
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
  const giveBack = db.prepare<[{ address: Buffer; every: number }]>(
    `UPDATE guesses SET wrong = wrong - 1, paused_until = CASE WHEN wrong % :every = 0 THEN 0 ELSE paused_until END
     WHERE address = :address`,
  )
  const dropHandedOut = db.prepare<[string, string]>('DELETE FROM handed_out_pins WHERE device_id = ? AND user_id = ?')
  const keepEvent = eventKeeper(db)

  return ({ pinId, session, user, givenBack, event, bounds }) => {
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
  }
}
