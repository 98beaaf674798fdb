/** Lists page by page. A cursor says which list it belongs to and where in it the page ended. Nothing in it is secret. */
import { problems } from '../problems.ts'
import { MOST_OF_A_PAGE } from '../schemas/common.ts'

/** A page of this many files costs about as much CPU time as one other request. */
const FILES_A_REQUEST = 50

/** What a page counts against the `requests` of its user. What is no limit is refused behind this. */
export function pageCost({ limit }: Record<string, unknown>): number {
  return Math.ceil(Math.min(Math.max(1, Number(limit) || 1), MOST_OF_A_PAGE) / FILES_A_REQUEST)
}

/** The key by which the list is sorted, and the id as a tie-break. */
type Place<Key> = { key: Key; id: string }

const MOST_NAME_BYTES = 255
/** Control characters, and halves of surrogate pairs. */
const NO_TEXT = /[\p{Cc}\p{Cs}]/u

/** Where the page before ended; `null` on the first. Throws `invalid-cursor` for one of another list. */
export function readCursor<Type extends 'string' | 'number'>(
  cursor: string | undefined,
  list: string,
  keyType: Type,
): Place<Type extends 'string' ? string : number> | null {
  if (cursor === undefined) return null
  const [of, key, id, ...more] = contentOf(cursor)
  const isPlace = of === list && isKey(key, keyType) && isId(id) && more.length === 0
  if (!isPlace) throw problems.invalidCursor()
  return { key: key as Type extends 'string' ? string : number, id: id as string }
}

/** Anybody can write a cursor: what no file's name, size or time can be does not reach a database. */
function isKey(key: unknown, keyType: 'string' | 'number'): boolean {
  if (keyType === 'number') return Number.isSafeInteger(key)
  return typeof key === 'string' && Buffer.byteLength(key) <= MOST_NAME_BYTES && !NO_TEXT.test(key)
}

function isId(id: unknown): boolean {
  return typeof id === 'string' && /^[\w-]{1,64}$/.test(id)
}

/**
 * What an entry of a page may hold of the memory, as a row, as a record and as JSON: a name and a type of 255 bytes each, and
 * more. So one user has at most 16 pages of 1,000 under way, and their work leaves others their turn.
 */
const ENTRY_BYTES = 6 * 1024

/** What a page may hold, by the `limit` in a query that was not checked yet. */
export function pageBytes({ query }: { query: unknown }): number {
  const limit = Number((query as { limit?: string }).limit ?? 50)
  return ENTRY_BYTES * (limit >= 1 && limit <= 1000 ? limit : 1)
}

/** The first `limit` of what was found. One more than asked for tells whether there is another page; or `goOn`, where. */
export function pageOf<Row extends { id: string }>(
  found: Row[],
  limit: number,
  list: string,
  keyOf: (row: Row) => string | number,
  goOn: Place<string | number> | null = null,
): { page: Row[]; nextCursor: string | null } {
  const page = found.slice(0, limit)
  const last = found.length > limit ? page.at(-1) : undefined
  const end = last ? { key: keyOf(last), id: last.id } : goOn
  return { page, nextCursor: end && cursorOf(list, end) }
}

function cursorOf(list: string, { key, id }: Place<string | number>): string {
  return Buffer.from(JSON.stringify([list, key, id])).toString('base64url')
}

function contentOf(cursor: string): unknown[] {
  try {
    const content: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(content) ? content : []
  } catch {
    return []
  }
}
