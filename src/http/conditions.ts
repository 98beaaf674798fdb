/** Conditional requests and ranges (RFC 9110). Pure functions over header fields. */
import type { IncomingHttpHeaders } from 'node:http'
import { problems } from '../problems.ts'
import type { Range } from '../vault/crypto/content.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'

/** A strong entity tag: the same bytes have the same tag (RFC 9110, section 8.8.3). */
export const entityTag = (file: StoredFile): string => `"${file.sha256}"`

/**
 * In whole seconds, as HTTP dates are. Each content of a name gets another second, so the date is a strong validator (RFC 9110,
 * section 8.8.2.2).
 */
const modifiedAt = ({ namedAt }: StoredFile): number => Math.floor(namedAt / 1000) * 1000

/**
 * Never later than `now` (RFC 9110, section 8.8.2.1). A date that was lowered to `now` makes no condition hold wrongly, because
 * conditions are compared with the real date.
 */
export const lastModified = (file: StoredFile, now = Date.now()): string =>
  new Date(Math.min(modifiedAt(file), now)).toUTCString()

/**
 * Evaluates the preconditions in the order of RFC 9110, section 13.2.2. `file` is `null` if there is none. With `reading`, a
 * false If-None-Match or If-Modified-Since gives `not-modified`. Every other false precondition gives `failed`.
 */
export function evaluate(
  headers: IncomingHttpHeaders,
  file: StoredFile | null,
  reading: boolean,
): 'go' | 'not-modified' | 'failed' {
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!file || names(ifMatch, entityTag(file), 'strong') !== true) return 'failed'
  } else if (file && isAfter(file, headers['if-unmodified-since'])) {
    return 'failed'
  }

  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    const isNamed = file !== null && names(ifNoneMatch, entityTag(file), 'weak')
    if (isNamed) return reading ? 'not-modified' : 'failed'
    // A change must not happen because the server could not read its condition.
    if (isNamed === null && !reading) return 'failed'
  } else if (reading && file && isAfter(file, headers['if-modified-since']) === false) {
    return 'not-modified'
  }
  return 'go'
}

/** Returns a check for changes. It throws `precondition-failed` if the current file does not meet the preconditions. */
export function guardOf(headers: IncomingHttpHeaders): (current: StoredFile | null) => void {
  return (current) => {
    if (evaluate(headers, current, false) === 'failed') throw problems.preconditionFailed()
  }
}

/** The strong entity tag of something that is no file: a thumbnail, or a part of the web vault. */
export const quotedTag = (tag: string): string => `"${tag}"`

/**
 * Evaluates the preconditions of a request that reads something without a date. Conditions by date are ignored (RFC 9110,
 * section 13.1.3).
 */
export function evaluateUndated(headers: IncomingHttpHeaders, tag: string): 'go' | 'not-modified' | 'failed' {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  if (ifMatch !== undefined && names(ifMatch, quotedTag(tag), 'strong') !== true) return 'failed'
  return ifNoneMatch !== undefined && names(ifNoneMatch, quotedTag(tag), 'weak') ? 'not-modified' : 'go'
}

/**
 * Returns a check for changes of a thumbnail. `If-Match` names the file or its thumbnail, whose entity tags never look alike.
 * `If-None-Match` is about the thumbnail alone.
 */
export function thumbnailGuardOf(headers: IncomingHttpHeaders): (file: StoredFile) => void {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers
  return (file) => {
    const own = file.thumbnail === null ? null : quotedTag(file.thumbnail)
    const isMatched = (tag: string | null) => tag !== null && names(ifMatch ?? '*', tag, 'strong') === true
    // A change must not happen because the server could not read its condition.
    const isExcluded = ifNoneMatch !== undefined && names(ifNoneMatch, own ?? '', 'weak') !== false
    const isAbsent = ifNoneMatch?.trim() === '*' && own === null
    if (!(isMatched(entityTag(file)) || isMatched(own)) || (isExcluded && !isAbsent))
      throw problems.preconditionFailed()
  }
}

/** A request with more ranges gets the whole file. */
const MAX_RANGES = 100

/**
 * The requested range, or `null` for the whole file: without a valid `Range`, with several ranges that do not touch (RFC 9110,
 * section 14.2 lets the server ignore them), or if `If-Range` does not hold. Throws `range-not-satisfiable`.
 */
