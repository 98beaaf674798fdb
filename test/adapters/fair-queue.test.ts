import { expect, it } from 'vitest'
import { fairQueue } from '../../src/adapters/postgres/fair-queue.ts'

const NEVER = new Promise<never>(() => {})

it('lets keys take turns, and leaves connections for others', async () => {
  const queue = fairQueue(3, 2)
  const order: string[] = []
  const enter = (key: string, name: string) => queue.enter(key, NEVER).then(() => order.push(name))
  for (const n of [1, 2, 3, 4]) void enter('ana', `ana ${n}`)
  for (const n of [1, 2]) void enter('ben', `ben ${n}`)
  await Promise.resolve()
  expect([order, queue.waiting()]).toEqual([['ana 1', 'ana 2', 'ben 1'], 3])
  for (const key of ['ana', 'ben', 'ana']) queue.leave(key)
  await expect.poll(() => order.slice(3)).toEqual(['ana 3', 'ben 2', 'ana 4'])
})

it('forgets one whose time is over while it waits', async () => {
  const queue = fairQueue(1, 1)
  await queue.enter('ana', NEVER)
  const over = Promise.reject(new Error('no answer in time'))
  await expect(queue.enter('ben', over)).rejects.toThrow('no answer in time')
  expect(queue.waiting()).toBe(0)
  const next = queue.enter('eve', NEVER)
  queue.leave('ana')
  await next
})

it('frees a connection that was given to one whose time was over at the same moment', async () => {
  const queue = fairQueue(1, 1)
  await queue.enter('ana', NEVER)
  let end = (_: Error) => {}
  const over = new Promise<never>((_, reject) => {
    end = reject
  })
  const late = queue.enter('ben', over)
  end(new Error('no answer in time'))
  queue.leave('ana')
  await expect(late).rejects.toThrow('no answer in time')
  await queue.enter('eve', NEVER)
})
