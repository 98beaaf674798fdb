import { expect, it } from 'vitest'
import { fairQueue } from '../../src/adapters/postgres/fair-queue.ts'

const NEVER = new Promise<never>(() => {})
const alone = (key: string) => key
const oneAtATime = { most: 1, mostOfNetwork: 1, mostOfKey: 1, networkOf: alone }

it('lets keys take turns, and leaves connections for others', async () => {
  const queue = fairQueue({ most: 3, mostOfNetwork: 3, mostOfKey: 2, networkOf: alone })
  const order: string[] = []
  const leaving: (() => void)[] = []
  const enter = async (key: string, name: string) => {
    leaving.push(await queue.enter(key, NEVER))
    order.push(name)
  }
  for (const n of [1, 2, 3, 4]) void enter('ana', `ana ${n}`)
  for (const n of [1, 2]) void enter('ben', `ben ${n}`)
  await expect.poll(() => order).toEqual(['ana 1', 'ana 2', 'ben 1'])
  expect(queue.waiting()).toBe(3)
  for (const n of [0, 2, 1]) leaving[n]?.()
  await expect.poll(() => order.slice(3)).toEqual(['ana 3', 'ben 2', 'ana 4'])
})

it('lets networks take turns, however many keys one of them has, and leaves connections for others', async () => {
  const queue = fairQueue({ most: 3, mostOfNetwork: 2, mostOfKey: 2, networkOf: (key) => key.slice(0, 1) })
  const order: string[] = []
  const enter = async (key: string) => {
    const leave = await queue.enter(key, NEVER)
    order.push(key)
    setImmediate(leave)
  }
  await Promise.all(['a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3', 'c1'].map(enter))
  expect(order.join(' ')).toBe('a1 a2 b1 a3 b2 c1 a4 b3')
  expect(queue.waiting()).toBe(0)
})

it('forgets one whose time is over while it waits', async () => {
  const queue = fairQueue(oneAtATime)
  const leave = await queue.enter('ana', NEVER)
  const over = Promise.reject(new Error('no answer in time'))
  await expect(queue.enter('ben', over)).rejects.toThrow('no answer in time')
  expect(queue.waiting()).toBe(0)
  const next = queue.enter('eve', NEVER)
  leave()
  await next
})

it('frees a connection that was given to one whose time was over at the same moment', async () => {
  const queue = fairQueue(oneAtATime)
  const leave = await queue.enter('ana', NEVER)
  let end = (_: Error) => {}
  const over = new Promise<never>((_, reject) => {
    end = reject
  })
  const late = queue.enter('ben', over)
  end(new Error('no answer in time'))
  leave()
  await expect(late).rejects.toThrow('no answer in time')
  await queue.enter('eve', NEVER)
})
