import type { KeySlot } from '../../ports/accounts.ts'
import type {
  FileQuery,
  FileRepository,
  FileSort,
  LiveOrTrashed,
  OwnedFile,
  Part,
  ReadBack,
  SealedEntry,
  SealedFile,
} from '../../ports/files.ts'
import type { Database } from './database.ts'
import { postgresMonths } from './months.ts'

export const FILE = `id, name, size AS "sizeBytes", content_type AS "contentType", created_at AS "createdAt",
  updated_at AS "updatedAt", named_at AS "namedAt", version, seal, tag, taken_at AS "takenAt",
  taken_offset AS "takenOffset", verified_at AS "verifiedAt", thumbnail, thumbnail_size AS "thumbnailBytes"`

const SORT_COLUMN: Record<FileSort, string> = {
  name: 'name',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  size: 'size',
  takenAt: 'dated_at',
}

const SORT_KEY: Record<Exclude<FileSort, 'name'>, (file: SealedFile) => number> = {
  createdAt: ({ createdAt }) => createdAt,
  updatedAt: ({ updatedAt }) => updatedAt,
  size: ({ sizeBytes }) => sizeBytes,
  takenAt: ({ takenAt, createdAt }) => takenAt ?? createdAt,
}

/** A prefix with this text after it is greater than any name with the prefix: no name has room for so many characters. */
const BEYOND = '\u{10ffff}'.repeat(64)

