/** PIN to session, and a session's life: it slides with use up to a fixed end, and is over the moment it is ended. */
import type { PendingPin, Ports, Redemption, Session, VaultRules } from '../ports.ts'
import { problems } from '../problems.ts'
import type { Background } from './background.ts'
import type { Keyring } from './keyring.ts'
import { pinDigest, sameDigest, tokenHash } from './secrets.ts'

const MINUTE_MS = 60_000

/** The answer to a right PIN: the only moment at which the token is known to the server. */
export interface OpenedSession {
  sessionId: string
  token: string
  userId: string
  deviceId: string
  expiresAt: number
}

export function sessions(ports: Ports, rules: VaultRules, keys: Keyring, background: Background) {
  const { sessions, pendingPins, clock, chance } = ports
  /** How far `lastUsedAt` may lag behind: it is written no more often than this. */
  const exactnessMs = Math.min(MINUTE_MS, rules.sessionTtlMs / 10)

  return {
    /** Redeems a PIN. Whatever is wrong with it, the answer is one and the same: `invalid-pin`. */
    async open(deviceId: string, pin: string): Promise<OpenedSession> {
      const digest = pinDigest(keys.pinKey, deviceId, pin)
      const candidates = await pendingPins.guess(deviceId, rules.pinMaxAttempts)
      const match = candidates.find((candidate) => sameDigest(candidate.digest, digest))
      if (!match || match.grant.kind === 'nothing') throw problems.invalidPin()
      if (!(await pendingPins.spend(match))) throw problems.invalidPin()

      const now = clock()
      const token = chance.token()
      const session = { id: chance.id(), deviceId, tokenHash: tokenHash(token) as Buffer, createdAt: now }
      const user = userOf(match.grant, keys, now)
      if ((await sessions.redeem({ pinId: match.id, session, user })) !== 'opened') throw problems.invalidPin()
      const expiresAt = endOf({ createdAt: now, lastUsedAt: now })
      return { sessionId: session.id, token, userId: user.id, deviceId, expiresAt }
    },

    /** The session of an `Authorization` header (RFC 6750, section 2.1), or `unauthorized`. */
    async authenticate(authorization: string | undefined): Promise<Session> {
      const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      const hash = token && tokenHash(token)
      const session = hash ? await sessions.findByTokenHash(hash) : null
      const now = clock()
      if (!session || endOf(session) <= now) throw problems.unauthorized()
      if (now - session.lastUsedAt >= exactnessMs) {
        background('noting the use of a session', sessions.touch(session.userId, session.id, now))
      }
      return session
    },

    /** Whether a session that was seen before is still good: running transfers ask again. */
    async lives(session: Session): Promise<boolean> {
      const found = await sessions.find(session.userId, session.id)
      return found !== null && endOf(found) > clock()
    },

    /** Signs the session out. In force at once. */
    async end(session: Session): Promise<void> {
      await sessions.end(session.userId, session.id, clock())
    },

    /** Forgets sessions that are over. One that was ended is kept until no PIN that opened it can be pending. */
    async forgetEnded(): Promise<void> {
      const now = clock()
      await sessions.forget(now - rules.pinTtlMs, now - rules.sessionTtlMs, now - rules.sessionMaxMs)
    },
  }

  function endOf({ createdAt, lastUsedAt }: Pick<Session, 'createdAt' | 'lastUsedAt'>): number {
    return Math.min(lastUsedAt + rules.sessionTtlMs, createdAt + rules.sessionMaxMs)
  }
}

function userOf(
  grant: Exclude<PendingPin['grant'], { kind: 'nothing' }>,
  keys: Keyring,
  now: number,
): Redemption['user'] {
  if (grant.kind === 'user') return { id: grant.userId }
  const { userId: id, name, email, confirmedBy } = grant
  return { id, name, email, confirmedBy, createdAt: now, slot: keys.newSlot(id) }
}
