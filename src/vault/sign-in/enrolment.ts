/** Who may have a PIN, and what it opens. A registration lives only in its pending PIN until that PIN is redeemed. */
import type { Caller, User } from '../../ports/accounts.ts'
import type {
  PauseRule,
  PendingPin,
  PinDeliveryMode,
  PinGrant,
  PinLetter,
  PinMessenger,
  Session,
} from '../../ports/sign-in.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { addressDigest, pinDigest, sameDigest } from '../crypto/secrets.ts'
import { mailAddress } from './mail-address.ts'

/**
 * Every fifth wrong guess in all pauses the PINs of an address, for a quarter of an hour the first time and twice as long
 * each time after: in ten years there are 95 guesses (`docs/security.md`).
 */
export const PAUSES: PauseRule = { every: 5, firstPauseMs: 15 * 60 * 1000 }

/**
 * So many users can have a pending PIN for one device. A further one is refused, so that nobody can take the place of whoever
 * was there before; the operator's command is not bound by it.
 */
const MOST_USERS = 16

/** No user has this id. */
export const NOBODY = 'nobody'

const HOUR_MS = 60 * 60 * 1000

export interface Applicant {
  name: string
  email: string
  deviceId: string
}

/** A PIN that its caller may read. */
export interface ShownPin {
  deviceId: string
  pin: string
  pinExpiresAt: number
}

/** A PIN that reaches its person some other way; it tells nothing about who has an account. */
export interface SentPin {
  deviceId: string
  pinDelivery: PinMessenger['mode']
  pinExpiresAt: number
}

export interface Enrolment {
  mode: PinDeliveryMode
  /**
   * Asks for a PIN for a new user. In `response` mode the PIN is answered, and the address of a user is refused
   * (`email-taken`); in any other the answer is the same for known and unknown addresses, given before the look-up.
   */
  register(applicant: Applicant, caller: Caller): Promise<(ShownPin & { userId: string }) | SentPin>
  /** A PIN for another device of a user who is signed in, or for the same one. It is void once that session is over. */
  pair(session: Session, deviceId: string, caller: Caller): Promise<ShownPin>
  /** A PIN for whoever owns the address. Not in `response` mode: there it is `unauthorized`. */
  remind(email: string, deviceId: string, caller: Caller): Promise<SentPin>
}

