/** `takenAt`: when a content was made, as RFC 3339 with the offset of the place. */
import type { Taken } from '../ports/files.ts'
import { problems } from '../problems.ts'
import { NOT_TAKEN } from '../vault/files/placing.ts'

/** RFC 3339, section 5.6. */
const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(\.\d+)?([Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/
const MINUTE_MS = 60_000
const SPACE_FOR_PLUS = / (?=\d\d:\d\d$)/

/** `null` means that no date is known. Throws `invalid-request` for anything but a date with an offset. Fractions of a millisecond are cut. */
export function takenIn(value: string | null): Taken {
  return value === null ? NOT_TAKEN : takenOf(value)
}

/** The same for a query or a field, which need not be there. In a query, an unescaped `+` of the offset arrives as a space. */
export function takenInQuery({ takenAt }: { takenAt?: string | undefined }): Taken | null {
  return takenAt === undefined ? null : takenOf(takenAt.replace(SPACE_FOR_PLUS, '+'))
}

/** Responses carry it with milliseconds and with the offset that it came with. */
export function presentTaken({ takenAt, takenOffset }: Taken): string | null {
  if (takenAt === null) return null
  const local = new Date(takenAt + takenOffset * MINUTE_MS).toISOString()
  if (takenOffset === 0) return local
  const minutes = Math.abs(takenOffset)
  const two = (number: number) => String(number).padStart(2, '0')
  return `${local.slice(0, -1)}${takenOffset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** Returns the fault of a date and time, or `null`. A space in place of the `+` is valid, because a query may have one. */
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
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(1, 4).padEnd(3, '0')}Z`
  const at = Date.parse(local)
  // JavaScript takes 30 February for 2 March.
  if (Number.isNaN(at) || new Date(at).toISOString() !== local) return 'must be a date that exists'
  return { takenAt: at - takenOffset * MINUTE_MS, takenOffset: takenOffset + 0 }
}
