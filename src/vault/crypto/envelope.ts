/** Contents under file keys: the seal of a file, and the frames of its blob (`docs/blob-format.md`). */
import { type CipherGCM, createCipheriv, createDecipheriv } from 'node:crypto'
import type { SealedFile } from '../../ports/files.ts'
import { open, seal } from './gcm.ts'
import { hkdf } from './hkdf.ts'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const TAG_BYTES = 16
const SALT_BYTES = 32
const MAGIC = Buffer.from('MKSBLOB\x01', 'latin1')
export const HEADER_BYTES = MAGIC.length + SALT_BYTES
/** Format 1 has one part. */
const PARTS = 1

/** Bytes of plaintext in a frame. Only the last frame may be shorter. */
export const FRAME_BYTES = 64 * 1024
export const SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES

/** The contents of a seal. */
export interface Secrets {
  fileKey: Buffer
  /** Lower-case hex of the bytes as uploaded. */
  sha256: string
  sizeBytes: number
}

/** Binds a file's secrets to its owner and its id. */
export function sealSecrets(vaultKey: Buffer, nonce: Buffer, owner: string, fileId: string, secrets: Secrets): Buffer {
  const numbers = Buffer.alloc(12)
  numbers.writeBigUInt64BE(BigInt(secrets.sizeBytes))
  numbers.writeUInt32BE(PARTS, 8)
  const bytes = Buffer.concat([secrets.fileKey, Buffer.from(secrets.sha256, 'hex'), numbers])
  return seal(vaultKey, nonce, contextOf(owner, fileId), bytes)
}

/** Throws if the seal belongs to another file, or contains another size. */
export function openSecrets(
  vaultKey: Buffer,
  owner: string,
  file: Pick<SealedFile, 'id' | 'seal' | 'sizeBytes'>,
): Secrets {
  const bytes = open(vaultKey, contextOf(owner, file.id), file.seal)
  const sizeBytes = Number(bytes.readBigUInt64BE(2 * KEY_BYTES))
  if (sizeBytes !== file.sizeBytes || bytes.readUInt32BE(2 * KEY_BYTES + 8) !== PARTS) {
    throw new Error('a seal that vouches for another file')
  }
  return { fileKey: bytes.subarray(0, KEY_BYTES), sha256: bytes.toString('hex', KEY_BYTES, 2 * KEY_BYTES), sizeBytes }
}

/** The length of the blob of a content. */
export function blobBytes(sizeBytes: number): number {
  return HEADER_BYTES + sizeBytes + TAG_BYTES * (lastFrameOf(sizeBytes) + 1)
}

/** The number of the last frame. An empty content also has one frame. */
function lastFrameOf(sizeBytes: number): number {
  return Math.max(0, Math.ceil(sizeBytes / FRAME_BYTES) - 1)
}

/** The offset of a frame in its blob. */
export function frameAt(frame: number): number {
  return HEADER_BYTES + frame * SEALED_FRAME_BYTES
}

/**
 * Seals a content piece by piece, without copying it. Each piece is a whole number of frames; the last piece may have
 * any length.
 */
export function frameSealer(fileKey: Buffer, salt: Buffer) {
  const key = blobKeyOf(fileKey, salt)
  let number = 0
  let sealed: Uint8Array[] = [MAGIC, salt]

  return (chunks: Uint8Array[], sizeBytes: number, last: boolean): Uint8Array[] => {
    const lastFrame = last ? number + lastFrameOf(sizeBytes) : Number.NaN
    let cipher = cipherOf(lastFrame)
    let room = FRAME_BYTES
    for (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        if (room === 0) {
          finish(cipher)
          cipher = cipherOf(lastFrame)
          room = FRAME_BYTES
        }
        const part = chunk.subarray(at, at + room)
        sealed.push(cipher.update(part))
        room -= part.length
        at += part.length
      }
    }
    finish(cipher)
    const piece = sealed
    sealed = []
    return piece
  }

  function cipherOf(lastFrame: number) {
    return createCipheriv(ALGORITHM, key, nonceOf(number, number === lastFrame))
  }

  function finish(cipher: CipherGCM) {
    cipher.final()
    sealed.push(cipher.getAuthTag())
    number += 1
  }
}

/** Opens one frame by its number, into memory of its own. Throws if the bytes are not exactly this frame. */
export type FrameOpener = (number: number, sealed: Buffer) => Buffer

/** Opens the frames of one blob. Throws if the header is of an unknown format. */
export function frameOpener(fileKey: Buffer, header: Buffer, sizeBytes: number): FrameOpener {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('a blob of an unknown format')
  const key = blobKeyOf(fileKey, header.subarray(MAGIC.length, HEADER_BYTES))
  const last = lastFrameOf(sizeBytes)

  return (number, sealed) => {
    const tagAt = sealed.length - TAG_BYTES
    // Without `authTagLength` Node would accept a truncated tag.
    const decipher = createDecipheriv(ALGORITHM, key, nonceOf(number, number === last), { authTagLength: TAG_BYTES })
    decipher.setAuthTag(sealed.subarray(tagAt))
    const bytes = decipher.update(sealed.subarray(0, tagAt))
    decipher.final()
    return bytes
  }
}

/** The key of the only part. */
function blobKeyOf(fileKey: Buffer, salt: Buffer): Buffer {
  return hkdf(fileKey, salt, 'minikeepsafe blob 1\0\0\0\0\0', KEY_BYTES)
}

/**
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, CRYPTO 2015): the nonce contains the frame's number and
 * a flag for the last frame.
 */
function nonceOf(frame: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(frame, 7)
  nonce[11] = last ? 1 : 0
  return nonce
}

function contextOf(owner: string, fileId: string): Buffer {
  return Buffer.from(['minikeepsafe file 1', owner, fileId].join('\0'))
}
