import type { Database } from 'better-sqlite3'
import type { KeySlot } from '../../ports/accounts.ts'
import type { NewThumbnail, SealedThumbnail, SeenThumbnail, ThumbnailRepository } from '../../ports/thumbnails.ts'
import type { InTransaction } from './group-commit.ts'
import { sqliteRevisions } from './revisions.ts'

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

type Owned<Record> = Record & { owner: string }

export function sqliteThumbnails(db: Database, inTransaction: InTransaction): ThumbnailRepository {
  const revisions = sqliteRevisions(db)
  const drop = thumbnailDrop(db)
  // A user has a slot exactly as long as the user exists.
  const find = db.prepare<[{ owner: string; name: string }], FoundRow>(
    `SELECT kind, key_id AS keyId, key_slots.sealed AS slot, files.id, files.size AS sizeBytes, files.seal, files.thumbnail,
       files.thumbnail_size AS thumbnailBytes, thumbnails.content_type AS contentType, thumbnails.sealed
     FROM key_slots
     LEFT JOIN files ON files.user_id = :owner AND name = :name AND deleted_at IS NULL
     LEFT JOIN thumbnails ON thumbnails.tag = files.thumbnail
     WHERE key_slots.user_id = :owner`,
  )
  const byTag = db.prepare<[string, string], SealedThumbnail>(
    'SELECT tag, content_type AS contentType, sealed FROM thumbnails WHERE tag = ? AND user_id = ?',
  )
  const standing = db.prepare<[Owned<SeenThumbnail>], { usedBytes: number; formerBytes: number }>(
    `SELECT byte_count AS usedBytes, thumbnail_size AS formerBytes FROM files JOIN users ON users.id = user_id
     WHERE user_id = :owner AND files.name = :name AND files.id = :id AND version = :version AND thumbnail IS :thumbnail
       AND deleted_at IS NULL`,
  )
  const insert = db.prepare<[Owned<SealedThumbnail>]>(
    'INSERT INTO thumbnails (tag, user_id, content_type, sealed) VALUES (:tag, :owner, :contentType, :sealed)',
  )
  const set = db.prepare<[{ id: string; tag: string | null; sizeBytes: number; revision: number }]>(
    'UPDATE files SET thumbnail = :tag, thumbnail_size = :sizeBytes, revision = :revision WHERE id = :id',
  )
  const count = db.prepare<[number, string]>('UPDATE users SET byte_count = byte_count + ? WHERE id = ?')

  return {
    async find(owner, name) {
      const row = find.get({ owner, name })
      if (!row) return null
      const { kind, keyId, slot, id, sizeBytes, seal, thumbnail, thumbnailBytes, contentType, sealed } = row
      return {
        slot: { kind, keyId, sealed: slot },
        file: id === null ? null : { id, sizeBytes, seal, thumbnail, thumbnailBytes },
        thumbnail: thumbnail === null || contentType === null ? null : { tag: thumbnail, contentType, sealed },
      }
    },

    put(owner, seen, thumbnail, quotaBytes) {
      return inTransaction(() => change(owner, seen, thumbnail, quotaBytes), thumbnail.sizeBytes)
    },

    remove: (owner, seen) => inTransaction(() => (change(owner, seen, null, null) === 'done' ? 'done' : 'stale')),

    async byTag(owner, tag) {
      return byTag.get(tag, owner) ?? null
    },
  }

  function change(
    owner: string,
    { id, name, version, thumbnail: former }: SeenThumbnail,
    thumbnail: NewThumbnail | null,
    quotaBytes: number | null,
  ): 'done' | 'stale' | 'quota' {
    const found = standing.get({ owner, id, name, version, thumbnail: former })
    if (!found) return 'stale'
    const { tag = null, sizeBytes = 0 } = thumbnail ?? {}
    const grown = sizeBytes - found.formerBytes
    if (quotaBytes !== null && grown > 0 && found.usedBytes + grown > quotaBytes) return 'quota'
    if (thumbnail) insert.run({ owner, ...thumbnail })
    set.run({ id, tag, sizeBytes, revision: revisions.next(owner) })
    if (former !== null) drop(former)
    count.run(grown, owner)
    return 'done'
  }
}

/**
 * Deletes a thumbnail by its tag, inside the caller's transaction. Its pages are freed, and not overwritten with zeros: it is
 * sealed, and that would write each page once more.
 */
export function thumbnailDrop(db: Database): (tag: string) => void {
  const drop = db.prepare<[string]>('DELETE FROM thumbnails WHERE tag = ?')
  return (tag) => {
    db.pragma('secure_delete = FAST')
    try {
      drop.run(tag)
    } finally {
      db.pragma('secure_delete = ON')
    }
  }
}
