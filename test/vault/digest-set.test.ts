import { expect, it } from 'vitest'
import { digestSet } from '../../src/vault/files/digest-set.ts'

it('has each text that was added, and no other', () => {
  const set = digestSet()
  expect(set.has('0')).toBe(false)
  for (let round = 0; round < 2; round += 1) for (let n = 0; n < 5000; n += 1) set.add(`text ${n}`)
  const texts = Array.from({ length: 10_000 }, (_, n) => `text ${n}`)
  expect(texts.filter((text) => set.has(text))).toEqual(texts.slice(0, 5000))
})
