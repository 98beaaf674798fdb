/** PIN to session, and a session's life: it slides with use up to a fixed end, and is over the moment it is ended. */
import type { Caller } from '../../ports/accounts.ts'
import type { Ports, VaultRules } from '../../ports/ports.ts'
import type { PendingPin, PinGrant, Redemption, Session } from '../../ports/sign-in.ts'
import { problems } from '../../problems.ts'
import type { activity } from '../accounts/activity.ts'
import type { Aside } from '../aside.ts'
import type { Background } from '../background.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { asIssued, deviceNames, kindOf, pinDigest, sameDigest, tokenHash } from '../crypto/secrets.ts'
import { NOBODY, PAUSES } from './enrolment.ts'

const MINUTE_MS = 60_000
/** A user's sessions that are not over, and the devices that are known. */
const MOST_SESSIONS = 1000
const MOST_DEVICES = 1000
/** No session has this id. */
const NO_SESSION = ''

/** The answer to a right PIN: the only moment at which the token is known to the server. */
export interface OpenedSession {
  sessionId: string
  token: string
  userId: string
  deviceId: string
  expiresAt: number
}

/** A session that its user may see. */
export interface ListedSession extends Session {
  expiresAt: number
}

export function sessions(
  ports: Ports,
  rules: VaultRules,
  keys: Keyring,
  background: Background,
  aside: Aside,
  { note, noteNothing, eventOf, keepOf, warn }: ReturnType<typeof activity>,
) {
  const { users, sessions, pendingPins, pinLedger, clock, chance } = ports
  /** How far `lastUsedAt` may lag behind: it is written no more often than this. */
  const exactnessMs = Math.min(MINUTE_MS, rules.sessionTtlMs / 10)

  return {
    /** Redeems a PIN. Whatever is wrong with it, the answer is one and the same: `invalid-pin`. */
    async open(deviceId: string, pin: string, caller: Caller): Promise<OpenedSession> {
      const clockedAt = clock()
      const guess = await counted(deviceId)
      const key = await keys.pinKey()
      const secret = asIssued(pin)
      const fitting = guess.comparable.filter((candidate) =>
        sameDigest(candidate.digest, pinDigest(key, candidate, secret)),
      )
      const match = theOnly(fitting)
      const opened = match && (await redeem(match, match.grant, guess, caller))
      if (opened) return opened
      const meantFor = fitting.length > 0 ? fitting : guess.pending.filter(({ kind }) => kind === kindOf(secret))
      const tell = () => tellOwners({ ...guess, owners: ownersOf(meantFor) }, clockedAt, caller)
      // Nobody can keep an owner from hearing of it by keeping the server busy.
      if (!aside.take('noting a wrong PIN', tell)) background('noting a wrong PIN', tell())
      throw problems.invalidPin()
    },

    /**
     * The session of an `Authorization` header (RFC 6750, section 2.1), or `unauthorized`. Its `lastUsedAt` has this use, which
     * is written later.
     */
    async authenticate(authorization: string | undefined): Promise<Session> {
      const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
      const hash = token && tokenHash(token)
      const session = hash ? await sessions.findByTokenHash(hash) : null
      const now = clock()
      if (!session || endOf(session) <= now) throw problems.unauthorized()
      if (now - session.lastUsedAt >= exactnessMs && !rules.readOnly) {
        background('noting the use of a session', sessions.touch(session.userId, session.id, now))
        return { ...session, lastUsedAt: now }
      }
      return session
    },

    /** Whether a session that was seen before is still good: running transfers ask again. */
    async lives(session: Session): Promise<boolean> {
      const found = await sessions.find(session.userId, session.id)
      return found !== null && endOf(found) > clock()
    },

    /** The sessions of this one's user that are good, the last opened first. Other devices than its own have labels. */
    async list({ id, userId, deviceId, lastUsedAt }: Session): Promise<ListedSession[]> {
      const now = clock()
      const nameOf = deviceNames(await keys.vaultKey(userId), deviceId)
      const kept = await sessions.list(userId)
      // The use by the request that asks may not be written yet.
      const all = kept.map((one) =>
        one.id === id ? { ...one, lastUsedAt: Math.max(one.lastUsedAt, lastUsedAt) } : one,
      )
      const open = all.map((one) => ({ ...one, deviceId: nameOf(one.deviceId), expiresAt: endOf(one) }))
      return open.filter(({ expiresAt }) => expiresAt > now)
    },

    /** Signs a session of the owner out. In force at once, also for PINs that it asked for. */
    async end(owner: string, sessionId: string, caller: Caller): Promise<void> {
      const ended = await sessions.end(owner, sessionId, clock())
      if (!ended || endOf(ended) <= clock()) throw problems.sessionNotFound()
      noteEnd(ended, caller)
    },

    /** Signs all others of its user out. */
    async endOthers(session: Session, caller: Caller): Promise<void> {
      const ended = await sessions.endOthers(session.userId, session.id, clock())
      for (const one of ended) noteEnd(one, caller)
    },

    /** Signs the owner out everywhere. Answers how many sessions were good. */
    async endAll(owner: string, caller: Caller): Promise<number> {
      const ended = await sessions.endOthers(owner, NO_SESSION, clock())
      const good = ended.filter((one) => endOf(one) > clock())
      for (const one of good) noteEnd(one, caller)
      return good.length
    },

    /** Forgets sessions and handed-out PINs that are over. One that was ended is kept until no PIN that opened it can be pending. */
    async forgetEnded(): Promise<void> {
      const now = clock()
      await sessions.forget(now - rules.pinTtlMs, now - rules.sessionTtlMs, now - rules.sessionMaxMs)
      await pinLedger.forget(now)
    },
  }

  /** Counts a guess before anything is compared, and answers what it may be compared with. */
  async function counted(deviceId: string) {
    const maxAttempts = rules.pinMaxAttempts
    const pending = await pendingPins.guess(deviceId, maxAttempts)
    const open = pending.find(({ origin }) => origin === 'open')
    const address = open?.kind === 'pin' ? open.address : null
    const guess = { deviceId, address, at: clock(), maxAttempts, rule: PAUSES }
    const { counted, handedOut } = await pinLedger.count(guess)
    const asked = pending.filter(({ origin }) => origin === 'vouched')
    const { latest, replaced } = latestOfEach(asked, handedOut)
    // Replaced for good, and not until the PIN that came after it is used.
    for (const pin of replaced) if (asked.includes(pin)) await pendingPins.spend(pin)
    return {
      comparable: [...latest, ...(open && counted.as !== 'paused' ? [open] : [])],
      /** These, and the one that is paused. */
      pending: [...latest, ...(open ? [open] : [])],
      handedOut,
      deviceId,
      givenBack: counted.as === 'counted' && address ? { address, every: PAUSES.every } : null,
      /** The owner of the address whose PINs are paused from now on, if it has one. */
      pauses: counted.as === 'counted' && counted.pauses && open ? { owner: [...ownersOf([open])][0] ?? null } : null,
    }
  }

  async function redeem(
    pin: PendingPin,
    grant: Opening,
    { givenBack, handedOut }: Pick<Redemption, 'givenBack'> & { handedOut: PendingPin[] },
    caller: Caller,
  ): Promise<OpenedSession | null> {
    const { deviceId } = pin
    // The store has nothing of what was handed out; the database has the last word on both.
    if (!handedOut.includes(pin) && !(await pendingPins.spend(pin))) return null
    const now = clock()
    const token = chance.token()
    const session = { id: chance.id(), deviceId, tokenHash: tokenHash(token) as Buffer, createdAt: now }
    const user = userOf(grant, keys, now)
    const event = eventOf('sign-in', caller, { sessionId: session.id, deviceId })
    const bounds = {
      sessions: MOST_SESSIONS,
      devices: MOST_DEVICES,
      newDevice: keepOf('new-device', now),
      signIn: keepOf('sign-in', now),
    }
    const answer = await sessions.redeem({ pinId: pin.id, session, user, givenBack, event, bounds })
    if (typeof answer === 'string') return null
    if (answer.newDevice && grant.kind === 'user') background('telling of a new device', tellOfDevice(user.id, caller))
    const expiresAt = endOf({ createdAt: now, lastUsedAt: now })
    return { sessionId: session.id, token, userId: user.id, deviceId, expiresAt }
  }

  async function tellOfDevice(userId: string, caller: Caller): Promise<void> {
    const user = await users.find(userId)
    if (user) warn(user, 'new-device', caller)
  }

  /** The same work whether there is anybody to tell or not. */
  async function tellOwners(
    { owners, pauses, deviceId }: { owners: Set<string>; pauses: { owner: string | null } | null; deviceId: string },
    at: number,
    caller: Caller,
  ): Promise<void> {
    for (const owner of owners) note(owner, 'wrong-pin', caller, { deviceId, at })
    if (owners.size === 0) noteNothing()
    if (!pauses) return
    const { owner } = pauses
    if (owner) note(owner, 'locked', caller, { deviceId, at })
    else noteNothing()
    warn(await users.find(owner ?? NOBODY), 'locked', caller)
  }

  function noteEnd(ended: Session, caller: Caller): void {
    note(ended.userId, 'session-revoked', caller, { sessionId: ended.id, deviceId: ended.deviceId })
  }

  function endOf({ createdAt, lastUsedAt }: Pick<Session, 'createdAt' | 'lastUsedAt'>): number {
    return Math.min(lastUsedAt + rules.sessionTtlMs, createdAt + rules.sessionMaxMs)
  }
}

