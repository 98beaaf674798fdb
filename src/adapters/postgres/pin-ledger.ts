import type { PendingPin, PinLedger } from '../../ports.ts'
import type { Database } from './database.ts'

interface Guess {
  counted: 'nobody' | 'paused' | 'counted'
  pauses: boolean
  pin_id: string | null
  user_id: string
  digest: Buffer
  expires_at: number
}

export function postgresPinLedger({ ask, askFirst, call }: Database): PinLedger {
  return {
    async count({ deviceId, address, at, maxAttempts, rule }) {
      const guessed = {
        device: deviceId,
        guessed_at: address,
        at,
        most: maxAttempts,
        every: rule.every,
        first_pause: rule.firstPauseMs,
      }
      const [row] = await call<Guess>('count_guess', guessed, askFirst)
      const guess = row as Guess
      const { counted: as, pauses } = guess
      return { counted: as === 'counted' ? { as, pauses } : { as }, handedOut: pinOf(deviceId, guess) }
    },

    async isPaused(address, at) {
      return (await ask('SELECT FROM guesses WHERE address = $1 AND paused_until > $2', [address, at])).length === 1
    },

    async handOut({ id, deviceId, digest, expiresAt, grant: { userId } }) {
      await ask(
        `INSERT INTO handed_out_pins (device_id, pin_id, user_id, digest, expires_at)
         SELECT $1, $2, id, $4, $5 FROM users WHERE id = $3
         ON CONFLICT (device_id) DO UPDATE SET pin_id = excluded.pin_id, user_id = excluded.user_id,
           digest = excluded.digest, expires_at = excluded.expires_at, guesses = 0`,
        [deviceId, id, userId, digest, expiresAt],
      )
    },

    async forget(until) {
      await ask('DELETE FROM handed_out_pins WHERE expires_at <= $1', [until])
    },
  }
}

function pinOf(deviceId: string, { pin_id: id, user_id: userId, digest, expires_at: expiresAt }: Guess) {
  if (id === null) return null
  const grant = { kind: 'user' as const, userId, vouchedBy: null }
  return {
    id,
    deviceId,
    origin: 'vouched',
    kind: 'pin',
    address: null,
    digest,
    grant,
    expiresAt,
  } satisfies PendingPin
}
