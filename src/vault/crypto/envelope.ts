/** Contents under file keys: the seal of a file, the keys of its parts, and the frames of a blob (`docs/blob-format.md`). */
import { type CipherGCM, createCipheriv, createDecipheriv } from 'node:crypto'
import type { Part, SealedFile } from '../../ports/files.ts'
import { open, seal } from './gcm.ts'
import { hkdf } from './hkdf.ts'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const TAG_BYTES = 16
const SALT_BYTES = 32
const MAGIC = Buffer.from('MKSBLOB\x01', 'latin1')
export const HEADER_BYTES = MAGIC.length + SALT_BYTES
/** The parts of an upload that arrives in one piece. */
export const ONE_PART = 1

/** Bytes of plaintext in a frame. Only the last frame may be shorter. */
export const FRAME_BYTES = 64 * 1024
export const SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES

/** The contents of a seal. */
export interface Secrets {
  fileKey: Buffer
  /** Lower-case hex of the bytes as uploaded. */
  sha256: string
  sizeBytes: number
  /** The number of parts. */
  parts: number
}

/** Binds a file's secrets to its owner and its id. */
export function sealSecrets(vaultKey: Buffer, nonce: Buffer, owner: string, fileId: string, secrets: Secrets): Buffer {
  const numbers = Buffer.alloc(12)
  numbers.writeBigUInt64BE(BigInt(secrets.sizeBytes))
  numbers.writeUInt32BE(secrets.parts, 8)
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
  const parts = bytes.readUInt32BE(2 * KEY_BYTES + 8)
  if (sizeBytes !== file.sizeBytes || parts === 0) throw new Error('a seal that vouches for another file')
  const sha256 = bytes.toString('hex', KEY_BYTES, 2 * KEY_BYTES)
  return { fileKey: bytes.subarray(0, KEY_BYTES), sha256, sizeBytes, parts }
}

/** Seals the file key of an upload that is not complete, bound to its owner and its id. */
export function sealUploadKey(
  vaultKey: Buffer,
  nonce: Buffer,
  owner: string,
  uploadId: string,
  fileKey: Buffer,
): Buffer {
  return seal(vaultKey, nonce, uploadContextOf(owner, uploadId), fileKey)
}

/** Throws if the seal belongs to another upload. */
export function openUploadKey(vaultKey: Buffer, owner: string, upload: { id: string; seal: Buffer }): Buffer {
  return open(vaultKey, uploadContextOf(owner, upload.id), upload.seal)
}

function uploadContextOf(owner: string, uploadId: string): Buffer {
  return Buffer.from(['minikeepsafe upload 1', owner, uploadId].join('\0'))
}

/**
 * Seals the key of one part under the file key, bound to the part's place and size. A key is made for each attempt to
 * store a part. So only the blob of the recorded attempt opens.
 */
export function sealPartKey(fileKey: Buffer, nonce: Buffer, part: Extent, partKey: Buffer): Buffer {
  return seal(fileKey, nonce, partContextOf(part), partKey)
}

/** The key of a part's blob. Throws if the part's seal belongs to another place or size, or to another version. */
export function openPartKey({ fileKey, parts }: Secrets, part: Extent & Pick<Part, 'seal'>): Buffer {
  if (part.seal) return open(fileKey, partContextOf(part), part.seal)
  if (parts !== ONE_PART) throw new Error('a part without a seal beside other parts')
  return fileKey
}

type Extent = Pick<Part, 'start' | 'sizeBytes'>

function partContextOf({ start, sizeBytes }: Extent): Buffer {
  const numbers = Buffer.alloc(16)
  numbers.writeBigUInt64BE(BigInt(start))
  numbers.writeBigUInt64BE(BigInt(sizeBytes), 8)
  return Buffer.concat([Buffer.from('minikeepsafe part 1\0'), numbers])
}

/** The length of the blob of a part. */
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
 * Seals a part piece by piece, without copying it. Each piece is a whole number of frames; the last piece may have
 * any length.
 */
export function frameSealer(partKey: Buffer, salt: Buffer) {
  const key = blobKeyOf(partKey, salt)
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
export function frameOpener(partKey: Buffer, header: Buffer, sizeBytes: number): FrameOpener {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('a blob of an unknown format')
  const key = blobKeyOf(partKey, header.subarray(MAGIC.length, HEADER_BYTES))
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

/** Four zero bytes follow: the number of the part in a version. Since each part has its own key, it is always 0. */
function blobKeyOf(partKey: Buffer, salt: Buffer): Buffer {
  return hkdf(partKey, salt, 'minikeepsafe blob 1\0\0\0\0\0', KEY_BYTES)
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
