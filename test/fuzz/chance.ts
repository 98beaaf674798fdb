/** Chance that a seed repeats. */
import { createHash } from 'node:crypto'

export interface Dice {
  /** A whole number from 0 to below `n`. */
  below(n: number): number
  /** True once in `n` times. */
  oneIn(n: number): boolean
  pick<T>(choices: readonly T[]): T
  bytes(length: number): Buffer
  /** Letters and digits. */
  word(length: number): string
  /** Dice of their own for `purpose`: what they throw does not depend on how often these were thrown. */
  for(purpose: string): Dice
}

export function diceOf(seed: string): Dice {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()
  // Mulberry32: small, quick, and even enough to choose tests with.
  const below = (n: number) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }
  const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
  return {
    below,
    oneIn: (n) => below(n) === 0,
    pick: <T>(choices: readonly T[]) => {
      if (choices.length === 0) throw new Error('nothing to pick from')
      return choices[below(choices.length)] as T
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
    word: (length) => Array.from({ length }, () => ALPHABET[below(ALPHABET.length)]).join(''),
    for: (purpose) => diceOf(`${seed} ${purpose}`),
  }
}
