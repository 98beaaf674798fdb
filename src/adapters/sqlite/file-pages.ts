/** Pages of a user's files in each order, by seeks in an index. */
import type { Database } from 'better-sqlite3'
import type { FileQuery, FileRepository, FileSort } from '../../ports/files.ts'
import { FILE_COLUMNS, type FileValues, fileOf } from './file-rows.ts'

const SORT_COLUMN: Record<FileSort, string> = {
  name: 'name',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  size: 'size',
  takenAt: 'dated_at',
}

const SORT_FIELD: Record<FileSort, string> = {
  name: 'name',
  createdAt: 'createdAt',
  updatedAt: 'updatedAt',
  size: 'sizeBytes',
  takenAt: 'coalesce(takenAt, createdAt)',
}

export function sqliteFilePages(db: Database): Pick<FileRepository, 'list' | 'scan'> {
  type Values = [Record<string, unknown>]
  const page = preparedOnce((sql) => db.prepare<Values, FileValues>(sql).raw())
  const lastPlace = preparedOnce((sql) => db.prepare<Values, FileQuery['after']>(sql))

  return {
    async list(owner, { prefix, sort, order, after, limit }) {
      const place = { owner, key: after?.key, id: after?.id }
      const statement = pageStatement(prefix, sort, order, after !== null)
      return statement.all({ ...place, prefix, beyond: successor(prefix), limit }).map(fileOf)
    },

    async scan(owner, { prefix, sort, order, after, limit }, rows) {
      const sql = scanSql({ sort, order, resumed: after !== null })
      const place = { owner, key: after?.key, id: after?.id, rows }
      const found = page(sql.found).all({ ...place, prefix, beyond: successor(prefix), limit })
      return { found: found.map(fileOf), last: lastPlace(sql.last).get(place) ?? null }
    },
  }

  function pageStatement(prefix: string, sort: FileSort, order: FileQuery['order'], resumed: boolean) {
    const beyond = successor(prefix)
    return page(pageSql({ sort, order, resumed, prefixed: prefix !== '', bounded: beyond !== null }))
  }
}

/** Each kind of page has one statement, which is prepared at its first use. */
function preparedOnce<Statement>(prepare: (sql: string) => Statement): (sql: string) => Statement {
  const statements = new Map<string, Statement>()
  return (sql) => {
    const statement = statements.get(sql) ?? prepare(sql)
    statements.set(sql, statement)
    return statement
  }
}

interface PageKind {
  sort: FileSort
  order: FileQuery['order']
  resumed: boolean
  prefixed: boolean
  bounded: boolean
}

/** Keyset paging: a page starts at the place in an index where the last page ended, so every page costs the same. */
export function pageSql({ sort, order, resumed, prefixed, bounded }: PageKind): string {
  const column = SORT_COLUMN[sort]
  const past = order === 'asc' ? '>' : '<'
  const conditions = ['user_id = :owner', 'deleted_at IS NULL']
  if (prefixed) conditions.push('name >= :prefix')
  if (prefixed && bounded) conditions.push('name < :beyond')
  // Names of one owner are unique, so they need no tie-break.
  if (resumed) conditions.push(sort === 'name' ? `name ${past} :key` : `(${column}, id) ${past} (:key, :id)`)
  const by = sort === 'name' ? `name ${order}` : `${column} ${order}, id ${order}`
  return `SELECT ${FILE_COLUMNS} FROM files WHERE ${conditions.join(' AND ')} ORDER BY ${by} LIMIT :limit`
}

/** `found`: of the next `:rows` rows of the index, those with the prefix. `last`: the place of the last of these rows. */
function scanSql({ sort, order, resumed }: Pick<PageKind, 'sort' | 'order' | 'resumed'>) {
  const column = SORT_COLUMN[sort]
  const past = resumed ? `AND (${column}, id) ${order === 'asc' ? '>' : '<'} (:key, :id)` : ''
  const rows = `FROM files WHERE user_id = :owner AND deleted_at IS NULL ${past} ORDER BY ${column} ${order}, id ${order}`
  return {
    found: `SELECT * FROM (SELECT ${FILE_COLUMNS} ${rows} LIMIT :rows)
      WHERE name >= :prefix AND (:beyond IS NULL OR name < :beyond) ORDER BY ${SORT_FIELD[sort]} ${order}, id ${order} LIMIT :limit`,
    last: `SELECT ${column} AS key, id ${rows} LIMIT 1 OFFSET :rows - 1`,
  }
}

/** The least string, in the order of UTF-8 bytes, that is greater than all strings with the prefix; `null` if none is. */
export function successor(prefix: string): string | null {
  const points = [...prefix].map((character) => character.codePointAt(0) as number)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return null
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
