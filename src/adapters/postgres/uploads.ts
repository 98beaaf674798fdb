import type { ListedUpload, Upload, UploadRepository } from '../../ports/uploads.ts'
import type { Database } from './database.ts'

const LISTED = `id, name, content_type AS "contentType", size AS "sizeBytes", received AS "offset", parts,
  on_conflict AS "onConflict", protocol, created_at AS "createdAt", touched_at AS "touchedAt", claim,
  file_id AS "fileId", file_name AS "fileName"`
const UPLOAD = `${LISTED}, terms, seal`

interface Row {
  answer: 'done' | 'stale' | 'run-ended' | 'quota'
}

export function postgresUploads({ ask, call }: Database): UploadRepository {
  return {
    async create(owner, upload, most) {
      const [row] = await call<{ answer: 'done' | 'full' | 'gone' }>('create_upload', {
        owner,
        most,
        new_id: upload.id,
        new_name: upload.name,
        new_type: upload.contentType,
        new_size: upload.sizeBytes,
        new_on_conflict: upload.onConflict,
        new_protocol: upload.protocol,
        new_terms: upload.terms,
        new_seal: upload.seal,
        at: upload.createdAt,
      })
      return row?.answer ?? 'gone'
    },

    async find(owner, id) {
      const [upload] = await ask<Upload>(`SELECT ${UPLOAD} FROM uploads WHERE user_id = $1 AND id = $2`, [owner, id])
      return upload ?? null
    },

    list: (owner) =>
      ask<ListedUpload>(
        `SELECT ${LISTED} FROM uploads WHERE user_id = $1 AND file_id IS NULL ORDER BY created_at, id`,
        [owner],
      ),

    async claim(owner, id) {
      const text = `UPDATE uploads SET claim = claim + 1 WHERE user_id = $1 AND id = $2 RETURNING ${UPLOAD}`
      const [upload] = await ask<Upload>(text, [owner, id])
      return upload ?? null
    },

    async append(owner, seen, part, { sizeBytes, at, quotaBytes, replaced }) {
      const given = {
        owner,
        upload: seen.id,
        seen_received: seen.offset,
        seen_claim: seen.claim,
        new_blob: part?.blob ?? null,
        part_size: part?.sizeBytes ?? 0,
        part_seal: part?.seal ?? null,
        whole_size: sizeBytes,
        at,
        quota: quotaBytes,
      }
      const [row] = await (part && replaced !== undefined
        ? call<Row>('replace_last_part', { ...given, part_start: part.start, replaced })
        : call<Row>('append_part', given))
      return row?.answer ?? 'stale'
    },

    async concatenate(owner, id, moved, at) {
      const [row] = await call<{ answer: 'done' | 'stale' }>('concatenate_uploads', {
        owner,
        whole: id,
        uploads_of: moved.map(({ upload }) => upload),
        froms: moved.map(({ from }) => from),
        starts: moved.map(({ start }) => start),
        seals: moved.map(({ seal }) => seal),
        at,
      })
      return row?.answer ?? 'stale'
    },

    async page(after, limit) {
      const text = `SELECT user_id AS owner, ${UPLOAD} FROM uploads WHERE id > $1 AND file_id IS NULL ORDER BY id LIMIT $2`
      const rows = await ask<Upload & { owner: string }>(text, [after, limit])
      return rows.map(({ owner, ...upload }) => ({ owner, upload }))
    },

    async remove(owner, id) {
      const one = 'SELECT id FROM uploads WHERE user_id = $1 AND id = $2'
      const rows = await ask(`SELECT FROM drop_uploads(ARRAY(${one}))`, [owner, id])
      return rows.length === 1
    },

    async expire(touchedUntil, limit, owner) {
      const ofOwner = owner === null ? '' : 'AND user_id = $3'
      const oldest = `SELECT id FROM uploads WHERE touched_at <= $1 ${ofOwner} ORDER BY touched_at LIMIT $2`
      const text = `SELECT dropped, is_version AS "isVersion" FROM drop_uploads(ARRAY(${oldest}), $1)`
      const rows = await ask<{ dropped: string; isVersion: boolean }>(
        text,
        owner === null ? [touchedUntil, limit] : [touchedUntil, limit, owner],
      )
      return { removed: rows.length, versions: rows.filter(({ isVersion }) => isVersion).map(({ dropped }) => dropped) }
    },
  }
}
