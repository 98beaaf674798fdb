/** Conditional requests and ranges, as RFC 9110 has them. Pure functions over header fields. */
import type { IncomingHttpHeaders } from 'node:http'
import parseRange from 'range-parser'
import type { StoredFile } from '../ports.ts'
import { problems } from '../problems.ts'
import type { Range } from '../vault/files.ts'

/** Strong: the same bytes, the same tag (RFC 9110, section 8.8.3). */
export const entityTag = (file: StoredFile): string => `"${file.sha256}"`

/** HTTP dates have whole seconds. */
export const lastModified = (file: StoredFile): string => new Date(file.updatedAt).toUTCString()

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

/**
 * The one range that is asked for, or `null` for the whole: without a `Range`, with one that is not understood, with
 * several that do not touch (RFC 9110, section 14.2 leaves that to the server), or where `If-Range` does not hold.
 * Throws `range-not-satisfiable`.
 */
export function rangeOf(headers: IncomingHttpHeaders, file: StoredFile): Range | null {
  const { range } = headers
  if (range === undefined || !ifRangeHolds(headers['if-range'], file)) return null
  const ranges = parseRange(file.sizeBytes, range, { combine: true })
  if (ranges === -2 || (ranges !== -1 && ranges.type !== 'bytes')) return null
  if (ranges === -1) {
    if (!/^bytes=/i.test(range)) return null
    throw problems.rangeNotSatisfiable(file.sizeBytes)
  }
  const [only] = ranges
  return only && ranges.length === 1 ? { start: only.start, end: only.end } : null
}

function ifRangeHolds(condition: string | string[] | undefined, file: StoredFile): boolean {
  if (typeof condition !== 'string') return true
  return condition.startsWith('"') ? condition === entityTag(file) : condition === lastModified(file)
}

/** Whether a list of entity tags, or `*`, names this one (RFC 9110, section 8.8.3.2). */
function names(list: string, tag: string, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true
  const tags = [...list.matchAll(/(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g)]
  return tags.some(([, weak, opaque]) => opaque === tag && (comparison === 'weak' || !weak))
}

/** Whether the file changed after the date; `null` where there is no valid date, and the condition is ignored. */
function isAfter(file: StoredFile, date: string | undefined): boolean | null {
  const time = Date.parse(date ?? '')
  return Number.isNaN(time) ? null : Math.floor(file.updatedAt / 1000) * 1000 > time
}
