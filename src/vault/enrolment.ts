/** Who may have a PIN, and what it opens. A registration lives only in its pending PIN until that PIN is redeemed. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { PendingPin, PinGrant, PinMessenger, Ports, VaultRules } from '../ports.ts'
import { problems } from '../problems.ts'
import type { Background } from './background.ts'
import type { Keyring } from './keyring.ts'
import { pinDigest } from './secrets.ts'

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

export function enrolment(ports: Ports, rules: VaultRules, { pinKey }: Keyring, background: Background) {
  const { users, pendingPins, delivery, clock, chance } = ports

  return {
    mode: delivery.mode,

    /**
     * Asks for a PIN for a new user. In `response` mode the PIN is answered, and the address of a user is refused
     * (`email-taken`); in any other the answer is the same for known and unknown addresses, given before the look-up.
     */
    async register(applicant: Applicant, requestId: string): Promise<(ShownPin & { userId: string }) | SentPin> {
      const email = applicant.email.toLowerCase()
      const grant = newcomer({ ...applicant, email })
      if (delivery.mode === 'response') {
        if (await users.findByEmail(email)) throw problems.emailTaken()
        const { pin, pinExpiresAt } = await issue(applicant.deviceId, 'open', grant)
        return { userId: grant.userId, deviceId: applicant.deviceId, pin, pinExpiresAt }
      }
      return send(delivery, applicant.deviceId, email, grant, requestId)
    },

    /** A PIN for another device of a user who is signed in, or for the same one. */
    async pair(userId: string, deviceId: string): Promise<ShownPin> {
      const { pin, pinExpiresAt } = await issue(deviceId, 'vouched', { kind: 'user', userId })
      return { deviceId, pin, pinExpiresAt }
    },

    /** A PIN for whoever owns the address. Not in `response` mode: there it is `unauthorized`. */
    async remind(email: string, deviceId: string, requestId: string): Promise<SentPin> {
      if (delivery.mode === 'response') throw problems.unauthorized()
      return send(delivery, deviceId, email.toLowerCase(), { kind: 'nothing' }, requestId)
    },
  }

  /** Answers at once; then puts a pending PIN in any case, one that opens nothing where there is nobody to tell. */
  function send(messenger: PinMessenger, deviceId: string, email: string, otherwise: PinGrant, requestId: string) {
    const pinExpiresAt = clock() + rules.pinTtlMs
    background('sending a PIN', later())
    return { deviceId, pinDelivery: messenger.mode, pinExpiresAt }

    async function later() {
      // The look-up may be quick enough to delay the answer, and so to tell.
      await nextTurn()
      const user = await users.findByEmail(email)
      const grant: PinGrant = user ? { kind: 'user', userId: user.id } : otherwise
      const { pin } = await issue(deviceId, 'open', grant, pinExpiresAt)
      if (grant.kind !== 'nothing') await messenger.deliver({ email, pin, expiresAt: pinExpiresAt, requestId })
    }
  }

  async function issue(
    deviceId: string,
    origin: PendingPin['origin'],
    grant: PinGrant,
    expiresAt = clock() + rules.pinTtlMs,
  ) {
    const pin = chance.pin()
    await pendingPins.put({
      id: chance.id(),
      deviceId,
      origin,
      digest: pinDigest(pinKey, deviceId, pin),
      grant,
      expiresAt,
    })
    return { pin, pinExpiresAt: expiresAt }
  }

  function newcomer({ name, email }: Applicant) {
    const userId = chance.id()
    return { kind: 'registration' as const, userId, name: name.trim(), email, confirmedBy: delivery.mode }
  }
}
