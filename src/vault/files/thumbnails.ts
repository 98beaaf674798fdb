/** Thumbnails. Clients make them, and the server never looks into them. A thumbnail belongs to the content of its file. */
import type { SealedFile } from '../../ports/files.ts'
import type { SealedThumbnail } from '../../ports/thumbnails.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { openSecrets } from '../crypto/envelope.ts'
import { openThumbnail, sealThumbnail } from '../crypto/thumbnail.ts'
import { Damage } from './damage.ts'
import { fileName } from './names.ts'
import { refusals } from './placing.ts'
import type { StoredFile } from './stored-file.ts'

/** Throws if the file or its thumbnail is not what the caller requires. */
export type ThumbnailGuard = (current: StoredFile) => void

export interface Thumbnail {
  tag: string
  contentType: string
  sizeBytes: number
  /** Opens the picture. Throws `internal-error` if the row was changed. */
  bytes(): Buffer
}

export interface Thumbnails {
  /** The thumbnail of a file; `file-not-found` or `thumbnail-not-found`. */
  find(owner: string, name: string): Promise<Thumbnail>
  /**
   * Gives a file another thumbnail. `read` returns the whole picture; it is called once, after the first check by `guard`.
   * Returns the tag. The same picture again changes nothing.
   */
  put(
    owner: string,
    name: string,
    contentType: string,
    read: () => Promise<Buffer>,
    guard: ThumbnailGuard,
  ): Promise<string>
  /** Deletes the thumbnail of a file. */
  remove(owner: string, name: string, guard: ThumbnailGuard): Promise<void>
}

export function openThumbnails({
  ports,
  rules,
  keys,
  placing,
  trash,
}: Needs<'thumbnails' | 'room' | 'chance' | 'changeNotices', 'rules' | 'keys' | 'placing' | 'trash'>): Thumbnails {
  const { thumbnails, room, chance, changeNotices } = ports

  return {
    async find(owner, name) {
      const found = await thumbnails.find(owner, fileName(name))
      if (!found) throw problems.unauthorized()
      const { slot, file, thumbnail } = found
      if (!file) throw problems.fileNotFound()
      if (file.thumbnail === null) throw problems.thumbnailNotFound()
      if (!thumbnail) throw problems.internalError(missingThumbnail(file))
      const { tag, contentType } = thumbnail
      const sizeBytes = file.thumbnailBytes
      return { tag, contentType, sizeBytes, bytes: () => openPicture(keys.open(owner, slot), owner, file, thumbnail) }
    },

    async put(owner, anyName, contentType, read, guard) {
      const name = fileName(anyName)
      let seen = await guarded(owner, name, guard)
      await room()
      const picture = await read()
      let isFirst = true
      return placing.attempts(owner, name, async () => {
        if (!isFirst) seen = await guarded(owner, name, guard)
        isFirst = false
        const { vaultKey, file } = seen
        if (file.thumbnail !== null && (await isSame(owner, vaultKey, file, contentType, picture)))
          return file.thumbnail
        const tag = chance.id()
        const { sha256 } = file
        const sealed = sealThumbnail(vaultKey, chance.bytes(12), { owner, tag, contentType, sha256 }, picture)
        const thumbnail = { tag, contentType, sealed, sizeBytes: picture.length }
        const answer = await thumbnails.put(owner, file, thumbnail, rules.quota.bytes)
        if (answer === 'done') {
          changeNotices.publish(owner)
          return tag
        }
        // Expired trash does not count for the quota.
        if (answer === 'quota' && !(await trash.expireOf(owner))) throw refusals.quota(rules, false)
        return null
      })
    },

    async remove(owner, anyName, guard) {
      const name = fileName(anyName)
      for (;;) {
        const { file } = await guarded(owner, name, (current) => {
          if (current.thumbnail === null) throw problems.thumbnailNotFound()
          guard(current)
        })
        if ((await thumbnails.remove(owner, file)) === 'done') return changeNotices.publish(owner)
      }
    },
  }

  async function guarded(owner: string, name: string, guard: ThumbnailGuard) {
    const { vaultKey, current } = await placing.currentSpot(owner, name)
    if (!current) throw problems.fileNotFound()
    guard(current)
    return { vaultKey, file: current }
  }

  /** False for a thumbnail that does not open, so that the same picture repairs it. */
  async function isSame(owner: string, vaultKey: Buffer, file: StoredFile, contentType: string, picture: Buffer) {
    if (file.thumbnailBytes !== picture.length) return false
    const standing = await thumbnails.byTag(owner, file.thumbnail as string)
    if (standing?.contentType !== contentType) return false
    try {
      const { tag, sealed } = standing
      return openThumbnail(vaultKey, { owner, tag, contentType, sha256: file.sha256 }, sealed).equals(picture)
    } catch {
      return false
    }
  }
}

/** Opens the thumbnail of a row. Throws `internal-error` if one of both was changed. */
export function openPicture(
  vaultKey: Buffer,
  owner: string,
  file: Pick<SealedFile, 'id' | 'sizeBytes' | 'seal' | 'thumbnailBytes'>,
  { tag, contentType, sealed }: SealedThumbnail,
): Buffer {
  try {
    const { sha256 } = openSecrets(vaultKey, owner, file)
    const picture = openThumbnail(vaultKey, { owner, tag, contentType, sha256 }, sealed)
    if (picture.length !== file.thumbnailBytes) throw new Error('a thumbnail of another size than its file says')
    return picture
  } catch (cause) {
    throw problems.internalError(new Damage(file.id, 'its thumbnail does not open', { cause }))
  }
}

function missingThumbnail({ id }: { id: string }): Damage {
  return new Damage(id, 'its thumbnail is missing')
}
