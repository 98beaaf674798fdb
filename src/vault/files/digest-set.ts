/** A set of strings. A string of any length takes about 60 bytes of memory. */
import { hash } from 'node:crypto'

/** 128 bits of SHA-256: nobody can find two strings with the same digest. */
const DIGEST_BYTES = 16

export interface DigestSet {
  has(text: string): boolean
  add(text: string): void
}

export function digestSet(): DigestSet {
  const digests = new Set<string>()
  return {
    has: (text) => digests.has(digestOf(text)),
    add: (text) => void digests.add(digestOf(text)),
  }
}

/** Short, and different for different strings. */
export function digestOf(text: string): string {
  return hash('sha256', text, 'buffer').toString('latin1', 0, DIGEST_BYTES)
}