type Opening = Exclude<PinGrant, { kind: 'nothing' }>

/**
 * What the digits open. PINs that one server keeps are all different; what the operator hands out may equal one of another
 * user. Then it is not to be told whose was meant, so it opens nothing: each asks for another.
 */
function theOnly(fitting: PendingPin[]): (PendingPin & { grant: Opening }) | undefined {
  const opening = fitting.filter((pin): pin is PendingPin & { grant: Opening } => pin.grant.kind !== 'nothing')
  return new Set(opening.map(({ grant }) => grant.userId)).size === 1 ? opening[0] : undefined
}

/** For each user a device has one PIN that a session or the operator asked for: the last. */
function latestOfEach(asked: PendingPin[], handedOut: PendingPin[]) {
  const ofUser = new Map<string | null, PendingPin>()
  const replaced: PendingPin[] = []
  for (const pin of [...asked, ...handedOut]) {
    const before = ofUser.get(pin.grant.userId)
    const isLater = !before || pin.expiresAt >= before.expiresAt
    if (isLater) ofUser.set(pin.grant.userId, pin)
    if (before) replaced.push(isLater ? before : pin)
  }
  return { latest: [...ofUser.values()], replaced }
}

/** The users that these PINs open, or that would be told of them. */
function ownersOf(pins: PendingPin[]): Set<string> {
  return new Set(
    pins.flatMap(({ grant }) => (grant.kind === 'registration' || grant.userId === null ? [] : [grant.userId])),
  )
}

function userOf(grant: Opening, keys: Keyring, now: number): Redemption['user'] {
  if (grant.kind === 'user') return { id: grant.userId, vouchedBy: grant.vouchedBy }
  const { userId: id, name, email, confirmedBy } = grant
  return { id, name, email, confirmedBy, createdAt: now, slot: keys.newSlot(id) }
}
