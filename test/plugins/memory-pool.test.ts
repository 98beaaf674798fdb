import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextIteration } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Claim, GRANTED_AT_ONCE, type MemoryPool, memoryPool } from '../../src/plugins/connections/memory-pool.ts'
import { iteration } from '../support/iteration.ts'

const PATIENT = { totalBytes: 100, networkBytes: 60, userBytes: 40, waitMs: 10_000 }
const HASTY = { ...PATIENT, waitMs: 10 }

describe('memory for transfers', () => {
  it('is held until the response closes', async () => {
    const pool = memoryPool(PATIENT)
    const first = await held(pool, { bytes: 40 })
    const second = waiting(pool, { bytes: 40 })
    expect(await second.granted()).toBe(false)
    first.emit('close')
    expect(await second.granted()).toBe(true)
  })

  it('is refused with a 429 to a user, or a network, whose share was used up for too long', async () => {
    const pool = memoryPool(HASTY)
    await held(pool, { user: 'ada', bytes: 40 })
    await expect(held(pool, { user: 'ada', bytes: 1 })).rejects.toMatchObject({ code: 'too-many-requests' })
    await held(pool, { user: 'ben', bytes: 20 })
    await expect(held(pool, { user: 'eve', bytes: 1 })).rejects.toMatchObject({ code: 'too-many-requests' })
    await held(pool, { user: 'eve', network: 'elsewhere', bytes: 1 })
  })

  it('is refused with a 503 where everybody together holds all of it', async () => {
    const pool = memoryPool(HASTY)
    for (const n of [1, 2, 3]) await held(pool, { user: `user ${n}`, network: `network ${n}`, bytes: 33 })
    const one = { user: 'ada', network: 'home', bytes: 2 }
    await expect(held(pool, one)).rejects.toMatchObject({ code: 'not-ready', headers: { 'retry-after': '5' } })
  })

  it('goes to a bystander while one user waits for more', async () => {
    const pool = memoryPool(PATIENT)
    await held(pool, { user: 'ada', bytes: 40 })
    const greedy = waiting(pool, { user: 'ada', bytes: 40 })
    await held(pool, { user: 'ben', network: 'elsewhere', bytes: 40 })
    expect(await greedy.granted()).toBe(false)
  })

  it('goes to the network that has the least, before the many claims of others that wait for longer', async () => {
    const pool = memoryPool({ ...PATIENT, networkBytes: 100, userBytes: 100 })
    const first = await held(pool, { user: 'ada', network: 'crowd', bytes: 45 })
    await held(pool, { user: 'eve', network: 'crowd', bytes: 45 })
    const before = waiting(pool, { user: 'ada', network: 'crowd', bytes: 45 })
    const bystander = waiting(pool, { user: 'ben', network: 'elsewhere', bytes: 45 })
    first.emit('close')
    expect([await bystander.granted(), await before.granted()]).toEqual([true, false])
  })

  it('is left for a network that holds none, however many claims of a few networks wait', async () => {
    const pool = memoryPool(PATIENT)
    for (const network of ['one', 'two', 'three']) await held(pool, { user: network, network, bytes: 30 })
    const crowd = ['one', 'two', 'three'].map((network) => waiting(pool, { user: network, network, bytes: 5 }))
    expect(await Promise.all(crowd.map((one) => one.granted()))).toEqual([false, false, false])
    await held(pool, { user: 'ben', network: 'elsewhere', bytes: 5 })
  })

  it('goes to a small claim that fits while a large one waits, and is left, for more', async () => {
    const pool = memoryPool({ ...PATIENT, networkBytes: 100, userBytes: 100 })
    const first = await held(pool, { user: 'ada', bytes: 60 })
    const large = waiting(pool, { user: 'ben', bytes: 80 })
    expect(await large.granted()).toBe(false)
    const small = await held(pool, { user: 'eve', bytes: 30 })
    small.emit('close')
    expect(await large.granted()).toBe(false)
    first.emit('close')
    expect(await large.granted()).toBe(true)
  })

  it('serves a claim that is larger than all there is when nobody else holds any', async () => {
    const pool = memoryPool(PATIENT)
    const first = await held(pool, { user: 'ada', bytes: 1 })
    const huge = waiting(pool, { user: 'ben', network: 'elsewhere', bytes: 1000 })
    expect(await huge.granted()).toBe(false)
    first.emit('close')
    expect(await huge.granted()).toBe(true)
  })

  it('goes to those that wait before those that come while it is released', async () => {
    const pool = memoryPool(PATIENT)
    const first = await held(pool, { bytes: 40 })
    const before = waiting(pool, { bytes: 40 })
    first.emit('close')
    const after = waiting(pool, { bytes: 40 })
    expect([await before.granted(), await after.granted()]).toEqual([true, false])
  })

  it('of a response that needs more is limited by the total only, and counts for its network and user', async () => {
    const pool = memoryPool(HASTY)
    await held(pool, { bytes: 40 })
    const first = await held(pool, { bytes: 45, isMore: true })
    await expect(held(pool, { bytes: 10, isMore: true })).rejects.toMatchObject({ code: 'not-ready' })
    await expect(held(pool, { user: 'ben', bytes: 1 })).rejects.toMatchObject({ code: 'too-many-requests' })
    await held(pool, { user: 'ben', network: 'elsewhere', bytes: 1 })
    first.emit('close')
    await held(pool, { user: 'ben', bytes: 20 })
  })

  it('is looked for once, however many of the transfers and of the waiting ones close at the same time', async () => {
    const pool = memoryPool({ ...PATIENT, totalBytes: 5000, networkBytes: 4000, userBytes: 4000 })
    const open = await Promise.all(Array.from({ length: 4000 }, () => held(pool, {})))
    let looked = 0
    const claim = {
      user: 'ada',
      bytes: 1,
      get network() {
        looked += 1
        return 'home'
      },
    }
    const responses = Array.from({ length: 1000 }, () => new EventEmitter() as ServerResponse)
    for (const response of responses) pool.claim(claim, response).catch(() => {})
    looked = 0
    for (const response of [...open, ...responses]) response.emit('close')
    const last = waiting(pool, { bytes: 4000 })
    expect(await last.granted()).toBe(true)
    expect(looked).toBe(0)
  })

  it('is granted to a few of those that wait in an iteration, and to another network among the first', async () => {
    const pool = memoryPool({ ...PATIENT, networkBytes: 90, userBytes: 90 })
    const first = await held(pool, { bytes: 90 })
    const granted: { network: string; at: number }[] = []
    const wait = (network: string) => {
      const { promise } = waiting(pool, { user: network, network })
      return promise.then(() => granted.push({ network, at: iteration() }))
    }
    const all = Array.from({ length: 5 * GRANTED_AT_ONCE }, () => wait('home'))
    first.emit('close')
    await nextIteration()
    await Promise.all([...all, wait('elsewhere')])
    const at = granted.map((one) => one.at - (granted[0]?.at ?? 0))
    expect(at.filter((n) => n === 0)).toHaveLength(GRANTED_AT_ONCE)
    expect(at.at(-1)).toBe(5)
    expect(granted.findIndex(({ network }) => network === 'elsewhere')).toBe(GRANTED_AT_ONCE)
  })

  it('is not kept for a client that left while it waited', async () => {
    const pool = memoryPool(PATIENT)
    const first = await held(pool, { bytes: 40 })
    const gone = waiting(pool, { bytes: 40 })
    gone.response.emit('close')
    expect(await gone.granted()).toBe(false)
    first.emit('close')
    await held(pool, { bytes: 40 })
  })
})

function waiting(pool: MemoryPool, claim: Partial<Claim>) {
  const response = new EventEmitter() as ServerResponse
  let granted = false
  const promise = pool.claim({ network: 'home', user: 'ada', bytes: 1, ...claim }, response)
  promise.then(
    () => {
      granted = true
    },
    () => {},
  )
  return { response, promise, granted: () => nextIteration().then(() => granted) }
}

async function held(pool: MemoryPool, claim: Partial<Claim>): Promise<ServerResponse> {
  const response = new EventEmitter() as ServerResponse
  await pool.claim({ network: 'home', user: 'ada', bytes: 1, ...claim }, response)
  return response
}
