import { createHmac } from 'node:crypto'

/**
 * HKDF-SHA-256 (RFC 5869) for at most 32 bytes: extract, and the first block of expand. Node's own `hkdfSync` takes
 * three times as long, because it makes key objects.
 */
export function hkdf(key: Buffer, salt: Buffer | '', info: string, bytes: number): Buffer {
  const pseudorandomKey = createHmac('sha256', salt).update(key).digest()
  return createHmac('sha256', pseudorandomKey).update(`${info}\x01`, 'latin1').digest().subarray(0, bytes)
}
