/** Reads and writes `takenAt`: when a content was made, as RFC 3339 with the offset of local time from UTC. */
import type { Taken } from '../ports/files.ts'
import { problems } from '../problems.ts'
import { NOT_TAKEN } from '../vault/files/placing.ts'

/** RFC 3339, section 5.6. */
const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(\.\d+)?([Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const SPACE_FOR_PLUS = / (?=\d\d:\d\d$)/

/**
 * Reads a value of JSON. `null` means that no date is known. Throws `invalid-request` if it is no date and time with an offset.
 * Digits after milliseconds are dropped.
 */
export function takenIn(value: string | null): Taken {
  return value === null ? NOT_TAKEN : takenOf(value)
}

/** Reads the value of a query or of a form's field; `null` if it is absent. A `+` that a client did not escape arrives as a space. */
export function takenInQuery({ takenAt }: { takenAt?: string | undefined }): Taken | null {
  return takenAt === undefined ? null : takenOf(takenAt.replace(SPACE_FOR_PLUS, '+'))
}

/** The value in a response: with milliseconds, and with the offset that the client sent. */
export function presentTaken({ takenAt, takenOffset }: Taken): string | null {
  if (takenAt === null) return null
  const local = new Date(takenAt + takenOffset * MINUTE_MS).toISOString()
  if (takenOffset === 0) return local
  const minutes = Math.abs(takenOffset)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${local.slice(0, -1)}${takenOffset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** Why this is no valid date and time; `null` if it is one. A space in place of the `+` is valid, as in a query. */
export function dateFault(value: string): string | null {
  const found = parsed(value.replace(SPACE_FOR_PLUS, '+'))
  return typeof found === 'string' ? found : null
}

function takenOf(value: string): Taken {
  const found = parsed(value)
  if (typeof found === 'string') throw problems.invalidRequest([{ path: '/takenAt', message: found }])
  return found
}

function parsed(value: string): Taken | string {
  const [, year, month, day, hour, minute, second, fraction = '', , sign, hours, minutes] = DATE_TIME.exec(value) ?? []
  if (year === undefined) return 'must be a date and time with an offset, such as 2026-11-22T10:30:00+02:00'
  const takenOffset = sign ? (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) : 0
  // A leap second (RFC 3339, section 5.7) becomes the last millisecond before it, because our times have none.
  const isLeap = second === '60'
  const seconds = isLeap ? '59.999' : `${second}.${fraction.slice(1, 4).padEnd(3, '0')}`
  const local = `${year}-${month}-${day}T${hour}:${minute}:${seconds}Z`
  const at = Date.parse(local)
  const takenAt = at - takenOffset * MINUTE_MS
  // `Date.parse` reads 30 February as 2 March.
  if (Number.isNaN(at) || new Date(at).toISOString() !== local) return 'must be a date that exists'
  // A day has its leap second at its end in UTC.
  if (isLeap && (takenAt + 1) % DAY_MS !== 0) return 'must be a time that exists'
  return { takenAt, takenOffset: takenOffset + 0 }
}
