/** A reader of sealed contents, written only from docs/blob-format.md. It shares no code with the product. */
import { createDecipheriv, createHmac } from 'node:crypto'

const frameBytes = 65_536
const headerBytes = 40
const tagBytes = 16
const versionOne = Buffer.of(1)
const magic = Buffer.concat([Buffer.from('MKSBLOB'), versionOne])

export function keyIdOf(masterKey: Buffer): string {
  return hkdf(masterKey, '', Buffer.from('minikeepsafe master key id 1'), 8).toString('hex')
}

type Slot = Record<'kind' | 'userId' | 'keyId', string> & { slot: Buffer }

/** Returns the vault key. */
export function openSlot(masterKey: Buffer, { kind, userId, keyId, slot }: Slot): Buffer {
  if (kind !== 'server') throw new Error(`unknown kind of slot: ${kind}`)
  const slotKey = hkdf(masterKey, '', Buffer.from('minikeepsafe slot 1'), 32)
  return openRecord(slotKey, ['minikeepsafe slot 1', kind, userId, keyId].join('\0'), slot, 61)
}

/** `size` is the unsealed size next to the seal, if there is one. */
type Seal = Record<'userId' | 'fileId', string> & { seal: Buffer; size?: number }

export function openSeal(vaultKey: Buffer, { userId, fileId, seal, size: sizeInClear }: Seal) {
  const opened = openRecord(vaultKey, ['minikeepsafe file 1', userId, fileId].join('\0'), seal, 105)
  const size = Number(opened.readBigUInt64BE(64))
  const parts = opened.readUInt32BE(72)
  if (parts < 1) throw new Error('a content has at least one part')
  if (parts === 1 && framesOf(size) >= 2 ** 32) throw new Error(`too large for a blob: ${size}`)
  if (sizeInClear !== undefined && sizeInClear !== size)
    throw new Error(`sealed with ${size} bytes, not ${sizeInClear}`)
  return { fileKey: opened.subarray(0, 32), sha256: opened.subarray(32, 64), size, parts }
}

/** Returns the file key of an upload that is not complete. */
export function openUploadSeal(
  vaultKey: Buffer,
  upload: Record<'userId' | 'uploadId', string> & { seal: Buffer },
): Buffer {
  const context = ['minikeepsafe upload 1', upload.userId, upload.uploadId].join('\0')
  return openRecord(vaultKey, context, upload.seal, 61)
}

type ThumbnailRow = Record<'userId' | 'tag' | 'contentType' | 'sha256', string> & { sealed: Buffer; size: number }

/** Returns the picture. */
export function openThumbnail(vaultKey: Buffer, row: ThumbnailRow): Buffer {
  const { userId, tag, contentType, sha256, sealed, size } = row
  const context = ['minikeepsafe thumbnail 1', userId, tag, contentType, sha256].join('\0')
  return openRecord(vaultKey, context, sealed, 1 + 12 + size + tagBytes)
}

interface PartRow {
  start: number
  size: number
  seal: Buffer | null
}

/** Returns the key of each part of a content. Throws if the parts are not exactly the content. */
export function openPartKeys({ fileKey, size, parts }: ReturnType<typeof openSeal>, rows: PartRow[]): Buffer[] {
  if (rows.length !== parts) throw new Error(`${rows.length} parts, not ${parts}`)
  let at = 0
  for (const row of rows) {
    if (row.start !== at) throw new Error(`a part at byte ${row.start}, not ${at}`)
    if (row.size === 0 && size > 0) throw new Error('an empty part')
    at += row.size
  }
  if (at !== size) throw new Error(`parts of ${at} bytes, not ${size}`)
  return rows.map(({ start, size, seal }) => {
    if (seal === null && parts === 1) return fileKey
    if (seal === null) throw new Error('a part without a seal')
    const extent = Buffer.alloc(16)
    extent.writeBigUInt64BE(BigInt(start))
    extent.writeBigUInt64BE(BigInt(size), 8)
    return openRecord(fileKey, Buffer.concat([Buffer.from('minikeepsafe part 1\0'), extent]), seal, 61)
  })
}

/** Returns the bytes of a part. The caller compares its SHA-256 with the one in the seal. */
export function openBlob(fileKey: Buffer, part: number, size: number, blob: Buffer): Buffer {
  const frames = framesOf(size)
  if (blob.length !== headerBytes + size + tagBytes * frames) throw new Error(`not the length of ${size} bytes`)
  if (!blob.subarray(0, magic.length).equals(magic)) throw new Error('not a blob of format 1')
  const key = blobKeyOf(fileKey, blob.subarray(magic.length, headerBytes), part)
  const stride = frameBytes + tagBytes
  const opened = Array.from({ length: frames }, (_, i) => {
    const at = headerBytes + stride * i
    return openGcm(key, frameNonce(i, i === frames - 1), '', blob.subarray(at, at + stride))
  })
  return Buffer.concat(opened)
}

export function blobKeyOf(fileKey: Buffer, salt: Buffer, part: number): Buffer {
  const info = Buffer.concat([Buffer.from('minikeepsafe blob 1\0'), Buffer.alloc(4)])
  info.writeUInt32BE(part, info.length - 4)
  return hkdf(fileKey, salt, info, 32)
}

export function frameNonce(i: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(i, 7)
  nonce.writeUInt8(last ? 1 : 0, 11)
  return nonce
}

/** The content of the test vectors. */
export function contentOf(size: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: size }, (_, n) => (n * 7 + Math.floor(n / 251)) % 256))
}

function framesOf(size: number): number {
  return Math.max(1, Math.ceil(size / frameBytes))
}

/** 01 ‖ nonce ‖ ciphertext ‖ tag: the format of slots, seals and thumbnails. */
function openRecord(key: Buffer, aad: string | Buffer, record: Buffer, length: number): Buffer {
  if (record.length !== length) throw new Error(`${record.length} bytes, not ${length}`)
  if (!record.subarray(0, 1).equals(versionOne)) throw new Error('not of this format')
  return openGcm(key, record.subarray(1, 13), aad, record.subarray(13))
}

function openGcm(key: Buffer, nonce: Buffer, aad: string | Buffer, sealed: Buffer): Buffer {
  const cut = sealed.length - tagBytes
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(typeof aad === 'string' ? Buffer.from(aad) : aad).setAuthTag(sealed.subarray(cut))
  return Buffer.concat([decipher.update(sealed.subarray(0, cut)), decipher.final()])
}

/** RFC 5869: extract, then expand. */
function hkdf(key: Buffer, salt: Buffer | string, info: Buffer, length: number): Buffer {
  const prk = createHmac('sha256', salt).update(key).digest()
  let block = Buffer.alloc(0)
  let okm = Buffer.alloc(0)
  for (let i = 1; okm.length < length; i++) {
    block = createHmac('sha256', prk).update(block).update(info).update(Buffer.of(i)).digest()
    okm = Buffer.concat([okm, block])
  }
  return okm.subarray(0, length)
}
