/** Sessions: use extends a session up to a fixed end. An ended session is refused at once. */
import type { Caller } from '../../ports/accounts.ts'
import type { VaultRules } from '../../ports/ports.ts'
import type { NamedSession, Session } from '../../ports/sign-in.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { deviceNames, tokenHash } from '../crypto/secrets.ts'

const MINUTE_MS = 60_000
/** A list of at most this many sessions needs no second piece. */
const FEW = 50
/** No session has this id. */
const NO_SESSION = ''

/** A session as its user sees it. */
export interface ListedSession extends NamedSession {
  expiresAt: number
}

export interface Sessions {
  /** The session of a token; `null` if it opens none. Its `lastUsedAt` includes this use, which is written later. */
  authenticate(token: string | undefined): Promise<Session | null>
  /** True if a session is still valid. Running transfers check it again and again. */
  lives(session: Session): Promise<boolean>
  /** The valid sessions of this session's user, the last opened first. Devices other than the session's have labels. */
  list(session: Session): Promise<ListedSession[]>
  /** Ends a session of the owner at once. PINs that it asked for are void, too. */
  end(owner: string, sessionId: string, caller: Caller): Promise<void>
  /** Ends all other sessions of the user. */
  endOthers(session: Session, caller: Caller): Promise<void>
  /** Ends all sessions of the owner. Returns the number of sessions that had not expired. */
  endAll(owner: string, caller: Caller): Promise<number>
  /**
   * Deletes sessions and handed-out PINs that are over. An ended session is kept until no PIN that opened it can be
   * pending.
   */
  forgetEnded(): Promise<void>
}

/** The ends of sessions that are noted in one piece. */
const NOTED_AT_ONCE = 25

export function openSessions({
  ports: { sessions, pinLedger, clock },
  rules,
  keys,
  background,
  activity,
  turns,
}: Needs<'sessions' | 'pinLedger' | 'clock', 'rules' | 'keys' | 'background' | 'activity' | 'turns'>): Sessions {
  /** The minimum time between two writes of `lastUsedAt`, so also the maximum of its error. */
  const exactnessMs = Math.min(MINUTE_MS, rules.sessionTtlMs / 10)

  return {
    async authenticate(token) {
      const hash = token && tokenHash(token)
      const session = hash ? await sessions.findByTokenHash(hash) : null
      const now = clock()
      if (!session || endOf(session) <= now) return null
      if (now - session.lastUsedAt >= exactnessMs && !rules.readOnly) {
        background('recording the use of a session', sessions.touch(session.userId, session.id, now))
        return { ...session, lastUsedAt: now }
      }
      return session
    },

    async lives(session) {
      const found = await sessions.find(session.userId, session.id)
      return found !== null && endOf(found) > clock()
    },

    async list({ id, userId, deviceId, lastUsedAt }) {
      const now = clock()
      const nameOf = deviceNames(await keys.vaultKey(userId), deviceId)
      await turns.next(userId)
      const kept = await sessions.list(userId)
      // Labels and the response are a piece of their own.
      if (kept.length > FEW) await turns.next(userId)
      // The use by the present request may not be written yet.
      const all = kept.map((one) =>
        one.id === id ? { ...one, lastUsedAt: Math.max(one.lastUsedAt, lastUsedAt) } : one,
      )
      const open = all.map((one) => ({ ...one, deviceId: nameOf(one.deviceId), expiresAt: endOf(one) }))
      return open.filter(({ expiresAt }) => expiresAt > now)
    },

    async end(owner, sessionId, caller) {
      const ended = await sessions.end(owner, sessionId, clock())
      if (!ended || endOf(ended) <= clock()) throw problems.sessionNotFound()
      noteEnd(ended, caller)
    },

    async endOthers(session, caller) {
      const ended = await sessions.endOthers(session.userId, session.id, clock())
      await noteEnds(ended, caller)
    },

    async endAll(owner, caller) {
      const ended = await sessions.endOthers(owner, NO_SESSION, clock())
      const good = ended.filter((one) => endOf(one) > clock())
      await noteEnds(good, caller)
      return good.length
    },

    async forgetEnded() {
      const now = clock()
      await sessions.forget(now - rules.pinTtlMs, now - rules.sessionTtlMs, now - rules.sessionMaxMs)
      await pinLedger.forget(now)
    },
  }

  /** A user has a thousand sessions or more, and all notes of an iteration are written in one piece. */
  async function noteEnds(ended: Session[], caller: Caller): Promise<void> {
    for (const [n, one] of ended.entries()) {
      if (n > 0 && n % NOTED_AT_ONCE === 0) await turns.next(one.userId)
      noteEnd(one, caller)
    }
  }

  function noteEnd(ended: Session, caller: Caller): void {
    activity.note(ended.userId, 'session-revoked', caller, { sessionId: ended.id, deviceId: ended.deviceId })
  }

  function endOf(session: Session): number {
    return endOfSession(rules, session)
  }
}

/** When a session expires if it is not used again. */
export function endOfSession(
  { sessionTtlMs, sessionMaxMs }: Pick<VaultRules, 'sessionTtlMs' | 'sessionMaxMs'>,
  { createdAt, lastUsedAt }: Pick<Session, 'createdAt' | 'lastUsedAt'>,
): number {
  return Math.min(lastUsedAt + sessionTtlMs, createdAt + sessionMaxMs)
}
