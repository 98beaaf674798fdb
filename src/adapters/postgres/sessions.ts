import type { NamedSession, Redemption, Session, SessionRepository } from '../../ports/sign-in.ts'
import { type Ask, type Database, jsonOf, STRANGERS } from './database.ts'

const SESSION = `id, user_id AS "userId", device_id AS "deviceId", created_at AS "createdAt",
  last_used_at AS "lastUsedAt"`
/** Sessions that are deleted in one transaction. */
const BATCH = 5000

/** Tokens whose user is remembered, about 2 MiB. */
const MOST_KNOWN = 10_000

type Answer = 'new-device' | 'known-device' | 'spent' | 'taken' | 'gone'

export function postgresSessions({ ask, askFirst, call }: Database): SessionRepository {
  /** The users of tokens, only for the turns of the statements: tokens that open nothing have one turn in all. */
  const userOf = new Map<string, string>()
  const one = async (how: Ask, condition: string, values: unknown[], key?: string): Promise<Session | null> => {
    const text = `SELECT ${SESSION} FROM sessions WHERE ${condition} AND ended_at IS NULL`
    return (await how<Session>(text, values, key))[0] ?? null
  }
  const endThose = (condition: string, values: unknown[]) =>
    ask<Session>(
      `UPDATE sessions SET ended_at = $1 WHERE user_id = $2 AND ${condition} AND ended_at IS NULL RETURNING ${SESSION}`,
      values,
    )

  return {
    async redeem(redemption) {
      const [row] = await call<{ answer: Answer }>('redeem_pin', valuesOf(redemption))
      const answer = row?.answer as Answer
      if (answer === 'new-device' || answer === 'known-device') return { newDevice: answer === 'new-device' }
      return answer
    },

    async findByTokenHash(tokenHash) {
      const hash = tokenHash.toString('latin1')
      const session = await one(askFirst, 'token_hash = $1', [tokenHash], userOf.get(hash) ?? STRANGERS)
      // The last used one is at the end.
      userOf.delete(hash)
      if (session) userOf.set(hash, session.userId)
      const [oldest] = userOf.keys()
      if (userOf.size > MOST_KNOWN && oldest !== undefined) userOf.delete(oldest)
      return session
    },
    find: (owner, sessionId) => one(ask, 'user_id = $1 AND id = $2', [owner, sessionId]),

    async count(limit) {
      const text = 'SELECT count(*) AS count FROM (SELECT FROM sessions WHERE ended_at IS NULL LIMIT $1) AS counted'
      return (await ask<{ count: number }>(text, [limit]))[0]?.count as number
    },

    async touch(owner, sessionId, at) {
      await ask(
        `UPDATE sessions SET last_used_at = $3
         WHERE user_id = $1 AND id = $2 AND ended_at IS NULL AND last_used_at < $3`,
        [owner, sessionId, at],
      )
    },

    list: (owner) =>
      ask<NamedSession>(
        `SELECT ${SESSION}, name AS "deviceName" FROM sessions LEFT JOIN devices USING (user_id, device_id)
         WHERE user_id = $1 AND ended_at IS NULL ORDER BY created_at DESC, id`,
        [owner],
      ),

    async knowsDevice(owner, deviceId) {
      const known = 'SELECT FROM devices WHERE user_id = $1 AND device_id = $2'
      return (await ask(known, [owner, deviceId])).length === 1
    },

    async end(owner, sessionId, at) {
      return (await endThose('id = $3', [at, owner, sessionId]))[0] ?? null
    },

    endOthers: (owner, sessionId, at) => endThose('id <> $3', [at, owner, sessionId]),

    async forget(endedBefore, lastUsedBefore, createdBefore) {
      const over = 'ended_at < $1 OR last_used_at < $2 OR created_at < $3'
      const forgetSome = `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ${over} LIMIT ${BATCH}) RETURNING 1`
      while ((await ask(forgetSome, [endedBefore, lastUsedBefore, createdBefore])).length === BATCH);
    },
  }
}

function valuesOf({ pinId, session, user, givenBack, event, bounds }: Redemption) {
  return {
    pin: pinId,
    new_id: session.id,
    device: session.deviceId,
    device_name: session.deviceName,
    new_token_hash: session.tokenHash,
    at: session.createdAt,
    owner: user.id,
    vouched_by: 'email' in user ? null : user.vouchedBy,
    newcomer: 'email' in user ? jsonOf(newcomerOf(user)) : null,
    guessed_at: givenBack?.address ?? null,
    every: givenBack?.every ?? 1,
    event: jsonOf(event),
    bounds: jsonOf(bounds),
  }
}

function newcomerOf({ slot: { kind, keyId, sealed }, ...user }: Extract<Redemption['user'], { email: string }>) {
  return { ...user, slotKind: kind, slotKeyId: keyId, slotSealed: sealed.toString('base64') }
}
