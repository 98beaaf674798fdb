/** The rate limits. RATE_LIMITS changes them. */
const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/**
 * The unit that a limit counts by: `network`, the network of a request; `stranger`, the same for requests without credentials; `session`;
 * `user`; `recipient`, the owner of an address that mail is sent to; `all`, everything together.
 */
export type CountedBy = 'network' | 'stranger' | 'session' | 'user' | 'recipient' | 'all'

export interface Limit {
  max: number
  /** How long an event counts; `null` if a request counts while it runs. */
  windowMs: number | null
  per: CountedBy
  /** The operator cannot change the window. */
  fixed?: true
  /** While the counter cannot be reached, requests are refused: guesses of PINs and requests for mail must stay limited. */
  strict?: true
}

/** High enough for a household behind one address, and for a phone that uploads 20,000 photos. */
const defaults = {
  register: { max: 10, windowMs: HOUR, per: 'network', strict: true },
  pins: { max: 10, windowMs: HOUR, per: 'stranger', strict: true },
  'sign-in': { max: 10, windowMs: MINUTE, per: 'network', strict: true },
  'sign-in-hourly': { max: 60, windowMs: HOUR, per: 'network', strict: true },
  'bad-tokens': { max: 60, windowMs: MINUTE, per: 'network' },
  docs: { max: 600, windowMs: MINUTE, per: 'network' },
  // A list counts more with longer pages (`pageCost` in http/cursors.ts).
  requests: { max: 6000, windowMs: MINUTE, per: 'user' },
  pairing: { max: 10, windowMs: HOUR, per: 'session' },
  exports: { max: 20, windowMs: HOUR, per: 'user' },
  'exports-at-once': { max: 2, windowMs: null, per: 'user' },
  // More than 'register' and 'pins' together allow one network: otherwise one network could block the mails of a user.
  'mails-per-account': { max: 30, windowMs: HOUR, per: 'recipient', fixed: true },
  'mails-overall': { max: 1000, windowMs: HOUR, per: 'all', fixed: true },
} as const satisfies Record<string, Limit>

export type LimitName = keyof typeof defaults

export type Limits = Record<LimitName, Limit>

const UNIT_MS = { s: SECOND, m: MINUTE, h: HOUR, d: 24 * HOUR }

const AMOUNT = /^([1-9]\d{0,8})(?:\/([1-9]\d{0,3})([smhd]))?$/

/** The limit of registrations for a trial on the same machine, where it protects nothing. */
const TRIAL_REGISTRATIONS = { ...defaults.register, max: 100 }

/** The limits with the changes of `text`, such as `sign-in=20/1m, exports-at-once=3`, and the errors in it. */
export function readLimits(text = '', isTrial = false): { limits: Limits; errors: string[] } {
  const limits: Limits = { ...defaults, ...(isTrial ? { register: TRIAL_REGISTRATIONS } : {}) }
  const errors: string[] = []
  for (const entry of text.split(',').map((part) => part.trim())) {
    if (entry === '') continue
    const [, name = entry, amount = ''] = /^([^=]*?)\s*=\s*(.*)$/.exec(entry) ?? []
    const limit = Object.hasOwn(limits, name) ? limits[name as LimitName] : undefined
    const changed = limit && withAmount(limit, amount)
    if (changed) limits[name as LimitName] = changed
    else if (limit) errors.push(`${JSON.stringify(entry)} must be like ${name}=${amountOf(limit)}`)
    else errors.push(`there is no limit ${JSON.stringify(name)} among ${Object.keys(defaults).join(', ')}`)
  }
  return { limits, errors }
}

/** A limit in the format of RATE_LIMITS. */
export function amountOf({ max, windowMs }: Limit): string {
  if (windowMs === null) return String(max)
  const [unit, ms] = Object.entries(UNIT_MS).findLast(([, ms]) => windowMs % ms === 0) as [string, number]
  return `${max}/${windowMs / ms}${unit}`
}

function withAmount(limit: Limit, text: string): Limit | null {
  const [found, max, count, unit] = AMOUNT.exec(text) ?? []
  if (!found) return null
  const windowMs = unit ? Number(count) * UNIT_MS[unit as keyof typeof UNIT_MS] : null
  if ((windowMs === null) !== (limit.windowMs === null)) return null
  if (limit.fixed && windowMs !== limit.windowMs) return null
  return { ...limit, max: Number(max), windowMs }
}
