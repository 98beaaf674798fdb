/** Paging of lists. A cursor contains its list and the position where the page ended. Nothing in it is secret. */
import type { FileSort } from '../ports/files.ts'
import { problems } from '../problems.ts'
import { MOST_OF_A_PAGE } from '../schemas/common.ts'
import type { FeedPosition } from '../vault/files/change-feed.ts'

/** A page of this many files costs about as much CPU time as one other request. */
export const FILES_PER_REQUEST = 50

/** How much a page counts against the `requests` limit of its user. `limit` is not validated yet. */
export function pageCost({ limit }: Record<string, unknown>): number {
  return Math.ceil(Math.min(Math.max(1, Number(limit) || 1), MOST_OF_A_PAGE) / FILES_PER_REQUEST)
}

/** A position in a list: the sort key, and the id as a tie-break. */
type Position<Key> = { key: Key; id: string }

const MOST_NAME_BYTES = 255
/** Control characters and unpaired surrogates. */
const INVALID_TEXT = /[\p{Cc}\p{Cs}]/u

/** The position where the previous page ended; `null` for the first page. Throws `invalid-cursor` for a cursor of another list. */
export function readCursor<Type extends 'string' | 'number'>(
  cursor: string | undefined,
  list: string,
  keyType: Type,
): Position<Type extends 'string' ? string : number> | null {
  if (cursor === undefined) return null
  const [of, key, id, ...more] = contentOf(cursor)
  const isValid = of === list && isKey(key, keyType) && isId(id) && more.length === 0
  if (!isValid) throw problems.invalidCursor()
  return { key: key as Type extends 'string' ? string : number, id: id as string }
}

/** A client can forge a cursor. A key that cannot be a file's name, size or time must not reach the database. */
function isKey(key: unknown, keyType: 'string' | 'number'): boolean {
  if (keyType === 'number') return Number.isSafeInteger(key)
  return typeof key === 'string' && Buffer.byteLength(key) <= MOST_NAME_BYTES && !INVALID_TEXT.test(key)
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && /^[\w-]{1,64}$/.test(id)
}

/**
 * The maximum of memory for an entry of a page, as a row, as a record and as JSON: a name and a type of 255 bytes each, and
 * more. This limits one user to 16 running pages of 1,000 entries, so other users get CPU time, too.
 */
const ENTRY_BYTES = 6 * 1024

/** The maximum of memory for a page. `limit` is not validated yet. */
export function pageBytes({ query }: { query: unknown }): number {
  const limit = Number((query as { limit?: string }).limit ?? 50)
  return ENTRY_BYTES * (limit >= 1 && limit <= 1000 ? limit : 1)
}

/**
 * The first `limit` rows, and the cursor of the next page. There is a next page if more than `limit` rows were found. Otherwise
 * `goOn` is the position to continue from.
 */
export function pageOf<Row extends { id: string }>(
  found: Row[],
  limit: number,
  list: string,
  keyOf: (row: Row) => string | number,
  goOn: Position<string | number> | null = null,
): { page: Row[]; nextCursor: string | null } {
  const page = found.slice(0, limit)
  const last = found.length > limit ? page.at(-1) : undefined
  const end = last ? { key: keyOf(last), id: last.id } : goOn
  return { page, nextCursor: end && cursorOf(list, end) }
}

const FEED = 'changes'

export function feedCursor({ owner, history, revision, begunAt, givenAt }: FeedPosition): string {
  return encoded([FEED, owner, history, revision, begunAt, givenAt])
}

/** `null` for the beginning. Throws `invalid-cursor` for a cursor of a list. */
export function readFeedCursor(cursor: string | undefined): FeedPosition | null {
  if (cursor === undefined) return null
  const [of, owner, history, ...numbers] = contentOf(cursor)
  const isText = typeof owner === 'string' && typeof history === 'string'
  const isValid = of === FEED && isText && numbers.length === 3 && numbers.every(isCount)
  if (!isValid) throw problems.invalidCursor()
  const [revision, begunAt, givenAt] = numbers as [number, number, number]
  return { owner, history, revision, begunAt, givenAt }
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0

/** The list of files in an order, for its cursors. */
export const fileList = (prefix: string, sort: FileSort, order: 'asc' | 'desc'): string =>
  [prefix, sort, order].join('\0')

export function cursorOf(list: string, { key, id }: Position<string | number>): string {
  return encoded([list, key, id])
}

function encoded(content: unknown[]): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url')
}

function contentOf(cursor: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(content) ? content : []
  } catch {
    return []
  }
}