export function rangeOf(headers: IncomingHttpHeaders, file: StoredFile): Range | null {
  if (headers.range === undefined || !ifRangeHolds(headers['if-range'], file)) return null
  const wanted = rangesIn(headers.range, file.sizeBytes)
  if (!wanted) return null
  if (wanted.length === 0) throw problems.rangeNotSatisfiable(file.sizeBytes)
  return union(wanted)
}

/**
 * The satisfiable ranges of the field (RFC 9110, section 14.1.2). `null` if it is not a valid set of byte ranges. A set may have
 * empty members, and at least one other (section 5.6.1.2).
 */
function rangesIn(field: string, sizeBytes: number): Range[] | null {
  const members = /^bytes=(.*)$/i.exec(field)?.[1]?.split(',') ?? []
  const specs = members.flatMap((member) => (member.trim() === '' ? [] : [/^(\d*)-(\d*)$/.exec(member.trim())]))
  if (specs.length === 0 || members.length > MAX_RANGES) return null
  const ranges: Range[] = []
  for (const spec of specs) {
    const [first, last] = [spec?.[1] ?? '', spec?.[2] ?? '']
    if (first === '' && last === '') return null
    if (first !== '' && last !== '' && Number(first) > Number(last)) return null
    const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
    const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
    // A suffix range of an empty file is satisfiable, but has no possible Content-Range. So the whole file is sent.
    if (sizeBytes === 0 && first === '' && Number(last) > 0) return null
    if (start <= end) ranges.push({ start, end })
  }
  return ranges
}

/** The ranges as one range if they overlap or touch, else `null`. */
function union(ranges: Range[]): Range | null {
  const [first, ...rest] = ranges.toSorted((a, b) => a.start - b.start)
  let whole = first as Range
  for (const { start, end } of rest) {
    if (start > whole.end + 1) return null
    whole = { start: whole.start, end: Math.max(whole.end, end) }
  }
  return whole
}

function ifRangeHolds(condition: string | string[] | undefined, file: StoredFile): boolean {
  if (typeof condition !== 'string') return true
  if (condition.startsWith('"')) return condition === entityTag(file)
  return timeOf(condition) === modifiedAt(file)
}

/** One entity tag and what follows it up to the next. A list may have empty members (RFC 9110, section 5.6.1.2). */
const LISTED_TAG = /(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,[ \t,]*|$)/y

/**
 * Whether a list of entity tags, or `*`, names this one (RFC 9110, section 8.8.3.2). `null` if it is no such list.
 */
function names(list: string, tag: string, comparison: 'strong' | 'weak'): boolean | null {
  if (list.trim() === '*') return true
  const members = list.replace(/^[ \t,]+/, '')
  const tags = [...members.matchAll(new RegExp(LISTED_TAG, 'gy'))]
  if (tags.length === 0 || tags.map(([text]) => text).join('') !== members) return null
  return tags.some(([, weak, opaque]) => opaque === tag && (comparison === 'weak' || !weak))
}

/** Whether the file changed after the date. `null` for an invalid date: the condition is ignored. */
function isAfter(file: StoredFile, date: string | undefined): boolean | null {
  const time = timeOf(date ?? '')
  return Number.isNaN(time) ? null : modifiedAt(file) > time
}

/** The formats of RFC 9110, section 5.6.7. The second one is that of asctime, which has no time zone. */
const DATES = [
  /^[A-Z][a-z]{2,8}, (?<day>\d\d)([ -])(?<month>[A-Z][a-z]{2})\2(?<year>\d{4}|\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
]

function timeOf(date: string): number {
  for (const format of DATES) {
    const { day, month, year = '', time } = format.exec(date)?.groups ?? {}
    const at = Date.parse(`${day} ${month} ${fullYear(year)} ${time} GMT`)
    // 30 February parses as a day in March.
    if (new Date(at).getUTCDate() === Number(day)) return at
  }
  return Number.NaN
}

/** A year of two digits is at most 50 years in the future (RFC 9110, section 5.6.7). */
function fullYear(digits: string): number {
  if (digits.length !== 2) return Number(digits)
  const thisYear = new Date().getUTCFullYear()
  const year = thisYear - (thisYear % 100) + Number(digits)
  return year > thisYear + 50 ? year - 100 : year
}
