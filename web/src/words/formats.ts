/** Dates, sizes and numbers as the user's language writes them. Components that call these are drawn again when it changes. */
import { language } from './words.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** The user's own form of the page's language, such as `en-GB`: it decides about 24 hours and the order of a date. */
export function localeOf(code: string, wanted: readonly string[]): string {
  return wanted.find((tag) => tag.split('-')[0] === code) ?? code
}

const kept = new Map<string, unknown>()

/** Making a format is slow, using it is fast. */
function format<Format>(name: string, make: (locale: string) => Format): Format {
  const locale = localeOf(language.value, navigator.languages)
  const key = `${locale} ${name}`
  if (!kept.has(key)) kept.set(key, make(locale))
  return kept.get(key) as Format
}

const dates = (name: string, options: Intl.DateTimeFormatOptions) =>
  format(name, (locale) => new Intl.DateTimeFormat(locale, options))

const amounts = (unit: string, unitDisplay: 'short' | 'long', maximumFractionDigits = 0) =>
  format(
    `${unit} ${unitDisplay} ${maximumFractionDigits}`,
    (locale) => new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay, maximumFractionDigits }),
  )

export type Time = string | number | Date

/** 12,345 */
export const formatNumber = (count: number): string =>
  format('number', (locale) => new Intl.NumberFormat(locale)).format(count)

/** 34 % */
export const formatPercent = (share: number): string =>
  format('percent', (locale) => new Intl.NumberFormat(locale, { style: 'percent' })).format(share)

const SIZES = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const

/** 3.2 GB. In thousands, as phones count. */
export function formatBytes(bytes: number): string {
  // 999,950 bytes would be rounded to 1,000 kB.
  const power = SIZES.findIndex((_, power) => bytes < 999.95 * 1000 ** power)
  const step = power === -1 ? SIZES.length - 1 : power
  const value = bytes / 1000 ** step
  return amounts(SIZES[step] ?? 'byte', step === 0 ? 'long' : 'short', step > 1 && value < 100 ? 1 : 0).format(value)
}

/** 14 July 2026 */
export const formatDate = (time: Time): string => dates('date', { dateStyle: 'long' }).format(new Date(time))

/** 14:05 */
export const formatTime = (time: Time): string => dates('time', { timeStyle: 'short' }).format(new Date(time))

/** 14:05. `local` is `2026-07-14T14:05:00`, of a clock anywhere: here summer time may leave this hour out. */
export const formatClock = (local: string): string =>
  dates('clock', { timeStyle: 'short', timeZone: 'UTC' }).format(new Date(`${local}Z`))

/** 14 July 2026, 14:05 */
export const formatDateTime = (time: Time): string =>
  dates('date and time', { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time))

/** Tuesday, 14 July 2026. `day` is `2026-07-14`, a day of the calendar without a time zone. */
export const formatDay = (day: string): string =>
  dates('day', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' }).format(
    new Date(`${day}T00:00Z`),
  )

/** July 2026. `month` is `2026-07`. */
export const formatMonth = (month: string): string =>
  dates('month', { month: 'long', year: 'numeric', timeZone: 'UTC' }).format(new Date(`${month}-01T00:00Z`))

const relative = () =>
  format('relative', (locale) => new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'long' }))

/** "today, 14:05", "yesterday, 14:05", or the date. */
export function formatWhen(time: Time, now: number = Date.now()): string {
  const days = calendarDays(now, new Date(time).getTime())
  return days === 0 || days === -1 ? `${relative().format(days, 'day')}, ${formatTime(time)}` : formatDateTime(time)
}

/** How many midnights of this place lie between the two times. */
function calendarDays(from: number, to: number): number {
  const midnight = (time: number) => new Date(time).setHours(0, 0, 0, 0)
  return Math.round((midnight(to) - midnight(from)) / DAY_MS)
}

function largestUnit(ms: number): [number, 'day' | 'hour' | 'minute' | 'second'] {
  if (ms >= 2 * DAY_MS) return [Math.round(ms / DAY_MS), 'day']
  if (ms >= 2 * HOUR_MS) return [Math.round(ms / HOUR_MS), 'hour']
  if (ms >= 90_000 || ms === MINUTE_MS) return [Math.ceil(ms / MINUTE_MS), 'minute']
  return [Math.max(0, Math.ceil(ms / 1000)), 'second']
}

/** "29 days", "3 hours": the largest unit that says enough. */
export function formatDuration(ms: number): string {
  const [amount, unit] = largestUnit(ms)
  return amounts(unit, 'long').format(amount)
}

/** "in 29 days". */
export function formatIn(ms: number): string {
  const [amount, unit] = largestUnit(ms)
  return relative().format(amount, unit)
}

/** 4:59 of minutes and seconds, for a countdown or the length of a film. */
export function formatCountdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000))
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  const parts = [hours > 0 ? [hours] : [], minutes, seconds % 60].flat()
  return parts.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':')
}

/** Characters that change the direction of the text after them (UAX #9). */
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** A name that a stranger chose: it cannot turn round what stands behind it. */
export const formatForeign = (name: string): string => name.replace(DIRECTIONS, '')
