/** Random choices from a seed. The same seed makes the same choices; the order of the responses is another in each run. */
import { createHash } from 'node:crypto'

export interface Random {
  /** From 0 to before `below`. */
  int(below: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T | undefined
  bytes(size: number): Buffer
  /** Another source, of its own seed. */
  fork(name: string): Random
}

export function randomFrom(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  let drawn = 0
  /** Mulberry32. */
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (below: number) => Math.floor(next() * below)
  return {
    int,
    chance: (probability) => next() < probability,
    pick: (list) => list[int(list.length)],
    bytes(size) {
      drawn += 1
      if (size === 0) return Buffer.alloc(0)
      return createHash('shake256', { outputLength: size }).update(`${seed} ${drawn}`).digest()
    },
    fork: (name) => randomFrom(`${seed}/${name}`),
  }
}
