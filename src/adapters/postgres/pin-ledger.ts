import type { PendingPin, PinLedger } from '../../ports/sign-in.ts'
import { type Ask, type Database, STRANGERS } from './database.ts'

interface Guess {
  counted: 'nobody' | 'paused' | 'counted'
  pauses: boolean
  handed_out: { id: string; userId: string; digest: string; expiresAt: number }[]
}

/** Their own turn: they run after the response, so a client can cause them faster than they are done, and guesses must not wait for them. */
const NOBODY = 'nobody'

export function postgresPinLedger({ ask, askFirst, call }: Database): PinLedger {
  const guessing: Ask = (text, values) => askFirst(text, values, STRANGERS)

  return {
    async count({ deviceId, kind, address, at, maxAttempts, rule }) {
      const guessed = {
        device: deviceId,
        guessed_at: address,
        at,
        // With 0 no PIN has guesses left, so none counts this one.
        most: kind === 'pin' ? maxAttempts : 0,
        every: rule.every,
        first_pause: rule.firstPauseMs,
      }
      const [row] = await call<Guess>('count_guess', guessed, guessing)
      const { counted: as, pauses, handed_out } = row as Guess
      const handedOut = handed_out.map((pin) => pinOf(deviceId, pin))
      return { counted: as === 'counted' ? { as, pauses } : { as }, handedOut }
    },

    async noteNothing(at) {
      // Spread over rows that belong to no address, as in `count_guess`.
      await ask(
        `INSERT INTO guesses (address, wrong, paused_until)
         VALUES (set_byte('\\x00', 0, floor(random() * 256)::integer), 0, $1)
         ON CONFLICT (address) DO UPDATE SET paused_until = excluded.paused_until`,
        [at],
        NOBODY,
      )
    },

    async isPaused(address, at) {
      const paused = 'SELECT FROM guesses WHERE address = $1 AND paused_until > $2'
      return (await ask(paused, [address, at], STRANGERS)).length === 1
    },

    async handOut({ id, deviceId, digest, expiresAt, grant: { userId } }) {
      await ask(
        `INSERT INTO handed_out_pins (device_id, pin_id, user_id, digest, expires_at)
         SELECT $1, $2, id, $4, $5 FROM users WHERE id = $3
         ON CONFLICT (device_id, user_id) DO UPDATE SET pin_id = excluded.pin_id, digest = excluded.digest,
           expires_at = excluded.expires_at, guesses = 0`,
        [deviceId, id, userId, digest, expiresAt],
        userId,
      )
    },

    async forget(until) {
      await ask('DELETE FROM handed_out_pins WHERE expires_at <= $1', [until])
    },
  }
}

function pinOf(deviceId: string, { id, userId, digest, expiresAt }: Guess['handed_out'][number]): PendingPin {
  const grant = { kind: 'user' as const, userId, vouchedBy: null }
  const bytes = Buffer.from(digest, 'base64')
  return { id, deviceId, origin: 'vouched', kind: 'pin', address: null, digest: bytes, grant, expiresAt }
}
