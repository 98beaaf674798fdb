import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { redisChangeNotices } from '../../src/adapters/redis/change-notices.ts'
import { redisCounter } from '../../src/adapters/redis/counter.ts'
import { redisPendingPins } from '../../src/adapters/redis/pending-pins.ts'
import type { PendingPin } from '../../src/ports/sign-in.ts'
import { changeNoticesContract } from '../contracts/change-notices.ts'
import { actCounterContract, requestCounterContract } from '../contracts/counter.ts'
import { keep, pendingPin, pendingPinsContract } from '../contracts/pending-pins.ts'
import { MINUTE, testClock } from '../support/app.ts'
import { clientOf, connectionTo, describeRedis, gated, newDatabase } from '../support/redis.ts'

describeRedis('on Redis', () => {
  pendingPinsContract('Redis', async (clock) => redisPendingPins(await connectionTo(await newDatabase()), clock))
  actCounterContract('Redis', async (clock) => redisCounter(await connectionTo(await newDatabase()), clock))
  requestCounterContract('Redis', async (clock) => redisCounter(await connectionTo(await newDatabase()), clock))
  changeNoticesContract('Redis', async () => {
    const url = await newDatabase()
    return [await hearing(url), await hearing(url)]
  })

  /** Notices whose subscription has begun. */
  async function hearing(url: string) {
    const notices = redisChangeNotices(await connectionTo(url))
    await new Promise<void>((resolve) => notices.listen((owner) => owner === null && resolve()))
    return notices
  }

  it('listens again after an outage, and says that changes may have been missed', async () => {
    const { url, gate } = await gated(await newDatabase())
    const [one, other] = [await hearing(url), await hearing(url)]
    await gate.refuse()
    const missed = new Promise<void>((resolve) => one.listen((owner) => owner === null && resolve()))
    other.publish('lost')
    await gate.heal()
    await missed
    const heard = new Promise<string | null>((resolve) => one.listen(resolve))
    // The connection that publishes may come back later than the one that listens.
    const publishing = setInterval(() => other.publish('ada'), 50)
    expect(await heard).toBe('ada')
    clearInterval(publishing)
  })

  it('hears no changes of another database of the same server', async () => {
    const url = await newDatabase()
    const [one, other, neighbour] = [await hearing(url), await hearing(url), await hearing(await newDatabase())]
    const heard: (string | null)[] = []
    neighbour.listen((owner) => heard.push(owner))
    const arrived = new Promise<void>((resolve) => one.listen((owner) => owner === 'last' && resolve()))
    other.publish('first')
    other.publish('last')
    await arrived
    neighbour.publish('own')
    expect(heard).toEqual(['own'])
  })

  const clock = testClock()
  const pin = (fields: Partial<PendingPin> = {}) => pendingPin(clock, { address: randomBytes(32), ...fields })

  describe('two processes', () => {
    async function twoStores() {
      const url = await newDatabase()
      const [one, other] = [await connectionTo(url), await connectionTo(url)]
      return { url, pins: [redisPendingPins(one, clock), redisPendingPins(other, clock)] as const, one, other }
    }

    it('guess at the same PINs, and count their guesses together', async () => {
      const { pins } = await twoStores()
      const put = pin()
      await keep(pins[0], put)
      expect(await pins[1].guess('device-1', 'pin', 5)).toEqual([put])
      const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => pins[n % 2]?.guess('device-1', 'pin', 5)))
      expect(answers.filter((seen) => seen?.length === 1)).toHaveLength(4)
    })

    it('spend a PIN once', async () => {
      const { pins } = await twoStores()
      const put = pin()
      await keep(pins[0], put)
      const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => pins[n % 2]?.spend(put)))
      expect(answers.filter((spent) => spent)).toHaveLength(1)
    })

    it('have limits in common', async () => {
      const { one, other } = await twoStores()
      const counters = [redisCounter(one, clock), redisCounter(other, clock)]
      const answers = await Promise.all(
        Array.from({ length: 50 }, (_, n) => counters[n % 2]?.count('sign-in', 'ada', MINUTE)),
      )
      expect(answers.map((answer) => answer?.count).sort((a = 0, b = 0) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, n) => n + 1),
      )
    })

    it('have them in common though their clocks are not in step', async () => {
      const { one, other } = await twoStores()
      const [ahead, behind] = [testClock(clock() + 900), testClock(clock())]
      const counters = [redisCounter(one, ahead), redisCounter(other, behind)]
      const answers = []
      for (let n = 0; n < 6; n += 1) answers.push(await counters[n % 2]?.count('sign-in', 'ada', MINUTE))
      expect(answers.map((answer) => answer?.count)).toEqual([1, 2, 3, 4, 5, 6])
      expect(answers.map((answer) => answer?.leftMs)).toEqual(Array(6).fill(MINUTE))
    })

    it('go on where the server has forgotten their scripts', async () => {
      const { url, pins } = await twoStores()
      const put = pin()
      await keep(pins[0], put)
      expect(await pins[0].guess('device-1', 'pin', 5)).toEqual([put])
      await clientOf(url).script('FLUSH')
      expect(await pins[0].guess('device-1', 'pin', 5)).toEqual([put])
    })
  })

  it('nothing stays for good, and nothing goes before its time', async () => {
    const url = await newDatabase()
    const connection = await connectionTo(url)
    await keep(redisPendingPins(connection, clock), pin())
    await redisPendingPins(connection, clock).guess('device-1', 'pin', 5)
    await redisCounter(connection, clock).count('sign-in', 'ada', 5 * MINUTE)
    await redisCounter(connection, clock).count('sign-in', 'ada', 5 * MINUTE)
    await redisCounter(connection, clock).take('ada', 3, 5 * MINUTE)

    const client = clientOf(url)
    const ttls = await Promise.all((await client.keys('*')).map(async (key) => [key, await client.pttl(key)] as const))
    expect(ttls.filter(([key]) => !key.endsWith(':check'))).toHaveLength(3)
    for (const [key, ttlMs] of ttls) {
      expect(ttlMs, key).toBeGreaterThan(0)
      expect(ttlMs, key).toBeLessThanOrEqual(6 * MINUTE)
      if (!key.endsWith(':check')) expect(ttlMs, key).toBeGreaterThan(5 * MINUTE)
    }
  })

  it('neither device ids nor callers can be read there, and all PINs of a device are one key', async () => {
    const url = await newDatabase()
    const connection = await connectionTo(url)
    const pins = redisPendingPins(connection, clock)
    await keep(pins, pin({ deviceId: 'device-of-ada' }))
    await keep(pins, pin({ deviceId: 'device-of-ada', origin: 'vouched' }))
    await redisCounter(connection, clock).count('sign-in', '192.0.2.1', MINUTE)

    const client = clientOf(url)
    const keys = await client.keys('*')
    const hashes = keys.filter((key) => !key.endsWith(':check'))
    const contents = await Promise.all(hashes.map((key) => client.hgetall(key)))
    expect(contents).toHaveLength(2)
    expect(JSON.stringify([keys, contents])).not.toMatch(/device-of-ada|192\.0\.2\.1/)
    expect(keys.filter((key) => key.includes(':pins:'))).toHaveLength(1)
  })
})

describeRedis('an answer of Redis that came in time', () => {
  it('counts, although the event loop was too late to read it', async () => {
    const { script, told } = await connectionTo(await newDatabase())
    const one = script('return 1', 0)
    await one()
    const late = one()
    // By now the command is sent.
    await new Promise(setImmediate)
    const end = performance.now() + 700
    while (performance.now() < end);
    expect(await late).toBe(1)
    expect(await one()).toBe(1)
    expect(told).toEqual([])
  })
})
