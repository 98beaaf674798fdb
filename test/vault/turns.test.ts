import { expect, it } from 'vitest'
import { openTurns } from '../../src/vault/turns.ts'
import { iteration } from '../support/iteration.ts'

/** Each piece begins as soon as it can. The result has the owners in the order of their pieces, and the iteration of each. */
async function run(requests: [owner: string, pieces: number][]) {
  const turns = openTurns()
  const ran: { owner: string; at: number }[] = []
  await Promise.all(
    requests.map(async ([owner, pieces]) => {
      for (let piece = 0; piece < pieces; piece += 1) {
        await turns.next(owner)
        ran.push({ owner, at: iteration() })
      }
    }),
  )
  return { owners: ran.map(({ owner }) => owner).join(' '), iterations: ran.map(({ at }) => at) }
}

it('runs one piece in an iteration of the event loop, however many pieces each owner has', async () => {
  const requests = Array.from({ length: 90 }, (_, n): [string, number] => [`owner ${n % 3}`, 1 + (n % 5)])
  const { iterations } = await run(requests)
  expect(iterations).toHaveLength(270)
  expect(new Set(iterations).size).toBe(270)
})

it('gives owners turns one after the other, however many requests one of them has', async () => {
  const ana = new Array<[string, number]>(5).fill(['ana', 1])
  expect((await run([...ana, ['ben', 2], ['eve', 3]])).owners).toBe('ana ben eve ana ben eve ana eve ana ana')
})

it('goes on after all pieces were done', async () => {
  const turns = openTurns()
  for (const owner of ['ana', 'ana', 'ben']) await turns.next(owner)
  await Promise.all([turns.next('ana'), turns.next('ben')])
})