export function postgresFiles({ ask, call }: Database): FileRepository {
  const transact = async <Answer>(name: string, values: Record<string, unknown>): Promise<Answer> => {
    const [row] = await call<{ answer: Answer }>(name, values)
    return row?.answer as Answer
  }

  return {
    async snapshot(owner, name) {
      const [row] = await ask<SnapshotRow>(SNAPSHOT, [owner, name])
      if (!row) return null
      const { kind, keyId, sealed, usedBytes, usedFiles, firstPart, ...file } = row
      const used = { bytes: usedBytes, files: usedFiles }
      return {
        slot: { kind, keyId, sealed },
        used,
        file: file.id === null ? null : (file as SealedFile),
        firstPart: firstPart && partOf(firstPart),
      }
    },

    commit: (owner, file, replaces, quota, displaced, source) =>
      transact('commit_file', {
        owner,
        new_id: file.id,
        new_name: file.name,
        new_size: file.sizeBytes,
        new_type: file.contentType,
        new_created_at: file.createdAt,
        new_updated_at: file.updatedAt,
        new_named_at: file.namedAt,
        new_version: file.version,
        new_blob: file.blob,
        new_seal: file.seal,
        new_tag: file.tag,
        new_taken_at: file.takenAt,
        new_taken_offset: file.takenOffset,
        seen_version: replaces,
        quota: quota?.bytes ?? null,
        file_quota: quota?.files ?? null,
        entry_id: displaced?.id ?? null,
        entry_seal: displaced?.seal ?? null,
        entry_deleted_at: displaced?.deletedAt ?? null,
        source_upload: source?.upload ?? null,
        source_received: source?.received ?? 0,
      }),

    edit: (owner, { id, name, version }, { name: newName, taken }, at) =>
      transact('edit_file', {
        owner,
        seen_id: id,
        seen_name: name,
        seen_version: version,
        new_name: newName,
        is_dated: taken !== null,
        new_taken_at: taken?.takenAt ?? null,
        new_taken_offset: taken?.takenOffset ?? null,
        at,
      }),

    discard: (owner, { id, name, version }, at) =>
      transact('discard_file', { owner, seen_id: id, seen_name: name, seen_version: version, at }),

    async forgetVacated(at, limit) {
      const [row] = await call<{ forgotten: number }>('forget_vacated_names', { at, most: limit })
      return row?.forgotten ?? 0
    },

    list(owner, query) {
      const { text, values } = pageOf(owner, query)
      return ask<SealedFile>(text, values)
    },

    async scan(owner, query, rows) {
      const { text, values } = scanOf(owner, query, rows)
      const seen = await ask<SealedFile & { n: number }>(text, values)
      const last = seen.at(-1)
      return {
        found: seen
          .filter(({ name }) => name.startsWith(query.prefix))
          .slice(0, query.limit)
          .map(({ n: _n, ...file }) => file),
        last: last?.n === rows ? { key: SORT_KEY[query.sort](last), id: last.id } : null,
      }
    },

    countByMonth: postgresMonths({ ask }),

    async taken(owner, names) {
      const text = 'SELECT name FROM files WHERE user_id = $1 AND name = ANY ($2) AND deleted_at IS NULL'
      return (await ask<{ name: string }>(text, [owner, names])).map(({ name }) => name)
    },

    tagged: (owner, tag, { prefix, after, limit }) =>
      ask<SealedFile>(
        `SELECT ${FILE} FROM files WHERE user_id = $1 AND tag = $2 AND deleted_at IS NULL
           AND name > $3 AND name < $4 ORDER BY name LIMIT $5`,
        [owner, tag, after ?? prefix, prefix + BEYOND, limit],
      ),

    withTags: (owner, tags, limit) =>
      ask<SealedEntry>(
        `SELECT id, name, size AS "sizeBytes", version, seal, tag, verified_at AS "verifiedAt", deleted_at AS "deletedAt"
         FROM files WHERE user_id = $1 AND tag = ANY ($2) LIMIT $3`,
        [owner, tags, limit],
      ),

    withIds: (owner, ids) =>
      ask<LiveOrTrashed>(`SELECT ${FILE}, deleted_at AS "deletedAt" FROM files WHERE id = ANY ($1) AND user_id = $2`, [
        ids,
        owner,
      ]),

    async recordReadBacks(attempts) {
      await ask(RECORD_READ_BACKS, [
        attempts.map(({ id }) => id),
        attempts.map(({ version }) => version),
        attempts.map(({ at }) => at),
        attempts.map(({ opened }) => opened),
      ])
    },

    async readBack({ from, before }, limit) {
      const rows = await ask<Owned & { at: number; failed: boolean }>(LAST_READ_BACK, [from, before, limit])
      return rows.map(({ at, failed, ...row }): ReadBack => ({ ...ownedFile(row), at, failed }))
    },

    async countReadBack(since) {
      const text = `SELECT count(*) AS count, coalesce(sum(size), 0)::bigint AS bytes FROM files WHERE ${READ_BACK_AT} >= $1`
      const [row] = await ask<{ count: number; bytes: number }>(text, [since])
      return row as { count: number; bytes: number }
    },

    async untagged(after, limit) {
      const text = `SELECT user_id AS owner, ${FILE} FROM files WHERE tag IS NULL AND id > $1 ORDER BY id LIMIT $2`
      return (await ask<Owned>(text, [after, limit])).map(ownedFile)
    },

    async fillInTags(tags) {
      await ask(
        `UPDATE files SET tag = given.tag FROM unnest($1::text[], $2::text[], $3::bytea[]) AS given (id, version, tag)
         WHERE files.id = given.id AND files.version = given.version AND files.tag IS NULL`,
        [tags.map(({ id }) => id), tags.map(({ version }) => version), tags.map(({ tag }) => tag)],
      )
    },

    async page(after, limit) {
      const text = `SELECT user_id AS owner, ${FILE} FROM files WHERE id > $1 ORDER BY id LIMIT $2`
      return (await ask<Owned>(text, [after, limit])).map(ownedFile)
    },

    async byId(id) {
      const [row] = await ask<Owned>(`SELECT user_id AS owner, ${FILE} FROM files WHERE id = $1`, [id])
      return row ? ownedFile(row) : null
    },

    parts: (version, from, limit) => ask<Part>(PARTS, [version, from, limit]),
  }
}

type SnapshotRow = KeySlot & { usedBytes: number; usedFiles: number; firstPart: PartAsJson | null } & (
    | SealedFile
    | { id: null }
  )

/** Numbers in JSON are exact up to 2^53. Bytes are in base64. */
type PartAsJson = Omit<Part, 'seal'> & { seal: string | null }

function partOf({ seal, ...part }: PartAsJson): Part {
  return { ...part, seal: seal === null ? null : Buffer.from(seal, 'base64') }
}

