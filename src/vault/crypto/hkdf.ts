import { createHmac } from 'node:crypto'

/**
 * HKDF-SHA-256 (RFC 5869), of 32 bytes at most: extract and the first block of expand. Node's own `hkdfSync` takes three
 * times as long for the key objects that it makes.
 */
export function hkdf(key: Buffer, salt: Buffer | '', info: string, bytes: number): Buffer {
  const pseudorandomKey = createHmac('sha256', salt).update(key).digest()
  return createHmac('sha256', pseudorandomKey).update(`${info}\x01`, 'latin1').digest().subarray(0, bytes)
}
