/** From a PIN to a session. */
import type { ActivityEvent, Keep, KeySlot, User } from './accounts.ts'

/** How a PIN reaches its person: in the response, in the server's log, by mail. */
export type PinDeliveryMode = 'response' | 'console' | 'email'

export interface Session {
  id: string
  userId: string
  deviceId: string
  createdAt: number
  lastUsedAt: number
}

/** What a redeemed PIN makes: a session, for a new user or for one that exists. */
export interface Redemption {
  pinId: string
  session: { id: string; deviceId: string; tokenHash: Buffer; createdAt: number }
  /** A new user comes with the first slot of a vault key. `vouchedBy`: the session that asked for the PIN, if one did. */
  user: (User & { slot: KeySlot }) | { id: string; vouchedBy: string | null }
  /** Where the guess was counted that turned out to be right, and by what rule: it was none of the wrong ones. */
  givenBack: { address: Buffer; every: number } | null
  /** The sign-in for the user's list of what happened; `new-device` where it is one. */
  event: ActivityEvent
  bounds: {
    /** Of sessions that were not ended: one more ends the one unused for longest. */
    sessions: number
    /** Of known devices: one more is forgotten that has no session, the one that signed in longest ago. */
    devices: number
    newDevice: Keep
    signIn: Keep
  }
}

/** The owner is the first argument where one is known: another's session is "not found" by construction. */
export interface SessionRepository {
  /**
   * One act: takes the address for a new user, ends the user's older session on that device, opens the new one, gives the
   * guess back, notes the sign-in. Nothing has happened unless the session was opened; then `newDevice` tells whether
   * the user had not signed in on it before. `spent`: this PIN id has opened a session before. `taken`: the new user's
   * address belongs to somebody. `gone`: the existing user does not exist any more, or the session that vouched is over.
   */
  redeem(redemption: Redemption): Promise<{ newDevice: boolean } | 'spent' | 'taken' | 'gone'>
  /** The session that was not ended; its age is for the caller to judge. */
  findByTokenHash(tokenHash: Buffer): Promise<Session | null>
  find(owner: string, sessionId: string): Promise<Session | null>
  /** Never moves `lastUsedAt` backwards. */
  touch(owner: string, sessionId: string, at: number): Promise<void>
  /** The sessions that were not ended, the last opened first; their age is for the caller to judge. */
  list(owner: string): Promise<Session[]>
  /** Whether the user has ever signed in on the device. */
  knowsDevice(owner: string, deviceId: string): Promise<boolean>
  /** The session as it was; `null` where there was nothing to end. In force for every later `find`. */
  end(owner: string, sessionId: string, at: number): Promise<Session | null>
  /** Ends all others, and answers them. */
  endOthers(owner: string, sessionId: string, at: number): Promise<Session[]>
  /** Forgets what ended before the first time, was last used before the second, or was opened before the third. */
  forget(endedBefore: number, lastUsedBefore: number, createdBefore: number): Promise<void>
}

/** What a PIN opens: a new user's registration, an existing user's vault, or nothing at all. */
export type PinGrant =
  | { kind: 'registration'; userId: string; name: string; email: string; confirmedBy: PinDeliveryMode }
  /** `vouchedBy`: the session that asked for the PIN, if one did; it must not be over. */
  | { kind: 'user'; userId: string; vouchedBy: string | null }
  /** `userId`: whose address was given, where it belongs to somebody who cannot be told the PIN. */
  | { kind: 'nothing'; userId: string | null }

export interface PendingPin {
  id: string
  deviceId: string
  /**
   * `open`: asked for without a session; a device has one. `vouched`: asked for by a session, or by the operator, for the user
   * that it opens; a device has one for each user. None replaces another's.
   */
  origin: 'open' | 'vouched'
  /** `code`: the long one that stands in for a PIN while those of the address are paused. */
  kind: 'pin' | 'code'
  /** Where guesses at this PIN are counted: a keyed hash of the address. `null` for one that was shown to its caller. */
  address: Buffer | null
  /** HMAC-SHA-256 of the PIN and of all the other fields. */
  digest: Buffer
  grant: PinGrant
  expiresAt: number
}

