import type { EventCounter, RequestCounter } from '../../ports/counters.ts'
import type { Clock } from '../../ports/ports.ts'
import type { RedisConnection } from './connection.ts'
import { GRACE_MS, keyOf } from './keys.ts'

/**
 * The clocks of the servers differ slightly, and commands may arrive in another order than the clocks were read. So a window may
 * seem to have more time left than its length. Up to the time to live this is accepted; more means that a clock was set back,
 * and a new window begins. `%.0f` keeps the last digits of the time, which Lua would lose. Arguments: now, window, time to live,
 * cost.
 */
const COUNT = `
local left = (redis.call('HGET', KEYS[1], 'endsAt') or 0) - ARGV[1]
if left > 0 and left <= tonumber(ARGV[3]) then
  return { redis.call('HINCRBY', KEYS[1], 'count', ARGV[4]), math.min(left, ARGV[2]) }
end
redis.call('HSET', KEYS[1], 'count', ARGV[4], 'endsAt', string.format('%.0f', ARGV[1] + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { tonumber(ARGV[4]), tonumber(ARGV[2]) }
`

/** Counts in Redis, for all processes that share it. The key of a window expires soon after the window ends. */
export function redisCounter({ script }: Pick<RedisConnection, 'script'>, clock: Clock): EventCounter & RequestCounter {
  const run = script(COUNT, 1)

  return {
    count,

    async take(key, max, windowMs) {
      return (await count(`events in ${windowMs} ms`, key, windowMs)).count <= max
    },
  }

  async function count(limit: string, caller: string, windowMs: number, cost = 1) {
    const answer = await run(keyOf('count', `${limit} ${caller}`), clock(), windowMs, windowMs + GRACE_MS, cost)
    const [count, leftMs] = answer as [number, number]
    return { count, leftMs }
  }
}
