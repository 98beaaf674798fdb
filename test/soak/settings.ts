/** The length and the seed of a run, and the settings of its servers: within a month everything expires at least once. */
import { randomInt } from 'node:crypto'

export const MINUTES = Number(process.env.SOAK_MINUTES ?? 20)
export const SEED = process.env.SOAK_SEED ?? String(randomInt(2 ** 31))
export const PHONES = Number(process.env.SOAK_PHONES ?? 4)

/** A round ends with a night, in which the clock moves by so many days. */
export const DAYS_PER_ROUND = 6
/** Five weeks. */
export const LEAST_ROUNDS = 6
/** A longer run has more rounds, not longer ones. */
export const LONGEST_ROUND_MINUTES = 1

// None is a multiple of the days of a round, so none is over in the middle of one.
export const TRASH_DAYS = 14
export const SESSION_TTL_DAYS = 10
export const SESSION_MAX_DAYS = 22
export const UPLOAD_DAYS = 7
export const ACTIVITY_DAYS = 14
const CHANGES_DAYS = 8
/** About half an hour, so that a night lets everything be read back. */
const SCRUB_DAYS = 0.02

export const SETTINGS: Record<string, string> = {
  TRASH_DAYS: String(TRASH_DAYS),
  SESSION_TTL_DAYS: String(SESSION_TTL_DAYS),
  SESSION_MAX_DAYS: String(SESSION_MAX_DAYS),
  UPLOAD_EXPIRY_HOURS: String(UPLOAD_DAYS * 24),
  ACTIVITY_DAYS: String(ACTIVITY_DAYS),
  CHANGES_DAYS: String(CHANGES_DAYS),
  SCRUB_DAYS: String(SCRUB_DAYS),
  // All phones have one address.
  RATE_LIMIT: 'off',
  // So that the log of a long run fits, and still has what it must not have, if it has it.
  LOG_LEVEL: 'info',
}

/** Parts of all secrets and names of this run. No log may have them. */
export const MARKS = { name: 'soakfile', mail: 'soakmail', device: 'soakdevice' }
