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

it('gives networks turns one after the other, however many owners one of them has, and those their turns in it', async () => {
  const turns = openTurns(1, (owner) => owner.slice(0, 1))
  const ran: string[] = []
  const owners = ['a1', 'a1', 'a2', 'a3', 'b1', 'b1', 'c1']
  await Promise.all(owners.map((owner) => turns.next(owner).then(() => ran.push(owner))))
  expect(ran.join(' ')).toBe('a1 b1 c1 a2 b1 a3 a1')
})

it('runs as many pieces in an iteration as it may', async () => {
  const turns = openTurns(8)
  const ran = new Map<number, number>()
  await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      await turns.next(`owner ${n % 3}`)
      ran.set(iteration(), (ran.get(iteration()) ?? 0) + 1)
    }),
  )
  expect([...ran.values()]).toEqual([8, 8, 4])
})

it('runs no piece while a crowd connects, but one after 64 iterations; a few connections skip none', async () => {
  const turns = openTurns()
  let done = false
  const skip = () => {
    turns.skip()
    if (!done) setImmediate(skip)
  }
  skip()
  const ran: number[] = []
  for (let piece = 0; piece < 9; piece += 1) {
    await turns.next('ana')
    ran.push(iteration())
  }
  done = true
  const gaps = ran.slice(1).map((at, n) => at - (ran[n] ?? 0))
  expect([gaps.slice(0, 5), gaps.slice(-2)]).toEqual([new Array(5).fill(1), [65, 65]])
})

it('lets pieces run at once while nothing waits, as many as an iteration may run, and none in a crowd', async () => {
  const turns = openTurns(2)
  expect([turns.takeFree(), turns.takeFree(), turns.takeFree()]).toEqual([true, true, false])
  const next = turns.next('ana')
  expect(turns.takeFree()).toBe(false)
  await next
  await new Promise(setImmediate)
  expect(turns.takeFree()).toBe(true)
  for (let n = 0; n < 10; n += 1) {
    turns.skip()
    await new Promise(setImmediate)
  }
  expect(turns.takeFree()).toBe(false)
})

it('runs a piece in each iteration where iterations are long, however many are skipped', async () => {
  const turns = openTurns()
  let done = false
  const skip = () => {
    turns.skip()
    for (const from = process.cpuUsage(); process.cpuUsage(from).user < 25_000; );
    if (!done) setImmediate(skip)
  }
  skip()
  const ran: number[] = []
  for (let piece = 0; piece < 4; piece += 1) {
    await turns.next('ana')
    ran.push(iteration())
  }
  done = true
  expect(ran.slice(1).map((at, n) => at - (ran[n] ?? 0))).toEqual([1, 1, 1])
})

it('goes on after all pieces were done', async () => {
  const turns = openTurns()
  for (const owner of ['ana', 'ana', 'ben']) await turns.next(owner)
  await Promise.all([turns.next('ana'), turns.next('ben')])
})

it('has no free piece while one waits', async () => {
  const turns = openTurns(8)
  const next = turns.next('ana')
  expect(turns.takeFree()).toBe(false)
  await next
  expect(turns.takeFree()).toBe(true)
})

it('leaves the event loop idle once nothing waits', async () => {
  const turns = openTurns()
  turns.skip()
  await turns.next('ana')
  expect(turns.takeFree()).toBe(true)
  await expect.poll(() => process.getActiveResourcesInfo().includes('Immediate')).toBe(false)
})
