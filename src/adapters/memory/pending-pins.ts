import type { Clock } from '../../ports/ports.ts'
import type { PendingPin, PendingPinStore } from '../../ports/sign-in.ts'

interface Pending {
  pin: PendingPin
  guesses: number
  /** The PINs that were stored for the device after this one, and so differ from it. */
  compared: number
}

/** The maximum of PINs that were requested without a session. Above it the oldest is evicted. */
const MOST_OPEN = 10_000
/** The maximum of PINs that the sessions of one user requested. Above it the user's oldest is evicted. */
const MOST_OF_USER = 100
/** The maximum of PINs that sessions requested in all. Above it the user, or another one with several of them, loses the oldest. */
const MOST_VOUCHED = 10_000

/**
 * Keeps pending PINs in the memory of the process. A restart loses them, and users request new ones. The memory is limited,
 * about 1 KiB for each PIN. PINs requested without a session can evict only other PINs requested without a session.
 */
export function memoryPendingPins(clock: Clock): PendingPinStore {
  // Maps keep the order of insertion, which is close to the order of expiry. So expired PINs come first.
  const open = new Map<string, Pending>()
  const vouched = new Map<string, Pending>()
  /** The users with a pending PIN by device, and the devices by user. */
  const usersOf = new Map<string, Set<string>>()
  const devicesOf = new Map<string, Set<string>>()
  /** The users with more than one pending PIN that a session requested. */
  const withSeveral = new Set<string>()

  return {
    async put(pin, { compared, mostUsers, mostCompared }) {
      removeExpired()
      const others = pinsOf(pin.deviceId).filter((other) => keyOf(other.pin) !== keyOf(pin))
      const users = others.filter((other) => other.pin.origin === 'vouched')
      const isFull = pin.origin === 'vouched' && users.length >= mostUsers
      const blocking = isFull ? users : others.filter((other) => other.compared >= mostCompared)
      if (blocking.length > 0) return { as: 'full', until: Math.min(...blocking.map((other) => other.pin.expiresAt)) }
      if (!others.every((other) => compared.includes(other.pin.id))) {
        return { as: 'unlike', others: others.map((other) => other.pin) }
      }
      for (const other of others) other.compared += 1
      keep(pin)
      return { as: 'kept' }
    },

    async guess(deviceId, kind, maxAttempts) {
      const seen: PendingPin[] = []
      for (const entry of pinsOf(deviceId)) {
        if (entry.pin.kind !== kind || entry.pin.expiresAt <= clock()) continue
        entry.guesses += 1
        if (kind === 'code' || entry.guesses <= maxAttempts) seen.push(entry.pin)
      }
      return seen
    },

    async spend(pin) {
      return pins(pin).get(keyOf(pin))?.pin.id === pin.id && drop(pin)
    },
  }

  function pins({ origin }: PendingPin) {
    return origin === 'open' ? open : vouched
  }

  function pinsOf(deviceId: string): Pending[] {
    const keys = [...(usersOf.get(deviceId) ?? [])].map((userId) => `${userId} ${deviceId}`)
    return [...keys.map((key) => vouched.get(key)), open.get(deviceId)].filter((entry) => entry !== undefined)
  }

  function keep(pin: PendingPin) {
    drop(pin)
    pins(pin).set(keyOf(pin), { pin, guesses: 0, compared: 0 })
    if (pin.origin === 'open') {
      if (open.size > MOST_OPEN) dropFirst(open)
      return
    }
    const userId = userOf(pin)
    if (!usersOf.has(pin.deviceId)) usersOf.set(pin.deviceId, new Set())
    if (!devicesOf.has(userId)) devicesOf.set(userId, new Set())
    usersOf.get(pin.deviceId)?.add(userId)
    const devices = devicesOf.get(userId)?.add(pin.deviceId) as Set<string>
    if (devices.size > 1) withSeveral.add(userId)
    if (devices.size > MOST_OF_USER) dropFirstOf(userId)
    if (vouched.size > MOST_VOUCHED) makeRoom(userId)
  }

  /** Somebody with many accounts must not evict the only PIN of another user. */
  function makeRoom(userId: string) {
    const [several] = withSeveral.has(userId) ? [userId] : withSeveral
    if (several === undefined) dropFirst(vouched)
    else dropFirstOf(several)
  }

  function dropFirstOf(userId: string) {
    const [oldest] = devicesOf.get(userId) ?? []
    drop(vouched.get(`${userId} ${oldest}`)?.pin as PendingPin)
  }

  function drop(pin: PendingPin): boolean {
    if (pin.origin === 'vouched') {
      removeFrom(usersOf, pin.deviceId, userOf(pin))
      removeFrom(devicesOf, userOf(pin), pin.deviceId)
      if ((devicesOf.get(userOf(pin))?.size ?? 0) < 2) withSeveral.delete(userOf(pin))
    }
    return pins(pin).delete(keyOf(pin))
  }

  function dropFirst(some: Map<string, Pending>) {
    for (const { pin } of some.values()) return drop(pin)
  }

  function removeExpired() {
    for (const some of [open, vouched]) {
      for (const { pin } of some.values()) {
        if (pin.expiresAt > clock()) break
        drop(pin)
      }
    }
  }
}

function keyOf(pin: PendingPin): string {
  return pin.origin === 'open' ? pin.deviceId : `${userOf(pin)} ${pin.deviceId}`
}

function userOf({ grant }: PendingPin): string {
  return grant.userId as string
}

function removeFrom(sets: Map<string, Set<string>>, key: string, value: string) {
  const set = sets.get(key)
  set?.delete(value)
  if (set?.size === 0) sets.delete(key)
}
