import type { Database } from 'better-sqlite3'
import type { GuessOutcome, PauseRule, PendingPin, PinLedger } from '../../ports/sign-in.ts'
import type { InTransaction } from './group-commit.ts'

/** Counts guesses that have no address, so that they cost the same as others. No keyed hash is empty. */
const NOBODY = Buffer.alloc(0)

interface HandedOut {
  id: string
  userId: string
  digest: Buffer
  expiresAt: number
}

export function sqlitePinLedger(db: Database, inTransaction: InTransaction): PinLedger {
  const pausedUntil = db.prepare<[Buffer], number>('SELECT paused_until FROM guesses WHERE address = ?').pluck()
  const countOne = db
    .prepare<[Buffer], number>(
      `INSERT INTO guesses (address, wrong, paused_until) VALUES (?, 1, 0)
       ON CONFLICT (address) DO UPDATE SET wrong = wrong + 1 RETURNING wrong`,
    )
    .pluck()
  const noteNothing = db.prepare<[Buffer, number]>(
    `INSERT INTO guesses (address, wrong, paused_until) VALUES (?, 0, ?)
     ON CONFLICT (address) DO UPDATE SET paused_until = excluded.paused_until`,
  )
  const pause = db.prepare<[number, Buffer]>('UPDATE guesses SET paused_until = ? WHERE address = ?')
  const guessHandedOut = db.prepare<[{ deviceId: string; at: number; maxAttempts: number }], HandedOut>(
    `UPDATE handed_out_pins SET guesses = guesses + 1
     WHERE device_id = :deviceId AND expires_at > :at AND guesses < :maxAttempts
     RETURNING pin_id AS id, user_id AS userId, digest, expires_at AS expiresAt`,
  )
  const handOut = db.prepare<[HandedOut & { deviceId: string }]>(
    `INSERT OR REPLACE INTO handed_out_pins (device_id, pin_id, user_id, digest, expires_at)
     SELECT :deviceId, :id, id, :digest, :expiresAt FROM users WHERE id = :userId`,
  )
  const forget = db.prepare<[number]>('DELETE FROM handed_out_pins WHERE expires_at <= ?')

  return {
    count({ deviceId, kind, address, at, maxAttempts, rule }) {
      return inTransaction(() => {
        const rows = kind === 'pin' ? guessHandedOut.all({ deviceId, at, maxAttempts }) : []
        const handedOut = rows.map((row) => pinOf(deviceId, row))
        return { counted: countAt(address, at, rule), handedOut }
      })
    },

    async noteNothing(at) {
      await inTransaction(() => noteNothing.run(NOBODY, at))
    },

    async isPaused(address, at) {
      return (pausedUntil.get(address) ?? 0) > at
    },

    async handOut({ id, deviceId, digest, expiresAt, grant: { userId } }) {
      await inTransaction(() => handOut.run({ id, deviceId, userId, digest, expiresAt }))
    },

    async forget(until) {
      await inTransaction(() => forget.run(until))
    },
  }

  function countAt(address: Buffer | null, at: number, { every, firstPauseMs }: PauseRule): GuessOutcome {
    const paused = address !== null && (pausedUntil.get(address) ?? 0) > at
    const counter = address && !paused ? address : NOBODY
    const wrong = countOne.get(counter) as number
    if (counter === NOBODY) return { as: paused ? 'paused' : 'nobody' }
    const pauses = wrong % every === 0
    if (pauses) pause.run(at + firstPauseMs * 2 ** (wrong / every - 1), counter)
    return { as: 'counted', pauses }
  }
}

function pinOf(deviceId: string, { id, userId, digest, expiresAt }: HandedOut): PendingPin {
  const grant = { kind: 'user' as const, userId, vouchedBy: null }
  return { id, deviceId, origin: 'vouched', kind: 'pin', address: null, digest, grant, expiresAt }
}