export function openEnrolment({
  ports: { users, sessions, pendingPins, pinLedger, delivery, mailCounter, clock, chance },
  rules,
  keys,
  background,
  aside,
  activity,
}: Needs<
  'users' | 'sessions' | 'pendingPins' | 'pinLedger' | 'delivery' | 'mailCounter' | 'clock' | 'chance',
  'rules' | 'keys' | 'background' | 'aside' | 'activity'
>): Enrolment {
  return {
    mode: delivery.mode,

    async register(applicant, caller) {
      const email = mailAddress(applicant.email)
      const grant = newcomer({ ...applicant, email })
      if (delivery.mode === 'response') {
        if (await users.findByEmail(email)) throw problems.emailTaken()
        const shown = await show(applicant.deviceId, 'open', grant)
        return { userId: grant.userId, ...shown }
      }
      return send(delivery, applicant.deviceId, email, grant, caller)
    },

    async pair({ userId, id: sessionId }, deviceId, caller) {
      const shown = await show(deviceId, 'vouched', { kind: 'user', userId, vouchedBy: sessionId })
      activity.note(userId, 'pin-issued', caller, { sessionId, deviceId })
      return shown
    },

    async remind(email, deviceId, caller) {
      if (delivery.mode === 'response') throw problems.unauthorized()
      return send(delivery, deviceId, mailAddress(email), { kind: 'nothing', userId: null }, caller)
    },
  }

  async function show(deviceId: string, origin: PendingPin['origin'], grant: PinGrant): Promise<ShownPin> {
    const pinExpiresAt = clock() + rules.pinTtlMs
    const pin = await issue({ deviceId, origin, kind: 'pin', address: null, grant, expiresAt: pinExpiresAt })
    return { deviceId, pin, pinExpiresAt }
  }

  /** Answers at once; then puts a pending PIN in any case, one that opens nothing where there is nobody to tell. */
  function send(
    messenger: PinMessenger,
    deviceId: string,
    email: string,
    otherwise: PinGrant,
    caller: Caller,
  ): SentPin {
    const at = clock()
    const expiresAt = at + rules.pinTtlMs
    // Where too many wait, this one is dropped: the answer must not tell.
    aside.take('sending a PIN', later)
    return { deviceId, pinDelivery: messenger.mode, pinExpiresAt: expiresAt }

    /** The same work whether there is somebody to tell or not. */
    async function later() {
      const user = await users.findByEmail(email)
      const grant = user ? grantTo(user, messenger) : otherwise
      const address = addressDigest(await keys.addressKey(), email)
      // The PIN that came before it, if any, stays good. Where nobody is written to as well: what became of it would tell.
      if (!(await mayWrite(address, user, deviceId))) return
      const kind = (await pinLedger.isPaused(address, clock())) ? 'code' : 'pin'
      const secret = await issue({ deviceId, origin: 'open', kind, address, grant, expiresAt })
      const addressee = grant.kind === 'nothing' ? null : email
      if (user && addressee) activity.note(user.id, 'pin-issued', caller, { deviceId, at })
      else activity.noteNothing()
      const letter: PinLetter = { email: addressee, secret, kind, expiresAt, requestId: caller.requestId }
      background('delivering a PIN', messenger.deliver(letter))
    }
  }

  /**
   * Whoever asks for PINs for somebody else's address must not fill a mailbox, nor keep its owner from getting one: a
   * device on which the owner has signed in before is counted by itself.
   */
  async function mayWrite(address: Buffer, user: User | null, deviceId: string): Promise<boolean> {
    const { perAccount, overall } = rules.mails
    const isKnown = await sessions.knowsDevice(user?.id ?? NOBODY, deviceId)
    const account = `${isKnown ? deviceId : 'any'} ${address.toString('base64')}`
    if (!(await mailCounter.take(account, perAccount, HOUR_MS))) return false
    if (isKnown || (await mailCounter.take('all', overall, HOUR_MS))) return true
    throw new Error('more PINs were asked for within the hour than mails-overall allows')
  }

  /**
   * Draws a PIN that no other pending PIN of the device equals, keeps it and answers it. Each try after the second means that
   * somebody else's PIN for the device came in between.
   */
  async function issue(pin: Omit<PendingPin, 'id' | 'digest'>): Promise<string> {
    const key = await keys.pinKey()
    const issued = { ...pin, id: chance.id() }
    let secret = chance[pin.kind]()
    for (let compared: string[] = []; ; ) {
      const digest = pinDigest(key, issued, secret)
      const put = await pendingPins.put({ ...issued, digest }, { compared, mostUsers: MOST_USERS })
      if (put.as === 'kept') return secret
      if (put.as === 'full')
        throw problems.tooManyRequests('users with a PIN for one device', Math.ceil((put.until - clock()) / 1000))
      while (put.others.some((other) => sameDigest(other.digest, pinDigest(key, other, secret)))) {
        secret = chance[pin.kind]()
      }
      compared = put.others.map(({ id }) => id)
    }
  }

  function newcomer({ name, email }: Applicant) {
    const userId = chance.id()
    return { kind: 'registration' as const, userId, name: name.trim(), email, confirmedBy: delivery.mode }
  }
}

/** A mail proves nothing about who owns an account whose address was never proven by mail. */
function grantTo({ id, confirmedBy }: User, { mode }: PinMessenger): PinGrant {
  if (mode === 'email' && confirmedBy !== 'email') return { kind: 'nothing', userId: id }
  return { kind: 'user', userId: id, vouchedBy: null }
}
