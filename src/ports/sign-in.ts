/** From a PIN to a session. */
import type { ActivityEvent, Keep, KeySlot, User } from './accounts.ts'

/** How a PIN reaches its user: in the response, in the server's log, or by mail. */
export type PinDeliveryMode = 'response' | 'console' | 'email'

export interface Session {
  id: string
  userId: string
  deviceId: string
  createdAt: number
  lastUsedAt: number
}

export interface NamedSession extends Session {
  /** `null` if the device has no name. */
  deviceName: string | null
}

/** The effects of a redeemed PIN: a session, for a new user or an existing one. */
export interface Redemption {
  pinId: string
  /** `deviceName`: the new name of the device; with `null` it keeps the name that it has. */
  session: { id: string; deviceId: string; deviceName: string | null; tokenHash: Buffer; createdAt: number }
  /** A new user comes with the first slot of the vault key. `vouchedBy`: the session that asked for the PIN, if one did. */
  user: (User & { slot: KeySlot }) | { id: string; vouchedBy: string | null }
  /**
   * The counter of the guess that was right, and its rule. The guess was counted as wrong, so the count is undone.
   * `null` if it was not counted.
   */
  givenBack: { address: Buffer; every: number } | null
  /** The sign-in for the user's activity list. The adapter makes it a `new-device` if it is one. */
  event: ActivityEvent
  bounds: {
    /** The maximum of sessions that were not ended. One more ends the session that was unused for the longest time. */
    sessions: number
    /** The maximum of known devices. One more evicts a device without a session: the one with the oldest sign-in. */
    devices: number
    newDevice: Keep
    signIn: Keep
  }
}

/** The owner is the first argument if one is known. So another user's session is "not found" by construction. */
export interface SessionRepository {
  /**
   * One transaction: takes the address for a new user, ends the user's older session on that device, names the device,
   * opens the new session, undoes the count of the guess, adds the sign-in to the activity list. Nothing has changed unless the
   * session was opened. `newDevice`: the user had not signed in on the device before. `spent`: this PIN id has opened a
   * session before. `taken`: the new user's address belongs to a user. `gone`: the existing user does not exist any
   * more, or the session that asked for the PIN is over.
   */
  redeem(redemption: Redemption): Promise<{ newDevice: boolean } | 'spent' | 'taken' | 'gone'>
  /** The session, if it was not ended; otherwise `null`. It may have expired: the caller checks its age. */
  findByTokenHash(tokenHash: Buffer): Promise<Session | null>
  find(owner: string, sessionId: string): Promise<Session | null>
  /** The number of sessions of all users that were not ended, at most `limit`. Some of them may have expired. */
  count(limit: number): Promise<number>
  /** Never moves `lastUsedAt` backwards. */
  touch(owner: string, sessionId: string, at: number): Promise<void>
  /** The sessions that were not ended, the last opened first. Some may have expired: the caller checks their age. */
  list(owner: string): Promise<NamedSession[]>
  /** True if the user has ever signed in on the device. */
  knowsDevice(owner: string, deviceId: string): Promise<boolean>
  /** Ends a session, with effect for every later `find`. Returns the session as it was; `null` if there was none to end. */
  end(owner: string, sessionId: string, at: number): Promise<Session | null>
  /** Ends all other sessions of the owner, and returns them. */
  endOthers(owner: string, sessionId: string, at: number): Promise<Session[]>
  /**
   * Deletes sessions that ended before the first time, were last used before the second, or were opened before the
   * third.
   */
  forget(endedBefore: number, lastUsedBefore: number, createdBefore: number): Promise<void>
}

/** What a PIN opens: the registration of a new user, the vault of an existing user, or nothing. */
export type PinGrant =
  | { kind: 'registration'; userId: string; name: string; email: string; confirmedBy: PinDeliveryMode }
  /** `vouchedBy`: the session that asked for the PIN, if one did. It must not be over. */
  | { kind: 'user'; userId: string; vouchedBy: string | null }
  /** `userId`: the user of the given address, if there is one, to whom the PIN may not be delivered. */
  | { kind: 'nothing'; userId: string | null }

export interface PendingPin {
  id: string
  deviceId: string
  /**
   * `open`: a request without a session asked for it; a device has one. `vouched`: a session of the user, or the
   * operator, asked for it; a device has one for each user. None of them replaces another.
   */
  origin: 'open' | 'vouched'
  /** `code`: the long secret that is delivered instead of a PIN while PINs of the address are paused. */
  kind: 'pin' | 'code'
  /**
   * The key of the counter of guesses at this PIN: a keyed hash of the address. `null` for a PIN that was shown to its
   * caller.
   */
  address: Buffer | null
  /** HMAC-SHA-256 of the PIN and of all the other fields. */
  digest: Buffer
  grant: PinGrant
  expiresAt: number
}

