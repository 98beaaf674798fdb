/** Signs users in: a PIN becomes a session. */
import type { Caller } from '../../ports/accounts.ts'
import type { PendingPin, PinGrant, Redemption } from '../../ports/sign-in.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import type { Keyring } from '../crypto/keyring.ts'
import { asIssued, kindOf, pinDigest, sameDigest, tokenHash } from '../crypto/secrets.ts'
import { deviceName } from './device-name.ts'
import { NOBODY, PAUSES } from './enrolment.ts'
import { endOfSession } from './sessions.ts'

/** The maximum of sessions and known devices of a user. */
const MOST_SESSIONS = 1000
const MOST_DEVICES = 1000

/** The result of a right PIN. The server knows the token only at this moment. */
export interface OpenedSession {
  sessionId: string
  token: string
  userId: string
  deviceId: string
  expiresAt: number
}

/** A PIN as a person enters it on a device, with the name of that device if there is one. */
export interface EnteredPin {
  deviceId: string
  pin: string
  deviceName?: string
}

export interface SignIn {
  /** Redeems a PIN. Every reason for a refusal is the same error: `invalid-pin`. */
  open(entered: EnteredPin, caller: Caller): Promise<OpenedSession>
}

export function openSignIn({
  ports: { users, sessions, pendingPins, pinLedger, clock, chance, audit },
  rules,
  keys,
  background,
  aside,
  activity,
  notices,
  observe,
}: Needs<
  'users' | 'sessions' | 'pendingPins' | 'pinLedger' | 'clock' | 'chance' | 'audit',
  'rules' | 'keys' | 'background' | 'aside' | 'activity' | 'notices' | 'observe'
>): SignIn {
  return {
    async open({ deviceId, pin, deviceName: typed }, caller) {
      const clockedAt = clock()
      const secret = asIssued(pin)
      const guess = await countGuess(deviceId, kindOf(secret))
      const key = await keys.pinKey()
      const fitting = guess.comparable.filter((candidate) =>
        sameDigest(candidate.digest, pinDigest(key, candidate, secret)),
      )
      const match = theOnly(fitting)
      const name = typed === undefined ? null : deviceName(typed)
      const opened = match && (await redeem(match, name, guess, caller))
      if (opened) {
        observe({ kind: 'pin', event: 'right' })
        return opened
      }
      observe({ kind: 'pin', event: guess.pending.length > 0 ? 'wrong' : 'none' })
      if (guess.pauses) observe({ kind: 'pin', event: 'paused' })
      const meantFor = fitting.length > 0 ? fitting : guess.pending
      const job = () => warnOwners({ ...guess, owners: ownersOf(meantFor) }, clockedAt, caller)
      // If no job is taken, note it now: a client that keeps the server busy must not prevent the warning of an owner.
      if (!aside.take('recording a wrong PIN', job)) background('recording a wrong PIN', job())
      throw problems.invalidPin()
    },
  }

  /**
   * Counts a guess before any comparison. Returns the PINs that it may be compared with. A guess at a code is counted
   * nowhere, so it is compared with codes only: otherwise a stranger could void PINs with it, or guess at PINs uncounted.
   */
  async function countGuess(deviceId: string, kind: PendingPin['kind']) {
    const maxAttempts = rules.pinMaxAttempts
    const pending = await pendingPins.guess(deviceId, kind, maxAttempts)
    const open = pending.find(({ origin }) => origin === 'open')
    const address = open?.kind === 'pin' ? open.address : null
    const guess = { deviceId, kind, address, at: clock(), maxAttempts, rule: PAUSES }
    const { counted, handedOut } = await pinLedger.count(guess)
    const asked = pending.filter(({ origin }) => origin === 'vouched')
    const { latest, replaced } = latestOfEach(asked, handedOut)
    // A replaced PIN is void for good, not only until the later PIN is used.
    for (const pin of replaced) if (asked.includes(pin)) await pendingPins.spend(pin)
    return {
      comparable: [...latest, ...(open && counted.as !== 'paused' ? [open] : [])],
      /** These, and the open one even if it is paused. */
      pending: [...latest, ...(open ? [open] : [])],
      handedOut,
      deviceId,
      givenBack: counted.as === 'counted' && address ? { address, every: PAUSES.every } : null,
      /** Set if this guess has paused the PINs of the address. `owner` is its user, or `null` if there is none. */
      pauses: counted.as === 'counted' && counted.pauses && open ? { owner: [...ownersOf([open])][0] ?? null } : null,
    }
  }

  async function redeem(
    pin: PendingPin & { grant: Opening },
    name: string | null,
    { givenBack, handedOut }: Pick<Redemption, 'givenBack'> & { handedOut: PendingPin[] },
    caller: Caller,
  ): Promise<OpenedSession | null> {
    const { deviceId, grant } = pin
    // A handed-out PIN is not in the pending store. For both kinds the database decides in the end.
    if (!handedOut.includes(pin) && !(await pendingPins.spend(pin))) return null
    const now = clock()
    const token = chance.token()
    const hash = tokenHash(token) as Buffer
    const session = { id: chance.id(), deviceId, deviceName: name, tokenHash: hash, createdAt: now }
    const user = userOf(grant, keys, now)
    const event = activity.eventOf('sign-in', caller, { sessionId: session.id, deviceId })
    const bounds = {
      sessions: MOST_SESSIONS,
      devices: MOST_DEVICES,
      newDevice: activity.keepOf('new-device', now),
      signIn: activity.keepOf('sign-in', now),
    }
    const answer = await sessions.redeem({ pinId: pin.id, session, user, givenBack, event, bounds })
    if (typeof answer === 'string') return null
    const about = { caller, user: user.id, session: session.id }
    if (grant.kind === 'registration') audit('account-created', about)
    audit(answer.newDevice ? 'new-device' : 'sign-in', about)
    if (answer.newDevice && grant.kind === 'user') background('warning of a new device', warnOfDevice(user.id, caller))
    const expiresAt = endOfSession(rules, { createdAt: now, lastUsedAt: now })
    return { sessionId: session.id, token, userId: user.id, deviceId, expiresAt }
  }

  async function warnOfDevice(userId: string, caller: Caller): Promise<void> {
    const user = await users.find(userId)
    if (user) notices.warn(user, 'new-device', caller)
  }

  /** The same work whether there is an owner or not. */
  async function warnOwners(
    { owners, pauses, deviceId }: { owners: Set<string>; pauses: { owner: string | null } | null; deviceId: string },
    at: number,
    caller: Caller,
  ): Promise<void> {
    for (const owner of owners) activity.note(owner, 'wrong-pin', caller, { deviceId, at })
    if (owners.size === 0) activity.noteNothing('wrong-pin', caller)
    if (!pauses) return
    const { owner } = pauses
    if (owner) activity.note(owner, 'locked', caller, { deviceId, at })
    else activity.noteNothing('locked', caller)
    notices.warn(await users.find(owner ?? NOBODY), 'locked', caller)
  }
}

type Opening = Exclude<PinGrant, { kind: 'nothing' }>

/**
 * The PIN that the digits open. Pending PINs of one server all differ, but a handed-out PIN may equal a PIN of another
 * user. Then it is unknown which user was meant, so the digits open nothing, and each user needs another PIN.
 */
function theOnly(fitting: PendingPin[]): (PendingPin & { grant: Opening }) | undefined {
  const opening = fitting.filter((pin): pin is PendingPin & { grant: Opening } => pin.grant.kind !== 'nothing')
  return new Set(opening.map(({ grant }) => grant.userId)).size === 1 ? opening[0] : undefined
}

/** For each user, a device has one PIN that a session or the operator asked for: the latest. */
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

/** The users of these PINs, also of those that open nothing. */
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
