import { hkdfSync } from 'node:crypto'

/** HKDF-SHA-256 (RFC 5869). */
export function hkdf(key: Buffer, salt: Buffer | '', info: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', key, salt, info, bytes))
}
