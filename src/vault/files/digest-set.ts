/**
 * A set of strings. Each string takes 21 to 43 bytes of memory, whatever its length, and 1.5 times as much while the
 * set grows.
 */
import { createHash } from 'node:crypto'

/** 128 bits of SHA-256: nobody can find two strings with the same digest. */
const DIGEST_BYTES = 16

export interface DigestSet {
  has(text: string): boolean
  add(text: string): void
}

/** Open addressing with linear probing. A digest serves as its own hash. */
export function digestSet(): DigestSet {
  let slots = 1024
  let table = new BigUint64Array(slots * 2)
  let size = 0

  return {
    has: (text) => {
      const [high, low] = digestOf(text)
      return table[slotFor(high, low) * 2] === high
    },
    add(text) {
      if (put(...digestOf(text))) size += 1
      if (size > slots * 0.75) grow()
    },
  }

  /** The slot of the digest, or the free slot for it. A free slot begins with a zero. */
  function slotFor(high: bigint, low: bigint): number {
    let slot = Number(low % BigInt(slots))
    while (table[slot * 2] !== 0n && !(table[slot * 2] === high && table[slot * 2 + 1] === low))
      slot = (slot + 1) % slots
    return slot
  }

  function put(high: bigint, low: bigint): boolean {
    const slot = slotFor(high, low)
    if (table[slot * 2] === high) return false
    table[slot * 2] = high
    table[slot * 2 + 1] = low
    return true
  }

  function grow(): void {
    const former = table
    slots *= 2
    table = new BigUint64Array(slots * 2)
    for (let at = 0; at < former.length; at += 2) {
      if (former[at] !== 0n) put(former[at] as bigint, former[at + 1] as bigint)
    }
  }
}

function digestOf(text: string): [high: bigint, low: bigint] {
  const digest = createHash('sha256').update(text).digest()
  return [digest.readBigUInt64LE(0) | 1n, digest.readBigUInt64LE(DIGEST_BYTES / 2)]
}
