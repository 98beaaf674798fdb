import type { KeySlot } from '../../ports/accounts.ts'
import type { NewThumbnail, SealedThumbnail, SeenThumbnail, ThumbnailRepository } from '../../ports/thumbnails.ts'
import type { Database } from './database.ts'

interface FoundRow {
  kind: KeySlot['kind']
  keyId: string
  slot: Buffer
  /** `null` if there is no file, like all of the following. */
  id: string | null
  sizeBytes: number
  seal: Buffer
  thumbnail: string | null
  thumbnailBytes: number
  contentType: string | null
  sealed: Buffer
}

export function postgresThumbnails({ ask, call }: Database): ThumbnailRepository {
  return {
    async find(owner, name) {
      // A user has a slot exactly as long as the user exists.
      const [row] = await ask<FoundRow>(
        `SELECT kind, key_id AS "keyId", key_slots.sealed AS slot, files.id, files.size AS "sizeBytes", files.seal,
           files.thumbnail, files.thumbnail_size AS "thumbnailBytes", thumbnails.content_type AS "contentType",
           thumbnails.sealed
         FROM key_slots
         LEFT JOIN files ON files.user_id = $1 AND name = $2 AND deleted_at IS NULL
         LEFT JOIN thumbnails ON thumbnails.tag = files.thumbnail
         WHERE key_slots.user_id = $1`,
        [owner, name],
      )
      if (!row) return null
      const { kind, keyId, slot, id, sizeBytes, seal, thumbnail, thumbnailBytes, contentType, sealed } = row
      return {
        slot: { kind, keyId, sealed: slot },
        file: id === null ? null : { id, sizeBytes, seal, thumbnail, thumbnailBytes },
        thumbnail: thumbnail === null || contentType === null ? null : { tag: thumbnail, contentType, sealed },
      }
    },

    put: change,

    async remove(owner, seen) {
      return (await change(owner, seen, null, null)) === 'done' ? 'done' : 'stale'
    },

    async byTag(owner, tag) {
      const one = `SELECT tag, content_type AS "contentType", sealed FROM thumbnails WHERE user_id = $1 AND tag = $2`
      const [found] = await ask<SealedThumbnail>(one, [owner, tag])
      return found ?? null
    },
  }

  async function change(
    owner: string,
    { id, name, version, thumbnail: former }: SeenThumbnail,
    thumbnail: NewThumbnail | null,
    quotaBytes: number | null,
  ) {
    const [row] = await call<{ answer: 'done' | 'stale' | 'quota' }>('change_thumbnail', {
      owner,
      seen_id: id,
      seen_name: name,
      seen_version: version,
      seen_thumbnail: former,
      new_tag: thumbnail?.tag ?? null,
      new_type: thumbnail?.contentType ?? null,
      new_size: thumbnail?.sizeBytes ?? 0,
      new_sealed: thumbnail?.sealed ?? null,
      quota: quotaBytes,
    })
    return row?.answer as 'done' | 'stale' | 'quota'
  }
}
