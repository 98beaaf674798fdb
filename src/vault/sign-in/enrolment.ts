/** Issues PINs and decides what they open. A registration exists only in its pending PIN until that PIN is redeemed. */
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
 * Every fifth wrong guess pauses the PINs of the address. The first pause is 15 minutes, and each later one is twice as
 * long. So in ten years there are 95 guesses (`docs/security.md`).
 */
export const PAUSES: PauseRule = { every: 5, firstPauseMs: 15 * 60 * 1000 }

/**
 * The maximum of users with a pending PIN for one device. A further user is refused, so nobody can evict the PIN of an
 * earlier user. The operator's command has no such limit.
 */
const MOST_USERS = 16

/**
 * The maximum of later PINs from which a pending PIN of the same device differs. Each of them excludes a number: without a maximum,
 * a user who asks for very many learns the PIN that was mailed to another one.
 */
const MOST_COMPARED = 32

const BOUNDS = { mostUsers: MOST_USERS, mostCompared: MOST_COMPARED }

/** No user has this id. */
export const NOBODY = 'nobody'

const HOUR_MS = 60 * 60 * 1000

export interface Applicant {
  name: string
  email: string
  deviceId: string
}

/** A PIN that its caller may see. */
export interface ShownPin {
  deviceId: string
  pin: string
  pinExpiresAt: number
}

/** A PIN that is delivered. The result does not reveal who has an account. */
export interface SentPin {
  deviceId: string
  pinDelivery: PinMessenger['mode']
  pinExpiresAt: number
}

export interface Enrolment {
  mode: PinDeliveryMode
  /**
   * Asks for a PIN for a new user. In `response` mode the PIN is returned, and the address of an existing user is
   * refused (`email-taken`). In any other mode the result is the same for known and unknown addresses, because it is
   * returned before the address is looked up.
   */
  register(applicant: Applicant, caller: Caller): Promise<(ShownPin & { userId: string }) | SentPin>
  /** A PIN for another device of a signed-in user, or for the same one. It is void once the session is over. */
  pair(session: Session, deviceId: string, caller: Caller): Promise<ShownPin>
  /** A PIN for the owner of the address. `unauthorized` in `response` mode. */
  remind(email: string, deviceId: string, caller: Caller): Promise<SentPin>
}

export function openEnrolment({
  ports: { users, sessions, pendingPins, pinLedger, delivery, mailCounter, clock, chance },
  rules,
  keys,
  background,
  aside,
  activity,
  observe,
}: Needs<
  'users' | 'sessions' | 'pendingPins' | 'pinLedger' | 'delivery' | 'mailCounter' | 'clock' | 'chance',
  'rules' | 'keys' | 'background' | 'aside' | 'activity' | 'observe'
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

  /**
   * Returns at once. The job then stores a pending PIN for known and unknown addresses. It opens nothing if no user may
   * get it.
   */
  function send(
    messenger: PinMessenger,
    deviceId: string,
    email: string,
    otherwise: PinGrant,
    caller: Caller,
  ): SentPin {
    const at = clock()
    const expiresAt = at + rules.pinTtlMs
    // If too many jobs wait, this one is dropped, and the response must not reveal that.
    aside.take('sending a PIN', later)
    return { deviceId, pinDelivery: messenger.mode, pinExpiresAt: expiresAt }

    /** The same work whether there is a user or not. */
    async function later() {
      const user = await users.findByEmail(email)
      const grant = user ? grantTo(user, messenger) : otherwise
      const address = addressDigest(await keys.addressKey(), email)
      // If no mail may be sent, an earlier PIN stays valid. Mails to `null` are counted too: otherwise the state of the
      // earlier PIN would reveal whether there is a user.
      if (!(await mayWrite(address, user, deviceId))) return
      const kind = (await pinLedger.isPaused(address, clock())) ? 'code' : 'pin'
      const secret = await issue({ deviceId, origin: 'open', kind, address, grant, expiresAt })
      const addressee = grant.kind === 'nothing' ? null : email
      if (user && addressee) activity.note(user.id, 'pin-issued', caller, { deviceId, at })
      else activity.noteNothing('pin-issued', caller)
      const letter: PinLetter = { email: addressee, secret, kind, expiresAt, requestId: caller.requestId }
      background('delivering a PIN', messenger.deliver(letter))
    }
  }

  /**
   * Counts a mail. A stranger who asks for PINs for an address must not fill its mailbox, and must not keep its owner
   * from getting a PIN. So a device on which the owner has signed in before has its own count.
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
   * Draws a PIN that differs from every other pending PIN of the device, stores it and returns it. A try after the
   * second is needed only if another PIN was stored for the device in between.
   */
  async function issue(pin: Omit<PendingPin, 'id' | 'digest'>): Promise<string> {
    const key = await keys.pinKey()
    const issued = { ...pin, id: chance.id() }
    let secret = chance[pin.kind]()
    for (let compared: string[] = []; ; ) {
      const digest = pinDigest(key, issued, secret)
      const put = await pendingPins.put({ ...issued, digest }, { compared, ...BOUNDS })
      if (put.as === 'kept') {
        observe({ kind: 'pin', event: 'issued' })
        return secret
      }
      if (put.as === 'full')
        throw problems.tooManyRequests('PINs for one device', Math.ceil((put.until - clock()) / 1000))
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

/** A mail does not prove who owns an account whose address was never proven by mail. */
function grantTo({ id, confirmedBy }: User, { mode }: PinMessenger): PinGrant {
  if (mode === 'email' && confirmedBy !== 'email') return { kind: 'nothing', userId: id }
  return { kind: 'user', userId: id, vouchedBy: null }
}
