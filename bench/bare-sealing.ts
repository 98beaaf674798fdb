/** The sealing of the bare server: `docs/blob-format.md` with `node:crypto` only, in the cheapest way (see README.md). */
import { type CipherGCM, createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { BATCH_BYTES, type Intake, type Outlet } from './bare-files.ts'

const ALGORITHM = 'aes-256-gcm'
const SLOT = 'minikeepsafe slot 1'
const MAGIC = Buffer.from('MKSBLOB\x01', 'latin1')
const HEADER_BYTES = 40
const FRAME_BYTES = 65_536
const TAG_BYTES = 16
const SEALED_FRAME_BYTES = FRAME_BYTES + TAG_BYTES

/** The content of a seal. */
export interface Secrets {
  fileKey: Buffer
  sha256: Buffer
  size: number
}

/** Vault keys in slots, locked with one master key. */
export function vaultKeys(masterKey: Buffer) {
  const keyId = derive(masterKey, '', 'minikeepsafe master key id 1', 8).toString('hex')
  const slotKey = derive(masterKey, '', SLOT, 32)
  const contextOf = (owner: string) => Buffer.from(`${SLOT}\0server\0${owner}\0${keyId}`)
  return {
    keyId,
    newSlot: (owner: string) => seal(slotKey, contextOf(owner), randomBytes(32)),
    open: (owner: string, slot: Buffer) => open(slotKey, contextOf(owner), slot),
  }
}

export function sealSecrets(vaultKey: Buffer, owner: string, fileId: string, secrets: Secrets): Buffer {
  const numbers = Buffer.alloc(12)
  numbers.writeBigUInt64BE(BigInt(secrets.size))
  numbers.writeUInt32BE(1, 8)
  return seal(vaultKey, fileContext(owner, fileId), Buffer.concat([secrets.fileKey, secrets.sha256, numbers]))
}

export function openSecrets(vaultKey: Buffer, owner: string, fileId: string, sealed: Buffer): Secrets {
  const bytes = open(vaultKey, fileContext(owner, fileId), sealed)
  return { fileKey: bytes.subarray(0, 32), sha256: bytes.subarray(32, 64), size: Number(bytes.readBigUInt64BE(64)) }
}

/** Hashes a content and seals it in frames. The pieces of a frame are sealed in place and never copied. */
export function sealing(): Intake & { secrets(): Omit<Secrets, 'size'> } {
  const chance = randomBytes(64)
  const fileKey = chance.subarray(0, 32)
  const salt = chance.subarray(32)
  const key = blobKey(fileKey, salt)
  const nonce = Buffer.alloc(12)
  const hash = createHash('sha256')
  let frame = 0
  let ready: Buffer[] = [MAGIC, salt]

  return {
    store(chunks, bytes, last) {
      const lastFrame = last ? frame + Math.max(1, Math.ceil(bytes / FRAME_BYTES)) - 1 : -1
      let cipher = createCipheriv(ALGORITHM, key, nonceOf(nonce, frame, frame === lastFrame))
      let room = FRAME_BYTES
      for (const chunk of chunks) {
        hash.update(chunk)
        for (let at = 0; at < chunk.length; ) {
          if (room === 0) {
            finish(cipher)
            cipher = createCipheriv(ALGORITHM, key, nonceOf(nonce, frame, frame === lastFrame))
            room = FRAME_BYTES
          }
          const part = chunk.subarray(at, at + room)
          ready.push(cipher.update(part))
          room -= part.length
          at += part.length
        }
      }
      finish(cipher)
      const sealed = ready
      ready = []
      return sealed
    },

    secrets: () => ({ fileKey, sha256: hash.digest() }),
  }

  function finish(cipher: CipherGCM) {
    cipher.final()
    ready.push(cipher.getAuthTag())
    frame += 1
  }
}

/** Opens the frames of a content, each into its own memory. Does not hash again, because each frame has an authentication tag. */
export function opening({ fileKey, size }: Secrets): Outlet {
  const frames = Math.max(1, Math.ceil(size / FRAME_BYTES))
  const nonce = Buffer.alloc(12)
  let key: Buffer | null = null
  let frame = 0

  return {
    blobBytes: HEADER_BYTES + size + TAG_BYTES * frames,
    headerBytes: HEADER_BYTES,
    batchBytes: (BATCH_BYTES / FRAME_BYTES) * SEALED_FRAME_BYTES,

    open(bytes) {
      const opened: Buffer[] = []
      let at = 0
      if (key === null) {
        key = blobKey(fileKey, bytes.subarray(MAGIC.length, HEADER_BYTES))
        at = HEADER_BYTES
      }
      for (; at < bytes.length; at += SEALED_FRAME_BYTES) {
        const tagAt = Math.min(at + FRAME_BYTES, bytes.length - TAG_BYTES)
        const decipher = createDecipheriv(ALGORITHM, key, nonceOf(nonce, frame, frame === frames - 1))
        decipher.setAuthTag(bytes.subarray(tagAt, tagAt + TAG_BYTES))
        opened.push(decipher.update(bytes.subarray(at, tagAt)))
        decipher.final()
        frame += 1
      }
      return opened
    },
  }
}

function nonceOf(nonce: Buffer, frame: number, last: boolean): Buffer {
  nonce.writeUInt32BE(frame, 7)
  nonce[11] = last ? 1 : 0
  return nonce
}

function blobKey(fileKey: Buffer, salt: Buffer): Buffer {
  return derive(fileKey, salt, 'minikeepsafe blob 1\0\0\0\0\0', 32)
}

function fileContext(owner: string, fileId: string): Buffer {
  return Buffer.from(`minikeepsafe file 1\0${owner}\0${fileId}`)
}

function seal(key: Buffer, context: Buffer, bytes: Buffer): Buffer {
  const nonce = randomBytes(12)
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(context)
  const sealed = cipher.update(bytes)
  cipher.final()
  return Buffer.concat([Buffer.of(1), nonce, sealed, cipher.getAuthTag()])
}

function open(key: Buffer, context: Buffer, sealed: Buffer): Buffer {
  const tagAt = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(1, 13)).setAAD(context)
  decipher.setAuthTag(sealed.subarray(tagAt))
  const bytes = decipher.update(sealed.subarray(13, tagAt))
  decipher.final()
  return bytes
}

function derive(key: Buffer, salt: Buffer | string, use: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, use, bytes))
}
