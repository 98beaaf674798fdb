/** Small secrets under AES-256-GCM (NIST SP 800-38D): a version byte, a nonce of 12 bytes, the ciphertext, the tag. */
import { createCipheriv, createDecipheriv } from 'node:crypto'

const ALGORITHM = 'aes-256-gcm'
const VERSION = 1
const NONCE_END = 13
const TAG_BYTES = 16

/** Seals the bytes under the key, bound to a context: they open only with the same context. */
export function seal(key: Buffer, nonce: Buffer, context: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(context)
  const sealed = cipher.update(bytes)
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION), nonce, sealed, cipher.getAuthTag()])
}

/** Throws unless the bytes were sealed with this key in this context. */
export function open(key: Buffer, context: Buffer, sealed: Buffer): Buffer {
  if (sealed[0] !== VERSION) throw new Error('a seal of an unknown version')
  const tagAt = sealed.length - TAG_BYTES
  if (tagAt < NONCE_END) throw new Error('a seal that was cut')
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(1, NONCE_END), { authTagLength: TAG_BYTES })
  decipher.setAAD(context).setAuthTag(sealed.subarray(tagAt))
  const bytes = decipher.update(sealed.subarray(NONCE_END, tagAt))
  decipher.final()
  return bytes
}