const SNAPSHOT = `SELECT kind, key_id AS "keyId", sealed, byte_count AS "usedBytes",
    file_count + trash_count AS "usedFiles", file.*,
    (SELECT json_build_object('start', start, 'sizeBytes', size, 'blob', blob, 'seal', encode(parts.seal, 'base64'))
      FROM parts WHERE parts.version = file.version AND start = 0) AS "firstPart"
  FROM users JOIN key_slots ON key_slots.user_id = users.id
  LEFT JOIN LATERAL (SELECT ${FILE} FROM files WHERE files.user_id = users.id AND files.name = $2
    AND deleted_at IS NULL) AS file ON true
  WHERE users.id = $1`

/** The expression of the index `files_by_verified_at`. */
const READ_BACK_AT = 'coalesce(failed_at, verified_at, 0)'

const LAST_READ_BACK = `SELECT user_id AS owner, ${FILE}, ${READ_BACK_AT} AS at, failed_at IS NOT NULL AS failed FROM files
  WHERE ${READ_BACK_AT} >= $1 AND ${READ_BACK_AT} < $2 ORDER BY ${READ_BACK_AT}, id LIMIT $3`

/** Locked rows are left out: a statement that waits for several rows could deadlock with a transaction that deletes them. */
const RECORD_READ_BACKS = `WITH tried AS (
    SELECT files.id, given.at, given.opened FROM files
    JOIN unnest($1::text[], $2::text[], $3::bigint[], $4::boolean[]) AS given (id, version, at, opened)
      ON files.id = given.id AND files.version = given.version
    FOR NO KEY UPDATE OF files SKIP LOCKED)
  UPDATE files SET verified_at = CASE WHEN opened THEN tried.at ELSE verified_at END,
    failed_at = CASE WHEN opened THEN NULL ELSE tried.at END
  FROM tried WHERE files.id = tried.id`

/** The part before `from`, if there is one, may contain it. */
const PARTS = `SELECT start, size AS "sizeBytes", blob, seal FROM parts
  WHERE version = $1 AND start >= coalesce((SELECT max(start) FROM parts WHERE version = $1 AND start <= $2), 0)
  ORDER BY start LIMIT $3`

type Owned = SealedFile & { owner: string }

function ownedFile({ owner, ...file }: Owned): OwnedFile {
  return { owner, file }
}

/** Keyset paging: a page starts at the place in an index where the last page ended, so every page costs the same. */
export function pageOf(owner: string, { prefix, sort, order, after, limit }: FileQuery) {
  const column = SORT_COLUMN[sort]
  const past = order === 'asc' ? '>' : '<'
  const values: unknown[] = [owner, limit]
  const given = (value: unknown) => `$${values.push(value)}`
  const conditions = ['user_id = $1', 'deleted_at IS NULL']
  if (prefix !== '') conditions.push(`name >= ${given(prefix)}`, `name < ${given(prefix + BEYOND)}`)
  // Names of one owner are unique, so they need no tie-break.
  if (after && sort === 'name') conditions.push(`name ${past} ${given(after.key)}`)
  else if (after) conditions.push(`(${column}, id) ${past} (${given(after.key)}, ${given(after.id)})`)
  const by = sort === 'name' ? `name ${order}` : `${column} ${order}, id ${order}`
  return { text: `SELECT ${FILE} FROM files WHERE ${conditions.join(' AND ')} ORDER BY ${by} LIMIT $2`, values }
}

/** Of the next `rows` rows of the index: those with the prefix, and the last row. */
function scanOf(owner: string, { prefix, sort, order, after }: Omit<FileQuery, 'limit'>, rows: number) {
  const column = SORT_COLUMN[sort]
  const by = `${column} ${order}, id ${order}`
  const past = after ? `AND (${column}, id) ${order === 'asc' ? '>' : '<'} ($5, $6)` : ''
  return {
    text: `SELECT * FROM (
        SELECT ${FILE}, row_number() OVER (ORDER BY ${by}) AS n
        FROM files WHERE user_id = $1 AND deleted_at IS NULL ${past} ORDER BY ${by} LIMIT $2) AS seen
      WHERE n = $2 OR (name >= $3 AND name < $4) ORDER BY n`,
    values: [owner, rows, prefix, prefix + BEYOND, ...(after ? [after.key, after.id] : [])],
  }
}