/**
 * The result of storing a PIN. `unlike`: the device has another pending PIN that is not in `compared`; `others` is the
 * present list. `full`: the maximum of users have a pending PIN for the device, so it accepts none of a further user, or another
 * pending PIN of the device was compared with the maximum of PINs. The first of these PINs expires at `until`.
 */
export type Put = { as: 'kept' } | { as: 'unlike'; others: PendingPin[] } | { as: 'full'; until: number }

/** Pending PINs. The store may lose everything at a restart. It never returns a PIN that is expired, used up or spent. */
export interface PendingPinStore {
  /**
   * Stores a PIN, in one step. Replaces the device's earlier PIN of the same origin and, if that is `vouched`, of the
   * same user. Stores it only if the ids of all other pending PINs of the device are in `compared`, so that no two of
   * them have the same digits.
   *
   * A caller who is shown the new PIN learns that the others are not this number. So each of the others was compared with at most
   * `mostCompared` PINs that were stored after it.
   */
  put(pin: PendingPin, than: { compared: string[]; mostUsers: number; mostCompared: number }): Promise<Put>
  /**
   * Counts one guess against every PIN of this kind of the device, and returns those that had guesses left, in one step.
   * So of any number of callers, at most `maxAttempts` see a given PIN. A code has any number of guesses.
   */
  guess(deviceId: string, kind: PendingPin['kind'], maxAttempts: number): Promise<PendingPin[]>
  /** Spends a PIN. True for exactly one caller. */
  spend(pin: PendingPin): Promise<boolean>
}

/** When PINs are paused: after every `every` wrong guesses at an address, each time twice as long as before. */
export interface PauseRule {
  every: number
  firstPauseMs: number
}

/** The result of counting a guess. `nobody`: there was no address to count it at. */
export type GuessOutcome = { as: 'nobody' | 'paused' } | { as: 'counted'; pauses: boolean }

/**
 * Durable records about guesses, so that guessing cannot start again with another PIN, device, process or restart: the
 * wrong guesses of each address, and the PINs that an operator handed out.
 */
export interface PinLedger {
  /**
   * One transaction, durable once answered, with the same work in every case. It counts a guess at the address as
   * wrong, unless PINs of the address are paused. It also counts a guess at a PIN against each PIN that the operator
   * handed out for the device. Of any number of callers, at most `maxAttempts` see such a PIN. A guess at a code sees none,
   * and has no address.
   */
  count(guess: {
    deviceId: string
    kind: PendingPin['kind']
    address: Buffer | null
    at: number
    maxAttempts: number
    rule: PauseRule
  }): Promise<{ counted: GuessOutcome; handedOut: PendingPin[] }>
  /** Writes to a row that belongs to no user: the same work as noting an event, for the case that there is no user. */
  noteNothing(at: number): Promise<void>
  /** True while PINs of the address are paused. */
  isPaused(address: Buffer, at: number): Promise<boolean>
  /** Stores a PIN that the operator hands out. Replaces an earlier one for the same device and user. */
  handOut(pin: PendingPin & { grant: { kind: 'user' } }): Promise<void>
  /** Deletes handed-out PINs that expired up to this time. */
  forget(until: number): Promise<void>
}

/** In `response` mode the PIN is in the response, and nothing is delivered. */
export type PinDelivery = { mode: 'response' } | PinMessenger

/** A delivered secret: a PIN, or the code that replaces it while PINs of the address are paused. */
export interface PinLetter {
  /** `null`: nothing is sent, but it takes as much work as a letter, as far as possible. */
  email: string | null
  secret: string
  kind: 'pin' | 'code'
  expiresAt: number
  requestId: string
}

/** An event that the owner of an account should learn by mail. */
export interface Notice {
  /** `null`: the same as in a letter. */
  email: string | null
  event: 'new-device' | 'locked'
  at: number
  /** The caller's IP address. It is the only thing in a notice that comes from the caller. */
  address: string
  requestId: string
}

export interface PinMessenger {
  mode: Exclude<PinDeliveryMode, 'response'>
  /**
   * Delivers the letter. Resolves once the letter was handed on or given up. That may take long, so no response waits
   * for it.
   */
  deliver(letter: PinLetter): Promise<void>
  notify(notice: Notice): Promise<void>
}
