import { setImmediate as nextIteration } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openSlots } from '../../src/vault/slots.ts'

const networkOf = (owner: string) => owner.slice(0, 1)

/** Operations that begin as soon as they can, and end when told. */
function operations(most: number) {
  const slots = openSlots(most, networkOf)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  return {
    begun,
    begin(...owners: string[]) {
      for (const owner of owners)
        void slots.enter(owner).then((leave) => {
          begun.push(owner)
          ends.set(owner, leave)
        })
      return nextIteration()
    },
    end(owner: string) {
      ends.get(owner)?.()
      return nextIteration()
    },
  }
}

it('runs so many operations of a network at a time, and does not delay other networks', async () => {
  const { begun, begin, end } = operations(2)
  await begin('a1', 'a2', 'a3', 'a4', 'b1')
  expect(begun).toEqual(['a1', 'a2', 'b1'])
  await end('b1')
  expect(begun).toEqual(['a1', 'a2', 'b1'])
  await end('a1')
  await end('a2')
  expect(begun).toEqual(['a1', 'a2', 'b1', 'a3', 'a4'])
})

it('lets the owners of a network take turns', async () => {
  const { begun, begin, end } = operations(1)
  await begin('a1', 'a2', 'a2', 'a2', 'a3')
  for (const owner of ['a1', 'a2', 'a3', 'a2']) await end(owner)
  expect(begun).toEqual(['a1', 'a2', 'a3', 'a2', 'a2'])
})

it('gives a free slot to the next operation', async () => {
  const { begun, begin, end } = operations(1)
  await begin('a1', 'a2')
  await end('a1')
  await end('a2')
  await begin('a3', 'a4')
  expect(begun).toEqual(['a1', 'a2', 'a3'])
})
