/** Puts very many files into a vault, straight into its database. They have thumbnails, but no contents. */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { nanoid } from 'nanoid'
import { picture } from '../../../clients/typescript/demo/pictures.ts'
import { readKeyFile } from '../../../src/adapters/disk/key-file.ts'
import { sqliteKeySlots } from '../../../src/adapters/sqlite/key-slots.ts'
import { sealSecrets } from '../../../src/vault/crypto/envelope.ts'
import { openKeyring } from '../../../src/vault/crypto/keyring.ts'
import { sealThumbnail } from '../../../src/vault/crypto/thumbnail.ts'
import { tagsUnder } from '../../../src/vault/files/tags.ts'

interface Options {
  /** The files are spread over the time between both. */
  newest?: number
  oldest?: number
  /** Larger thumbnails, as phones make them. */
  large?: boolean
}

const PICTURES = 24
const YEAR_MS = 365.25 * 24 * 3600 * 1000

/** For the only user of the server with this data folder. Every 40th file is a video, and every 100th a PDF. */
export async function seed(
  dataFolder: string,
  files: number,
  { newest = Date.UTC(2026, 10, 20), oldest = newest - 10 * YEAR_MS, large = false }: Options = {},
): Promise<void> {
  const database = new Database(join(dataFolder, 'minikeepsafe.db'))
  const { id: owner } = database.prepare<[], { id: string }>('SELECT id FROM users').get() as { id: string }
  const current = Buffer.from(readKeyFile(join(dataFolder, 'master.key')) ?? '', 'base64')
  const keySlots = sqliteKeySlots(database, async (act) => act())
  const ports = { masterKeys: { current, previous: [] }, keySlots, chance: { bytes: randomBytes } }
  const vaultKey = await openKeyring({ ports }).vaultKey(owner)
  const tagOf = tagsUnder(vaultKey)
  const insertFile = database.prepare(
    `INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, taken_at, dated_at, version, seal, tag,
       revision, thumbnail, thumbnail_size)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insertPart = database.prepare('INSERT INTO parts (version, start, size, blob) VALUES (?, 0, ?, ?)')
  const insertThumbnail = database.prepare(
    'INSERT INTO thumbnails (tag, user_id, content_type, sealed) VALUES (?, ?, ?, ?)',
  )
  // Files with one picture have one content, so they can share its thumbnail.
  const pictures = Array.from({ length: PICTURES }, (_, n) => {
    const drawn = picture(n, '2026-01-01T00:00:00Z')
    const bytes = large ? drawn.jpeg : drawn.thumbnail
    const tag = nanoid()
    const sha256 = createHash('sha256').update(drawn.jpeg).digest('hex')
    const binding = { owner, tag, contentType: 'image/jpeg', sha256 }
    insertThumbnail.run(tag, owner, 'image/jpeg', sealThumbnail(vaultKey, randomBytes(12), binding, bytes))
    return { tag, sha256, sizeBytes: bytes.length }
  })
  const ids = Array.from({ length: files }, () => nanoid()).sort()
  const durable = database.pragma('synchronous', { simple: true })
  database.pragma('synchronous = OFF')
  // Indexes are made afterwards: that is several times faster.
  const indexes = database
    .prepare<[], { name: string; sql: string }>(
      `SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name IN ('files', 'parts') AND sql IS NOT NULL`,
    )
    .all()
  database.transaction(() => {
    for (const { name } of indexes) database.exec(`DROP INDEX ${name}`)
    for (let n = 0; n < files; n += 1) {
      const id = ids[n] as string
      const number = String(n).padStart(6, '0')
      const [name, type] =
        n % 100 === 99
          ? [`Letter_${number}.pdf`, 'application/pdf']
          : n % 40 === 20
            ? [`VID_${number}.mp4`, 'video/mp4']
            : [`IMG_${number}.jpg`, 'image/jpeg']
      const takenAt = Math.round(newest - (n / files) * (newest - oldest))
      const sizeBytes = 1_000_000 + n
      const drawing = type === 'application/pdf' ? null : pictures[n % PICTURES]
      const sha256 = drawing?.sha256 ?? createHash('sha256').update(id).digest('hex')
      const sealed = sealSecrets(vaultKey, randomBytes(12), owner, id, {
        fileKey: randomBytes(32),
        sha256,
        sizeBytes,
        parts: 1,
      })
      insertFile.run(
        ...[id, owner, name, sizeBytes, type, takenAt, takenAt, takenAt, takenAt, id, sealed, tagOf(sha256), n + 1],
        ...[drawing?.tag ?? null, drawing?.sizeBytes ?? 0],
      )
      insertPart.run(id, sizeBytes, `seed/${id}`)
    }
    for (const { sql } of indexes) database.exec(sql)
    database.exec(
      `UPDATE users SET (file_count, byte_count, revision) =
         (SELECT count(*), coalesce(sum(size), 0), coalesce(max(revision), 0) FROM files WHERE user_id = users.id)`,
    )
  })()
  database.pragma(`synchronous = ${durable}`)
  database.close()
}
