import type { Database, Statement } from 'better-sqlite3'
import type { FileQuery, FileRepository, FileSort, StoredFile } from '../../ports.ts'
import type { Act } from './group-commit.ts'

const COLUMNS = `id, name, size AS sizeBytes, content_type AS contentType, sha256,
  created_at AS createdAt, updated_at AS updatedAt, blob FROM files`

const SORT_COLUMN: Record<FileSort, string> = {
  name: 'name',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  size: 'size',
}

export function sqliteFiles(db: Database, act: Act): FileRepository {
  const byName = db.prepare<[string, string], StoredFile>(`SELECT ${COLUMNS} WHERE user_id = ? AND name = ?`)
  const runLives = db.prepare<[string], unknown>('SELECT 1 FROM runs WHERE id = ? AND ended = 0')
  const blobUnder = db.prepare<[string, string], { blob: string }>(
    'SELECT blob FROM files WHERE user_id = ? AND name = ?',
  )
  const insert = db.prepare<[StoredFile & { owner: string }]>(
    `INSERT INTO files (id, user_id, name, size, content_type, sha256, created_at, updated_at, blob)
     VALUES (:id, :owner, :name, :sizeBytes, :contentType, :sha256, :createdAt, :updatedAt, :blob)`,
  )
  const replace = db.prepare<[StoredFile & { owner: string }]>(
    `UPDATE files SET size = :sizeBytes, content_type = :contentType, sha256 = :sha256, updated_at = :updatedAt,
     blob = :blob WHERE user_id = :owner AND name = :name`,
  )
  const discard = db.prepare<[string]>('INSERT INTO garbage (blob) VALUES (?)')
  const pages = new Map<string, Statement<[Record<string, unknown>], StoredFile>>()

  return {
    async find(owner, name) {
      return byName.get(owner, name) ?? null
    },

    commit(owner, file, replaces) {
      return act(() => {
        if (!runLives.get(file.blob.slice(0, file.blob.indexOf('/')))) return 'run-ended'
        if ((blobUnder.get(owner, file.name)?.blob ?? null) !== replaces) return 'stale'
        if (replaces === null) {
          insert.run({ ...file, owner })
        } else {
          replace.run({ ...file, owner })
          discard.run(replaces)
        }
        return 'done'
      })
    },

    async list(owner, { prefix, sort, order, after, limit }) {
      return pageStatement(prefix, sort, order, after !== null).all({
        owner,
        prefix,
        beyond: successor(prefix),
        key: after?.key,
        id: after?.id,
        limit,
      })
    },
  }

  /** One statement for each kind of page, prepared when it is first asked for. */
  function pageStatement(prefix: string, sort: FileSort, order: FileQuery['order'], resumed: boolean) {
    const beyond = successor(prefix)
    const sql = pageSql({ sort, order, resumed, prefixed: prefix !== '', bounded: beyond !== null })
    let statement = pages.get(sql)
    if (!statement) {
      statement = db.prepare<[Record<string, unknown>], StoredFile>(sql)
      pages.set(sql, statement)
    }
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

/** Keyset paging: a page begins where an index says the last one ended, so it costs the same however far in it is. */
export function pageSql({ sort, order, resumed, prefixed, bounded }: PageKind): string {
  const column = SORT_COLUMN[sort]
  const past = order === 'asc' ? '>' : '<'
  const conditions = ['user_id = :owner']
  if (prefixed) conditions.push('name >= :prefix')
  if (prefixed && bounded) conditions.push('name < :beyond')
  // Names are unique for their owner, so they need no tie-break.
  if (resumed) conditions.push(sort === 'name' ? `name ${past} :key` : `(${column}, id) ${past} (:key, :id)`)
  const by = sort === 'name' ? `name ${order}` : `${column} ${order}, id ${order}`
  return `SELECT ${COLUMNS} WHERE ${conditions.join(' AND ')} ORDER BY ${by} LIMIT :limit`
}

/** The least string, in the order of UTF-8 bytes, that is greater than all that begin so; `null` where none is. */
function successor(prefix: string): string | null {
  const points = [...prefix].map((character) => character.codePointAt(0) as number)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return null
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
