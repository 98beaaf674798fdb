/** Conditional requests and ranges, as RFC 9110 has them. Pure functions over header fields. */
import type { IncomingHttpHeaders } from 'node:http'
import { problems } from '../problems.ts'
import type { Range } from '../vault/crypto/content.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'

/** Strong: the same bytes, the same tag (RFC 9110, section 8.8.3). */
export const entityTag = (file: StoredFile): string => `"${file.sha256}"`

/**
 * HTTP dates have whole seconds. No other content that stood under the name had this one, so it is a strong validator (RFC 9110,
 * section 8.8.2.2).
 */
const modifiedAt = ({ namedAt }: StoredFile): number => Math.floor(namedAt / 1000) * 1000

/** Never later than `now` (RFC 9110, section 8.8.2.1). An earlier date than the file's own is in no condition that holds. */
export const lastModified = (file: StoredFile, now = Date.now()): string =>
  new Date(Math.min(modifiedAt(file), now)).toUTCString()

/**
 * Evaluates the preconditions in the order of RFC 9110, section 13.2.2, against the file, or `null` for none. A false
 * one is `not-modified` where `reading` and only that is meant, else `failed`.
 */
export function evaluate(
  headers: IncomingHttpHeaders,
  file: StoredFile | null,
  reading: boolean,
): 'go' | 'not-modified' | 'failed' {
  const ifMatch = headers['if-match']
  if (ifMatch !== undefined) {
    if (!file || !names(ifMatch, entityTag(file), 'strong')) return 'failed'
  } else if (file && isAfter(file, headers['if-unmodified-since'])) {
    return 'failed'
  }

  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) {
    if (file && names(ifNoneMatch, entityTag(file), 'weak')) return reading ? 'not-modified' : 'failed'
  } else if (reading && file && isAfter(file, headers['if-modified-since']) === false) {
    return 'not-modified'
  }
  return 'go'
}

/** Throws `precondition-failed` unless a change to what stands there may go on. */
export function guardOf(headers: IncomingHttpHeaders): (current: StoredFile | null) => void {
  return (current) => {
    if (evaluate(headers, current, false) === 'failed') throw problems.preconditionFailed()
  }
}

/** More ranges than anybody needs: such a request is answered with the whole. */
const MAX_RANGES = 100

/**
 * The one range that is asked for, or `null` for the whole: without a `Range`, with one that is not understood, with
 * several that do not touch (RFC 9110, section 14.2 leaves that to the server), or where `If-Range` does not hold.
 * Throws `range-not-satisfiable`.
 */
export function rangeOf(headers: IncomingHttpHeaders, file: StoredFile): Range | null {
  if (headers.range === undefined || !ifRangeHolds(headers['if-range'], file)) return null
  const wanted = rangesIn(headers.range, file.sizeBytes)
  if (!wanted) return null
  if (wanted.length === 0) throw problems.rangeNotSatisfiable(file.sizeBytes)
  return union(wanted)
}

/** The satisfiable ranges of the set (RFC 9110, section 14.1.2); `null` where it is not a valid set of byte ranges. */
function rangesIn(field: string, sizeBytes: number): Range[] | null {
  const specs = /^bytes=(.*)$/i
    .exec(field)?.[1]
    ?.split(',')
    .map((spec) => /^(\d*)-(\d*)$/.exec(spec.trim()))
  if (!specs || specs.length > MAX_RANGES) return null
  const ranges: Range[] = []
  for (const spec of specs) {
    const [first, last] = [spec?.[1] ?? '', spec?.[2] ?? '']
    if (first === '' && last === '') return null
    if (first !== '' && last !== '' && Number(first) > Number(last)) return null
    const start = first === '' ? Math.max(0, sizeBytes - Number(last)) : Number(first)
    const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
    // The last bytes of an empty file are all of it; they have no Content-Range, so that the whole is sent.
    if (sizeBytes === 0 && first === '' && Number(last) > 0) return null
    if (start <= end) ranges.push({ start, end })
  }
  return ranges
}

/** The ranges as one, where they overlap or touch; `null` where they do not. */
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

/** Whether a list of entity tags, or `*`, names this one (RFC 9110, section 8.8.3.2). */
function names(list: string, tag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true
  const tags = [...list.matchAll(/(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g)]
  return tags.some(([, weak, opaque]) => opaque === tag && (comparison === 'weak' || !weak))
}

/** Whether the file changed after the date; `null` where there is no valid date, and the condition is ignored. */
function isAfter(file: StoredFile, date: string | undefined): boolean | null {
  const time = timeOf(date ?? '')
  return Number.isNaN(time) ? null : modifiedAt(file) > time
}

/** The three forms of RFC 9110, section 5.6.7; the last, of asctime, does not name its zone. */
function timeOf(date: string): number {
  if (/^[A-Z][a-z]{2,8}, \d\d[ -][A-Z][a-z]{2}[ -]\d{2,4} \d\d:\d\d:\d\d GMT$/.test(date)) return Date.parse(date)
  if (/^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/.test(date)) return Date.parse(`${date} GMT`)
  return Number.NaN
}