/**
 * What became of a PIN that was to be kept. `unlike`: the device has other pending PINs than those that were compared; these
 * are all of them. `full`: so many users have a pending PIN for the device that it takes none of a further user; the first of
 * them ends at `until`.
 */
export type Put = { as: 'kept' } | { as: 'unlike'; others: PendingPin[] } | { as: 'full'; until: number }

/** PINs on their way. May forget everything at a restart; never answers a PIN that is expired, used up or spent. */
export interface PendingPinStore {
  /**
   * Replaces the device's earlier PIN of the same origin, and where that is `vouched`, of the same user. Only where the ids of
   * all other pending PINs of the device are among `compared`, so that no two of them are the same digits; in a single step.
   */
  put(pin: PendingPin, than: { compared: string[]; mostUsers: number }): Promise<Put>
  /**
   * Counts one guess against every PIN of the device and answers those that had guesses left, in a single step: of
   * any number of callers, at most `maxAttempts` see a given PIN. A code has any number of guesses.
   */
  guess(deviceId: string, maxAttempts: number): Promise<PendingPin[]>
  /** True for exactly one caller. */
  spend(pin: PendingPin): Promise<boolean>
}

/** When PINs are paused: with every so many wrong guesses at an address, for twice as long as the time before. */
export interface PauseRule {
  every: number
  firstPauseMs: number
}

/** What a guess came to. `nobody`: there was no address to count it at. */
export type GuessOutcome = { as: 'nobody' | 'paused' } | { as: 'counted'; pauses: boolean }

/**
 * The memory that guessing must not outlive: of wrong guesses by address, over PINs, devices, processes and restarts, and of
 * PINs that an operator handed out.
 */
export interface PinLedger {
  /**
   * One act, durable once answered, and the same work in every case: counts a guess at the address as if it were wrong,
   * unless PINs of the address are paused; and counts it against each PIN that the operator handed out for the device. Of
   * any number of callers, at most `maxAttempts` see a given one.
   */
  count(guess: {
    deviceId: string
    address: Buffer | null
    at: number
    maxAttempts: number
    rule: PauseRule
  }): Promise<{ counted: GuessOutcome; handedOut: PendingPin[] }>
  /** Writes to a row that is nobody's: as much work as to note what happened to a user, where there is no user. */
  noteNothing(at: number): Promise<void>
  /** Whether PINs of the address are paused. */
  isPaused(address: Buffer, at: number): Promise<boolean>
  /** Keeps a PIN that the operator hands out, in place of an earlier one for the device and the same user. */
  handOut(pin: PendingPin & { grant: { kind: 'user' } }): Promise<void>
  /** Forgets what was handed out and is over. */
  forget(until: number): Promise<void>
}

/** In `response` mode the PIN goes out with the answer, and there is nothing to deliver. */
export type PinDelivery = { mode: 'response' } | PinMessenger

/** What is delivered: a PIN, or the long code that stands in for it while the PINs of an address are paused. */
export interface PinLetter {
  /** `null` for nobody: as much work as for somebody, as far as that can be, and nothing is sent. */
  email: string | null
  secret: string
  kind: 'pin' | 'code'
  expiresAt: number
  requestId: string
}

/** Something that the owner of an account should hear of. */
export interface Notice {
  /** `null` as in a letter. */
  email: string | null
  event: 'new-device' | 'locked'
  at: number
  /** The caller's IP address. Nothing else in a notice comes from its caller. */
  address: string
  requestId: string
}

export interface PinMessenger {
  mode: Exclude<PinDeliveryMode, 'response'>
  /** Takes the letter on its way; resolves once it was handed on or given up, so nobody who answers a request waits for it. */
  deliver(letter: PinLetter): Promise<void>
  notify(notice: Notice): Promise<void>
}
