import type { Database } from 'better-sqlite3'
import type { Part } from '../../ports/files.ts'
import type { ListedUpload, OwnedUpload, Upload, UploadRepository } from '../../ports/uploads.ts'
import type { InTransaction } from './group-commit.ts'

const LISTED = `id, name, content_type AS contentType, size AS sizeBytes, received AS offset, parts,
  on_conflict AS onConflict, protocol, created_at AS createdAt, touched_at AS touchedAt, claim,
  file_id AS fileId, file_name AS fileName`
const COLUMNS = `${LISTED}, terms, seal`

export const countOpenSql = 'SELECT count(*) FROM uploads WHERE user_id = ? AND file_id IS NULL'

export const hasSoManySql = 'SELECT 1 FROM uploads WHERE user_id = ? LIMIT 1 OFFSET ?'

export const oldestOfSql = `SELECT user_id AS owner, ${COLUMNS} FROM uploads
  WHERE user_id = ? AND touched_at <= ? ORDER BY touched_at LIMIT ?`

export function sqliteUploads(db: Database, inTransaction: InTransaction): UploadRepository {
  const hasUser = db.prepare<[string], unknown>('SELECT 1 FROM users WHERE id = ?')
  const open = db.prepare<[string], number>(countOpenSql).pluck()
  const insert = db.prepare<[Upload & { owner: string }]>(
    `INSERT INTO uploads (id, user_id, name, content_type, size, received, parts, on_conflict, protocol, terms, seal,
       created_at, touched_at, claim, file_id, file_name)
     VALUES (:id, :owner, :name, :contentType, :sizeBytes, :offset, :parts, :onConflict, :protocol, :terms, :seal,
       :createdAt, :touchedAt, :claim, :fileId, :fileName)`,
  )
  const hasSoMany = db.prepare<[string, number], unknown>(hasSoManySql)
  // Some at once, so that the search is rare.
  const dropComplete = db.prepare<[string]>(
    `DELETE FROM uploads WHERE id IN (
       SELECT id FROM uploads WHERE user_id = ? AND file_id IS NOT NULL ORDER BY touched_at LIMIT 50)`,
  )
  const byId = db.prepare<[string, string], Upload>(`SELECT ${COLUMNS} FROM uploads WHERE id = ? AND user_id = ?`)
  const ofUser = db.prepare<[string], ListedUpload>(
    `SELECT ${LISTED} FROM uploads WHERE user_id = ? AND file_id IS NULL ORDER BY created_at, id`,
  )
  const claim = db.prepare<[string, string]>('UPDATE uploads SET claim = claim + 1 WHERE id = ? AND user_id = ?')
  const runLives = db.prepare<[string], unknown>('SELECT 1 FROM runs WHERE id = ? AND ended = 0')
  const used = db.prepare<[string], number>('SELECT byte_count FROM users WHERE id = ?').pluck()
  const insertPart = db.prepare<[Part & { version: string }]>(
    'INSERT INTO parts (version, start, size, blob, seal) VALUES (:version, :start, :sizeBytes, :blob, :seal)',
  )
  const discardPart = db.prepare<[{ id: string; start: number; end: number; replaced: string }]>(
    'UPDATE parts SET version = :replaced WHERE version = :id AND start = :start AND start + size = :end',
  )
  const grow = db.prepare<[{ id: string; bytes: number; parts: number; sizeBytes: number | null; at: number }]>(
    `UPDATE uploads SET received = received + :bytes, parts = parts + :parts, size = coalesce(:sizeBytes, size),
       touched_at = :at WHERE id = :id`,
  )
  const count = db.prepare<[number, string]>('UPDATE users SET byte_count = byte_count + ? WHERE id = ?')
  const presentParts = db
    .prepare<[string], number>(
      `SELECT count(*) FROM (SELECT DISTINCT version, start FROM json_each(?) AS given
         JOIN parts ON version = given.value ->> 'upload' AND start = given.value ->> 'from')`,
    )
    .pluck()
  const movePart = db.prepare<[string, number, Buffer, string, number]>(
    'UPDATE parts SET version = ?, start = ?, seal = ? WHERE version = ? AND start = ?',
  )
  const remove = db.prepare<[string]>('DELETE FROM uploads WHERE id = ?')
  const discard = db.prepare<[string]>('INSERT INTO garbage (version) VALUES (?)')
  const everybodys = db.prepare<[string, number], Owned>(
    `SELECT user_id AS owner, ${COLUMNS} FROM uploads WHERE id > ? AND file_id IS NULL ORDER BY id LIMIT ?`,
  )
  const oldest = db.prepare<[number, number], Owned>(
    `SELECT user_id AS owner, ${COLUMNS} FROM uploads WHERE touched_at <= ? ORDER BY touched_at LIMIT ?`,
  )
  const oldestOf = db.prepare<[string, number, number], Owned>(oldestOfSql)

  return {
    create(owner, upload, most) {
      return inTransaction(() => {
        if (!hasUser.get(owner)) return 'gone'
        if ((open.get(owner) ?? 0) >= most) return 'full'
        // The records of complete uploads take space, too.
        if (hasSoMany.get(owner, 2 * most - 1)) dropComplete.run(owner)
        insert.run({ ...upload, owner })
        return 'done'
      })
    },

    async find(owner, id) {
      return byId.get(id, owner) ?? null
    },

    async list(owner) {
      return ofUser.all(owner)
    },

    claim(owner, id) {
      return inTransaction(() => {
        claim.run(id, owner)
        return byId.get(id, owner) ?? null
      })
    },

    append(owner, seen, part, { sizeBytes, at, quotaBytes, replaced }) {
      return inTransaction(() => {
        if (part && !runLives.get(part.blob.slice(0, part.blob.indexOf('/')))) return 'run-ended'
        const upload = byId.get(seen.id, owner)
        const isSeen = upload?.claim === seen.claim && upload.offset === seen.offset && upload.fileId === null
        if (!isSeen) return 'stale'
        const usedBytes = used.get(owner)
        if (usedBytes === undefined) return 'stale'
        const bytes = part ? part.start + part.sizeBytes - seen.offset : 0
        if (quotaBytes !== null && bytes > 0 && usedBytes + bytes > quotaBytes) return 'quota'
        if (part && replaced !== undefined) {
          const last = { id: seen.id, start: part.start, end: seen.offset, replaced }
          if (discardPart.run(last).changes === 0) return 'stale'
          discard.run(replaced)
        }
        if (part) insertPart.run({ ...part, version: seen.id })
        grow.run({ id: seen.id, bytes, parts: part && replaced === undefined ? 1 : 0, sizeBytes, at })
        count.run(bytes, owner)
        return 'done'
      })
    },

    concatenate(owner, id, moved, at) {
      return inTransaction(() => {
        const whole = byId.get(id, owner)
        const pieces = [...new Set(moved.map(({ upload }) => upload))].map((piece) => byId.get(piece, owner))
        const isWhole = pieces.every((piece) => piece && piece.fileId === null && piece.offset === piece.sizeBytes)
        const parts = pieces.reduce((sum, piece) => sum + (piece?.parts ?? 0), 0)
        if (!whole || whole.parts > 0 || !isWhole || parts !== moved.length) return 'stale'
        const places = moved.map(({ upload, from }) => ({ upload, from }))
        if (presentParts.get(JSON.stringify(places)) !== parts) return 'stale'
        for (const { upload, from, start, seal } of moved) movePart.run(id, start, seal, upload, from)
        const bytes = pieces.reduce((sum, piece) => sum + (piece?.offset ?? 0), 0)
        for (const piece of pieces) remove.run(piece?.id ?? '')
        grow.run({ id, bytes, parts, sizeBytes: bytes, at })
        return 'done'
      })
    },

    async page(after, limit) {
      return everybodys.all(after, limit).map(ownedUpload)
    },

    remove(owner, id) {
      return inTransaction(() => {
        const upload = byId.get(id, owner)
        if (!upload) return false
        drop({ ...upload, owner })
        return true
      })
    },

    expire(touchedUntil, limit, owner) {
      return inTransaction(() => {
        const expired = owner === null ? oldest.all(touchedUntil, limit) : oldestOf.all(owner, touchedUntil, limit)
        return { removed: expired.length, versions: expired.flatMap(drop) }
      })
    },
  }

  /** Returns the version that is garbage now, if it is one. */
  function drop({ owner, id, offset, parts, fileId }: Owned): string[] {
    remove.run(id)
    if (fileId !== null) return []
    count.run(-offset, owner)
    if (parts === 0) return []
    discard.run(id)
    return [id]
  }
}

type Owned = Upload & { owner: string }

function ownedUpload({ owner, ...upload }: Owned): OwnedUpload {
  return { owner, upload }
}
