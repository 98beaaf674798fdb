/** Seals thumbnails (`docs/blob-format.md`). */
import { open, seal } from './gcm.ts'

/** A thumbnail is bound to these values, and opens only with all of them. */
export interface ThumbnailBinding {
  owner: string
  tag: string
  contentType: string
  /** The SHA-256 of the content of its file, in hex. */
  sha256: string
}

/**
 * Under the vault key, not under the file key: a version that repairs the same content has another file key, and keeps the
 * thumbnail.
 */
export function sealThumbnail(vaultKey: Buffer, nonce: Buffer, binding: ThumbnailBinding, picture: Buffer): Buffer {
  return seal(vaultKey, nonce, contextOf(binding), picture)
}

/** Throws if the thumbnail was changed, or belongs to another owner, tag, type or content. */
export function openThumbnail(vaultKey: Buffer, binding: ThumbnailBinding, sealed: Buffer): Buffer {
  return open(vaultKey, contextOf(binding), sealed)
}

function contextOf({ owner, tag, contentType, sha256 }: ThumbnailBinding): Buffer {
  return Buffer.from(['minikeepsafe thumbnail 1', owner, tag, contentType, sha256].join('\0'))
}
