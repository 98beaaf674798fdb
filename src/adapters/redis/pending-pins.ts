import type { Clock, PendingPin, PendingPinStore } from '../../ports.ts'
import type { RedisConnection } from './connection.ts'
import { GRACE_MS, keyOf } from './keys.ts'

/** All fields of an earlier PIN are replaced. Arguments: id, kind, end, record, time to live. */
const PUT = `
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'kind', ARGV[2], 'expiresAt', ARGV[3], 'record', ARGV[4], 'guesses', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
`

/** Arguments: now, most attempts. */
const GUESS = `
local open = {}
for _, key in ipairs(KEYS) do
  local record, kind, expiresAt = unpack(redis.call('HMGET', key, 'record', 'kind', 'expiresAt'))
  if record and tonumber(expiresAt) > tonumber(ARGV[1]) then
    local guesses = redis.call('HINCRBY', key, 'guesses', 1)
    if kind == 'code' or guesses <= tonumber(ARGV[2]) then table.insert(open, record) end
  end
end
return open
`

/** Argument: id. */
const SPEND = `
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
`

/**
 * Pending PINs in Redis, for all processes that share it. It may lose them, or have one back that was spent, where it
 * fails over to a replica that lags: the database remembers which PINs opened a session.
 */
export function redisPendingPins({ script }: Pick<RedisConnection, 'script'>, clock: Clock): PendingPinStore {
  const put = script(PUT, 1)
  const guess = script(GUESS, 2)
  const spend = script(SPEND, 1)

  return {
    async put(pin) {
      const ttlMs = pin.expiresAt - clock() + GRACE_MS
      await put(keyOfPin(pin), pin.id, pin.kind, pin.expiresAt, recordOf(pin), ttlMs)
    },

    async guess(deviceId, maxAttempts) {
      // Where both have the same digits, the one that its owner asked for goes first.
      const keys = (['vouched', 'open'] as const).map((origin) => keyOfPin({ deviceId, origin }))
      const records = await guess(...keys, clock(), maxAttempts)
      return (records as string[]).map((record) => pinOf(deviceId, record))
    },

    async spend(pin) {
      return (await spend(keyOfPin(pin), pin.id)) === 1
    },
  }
}

function keyOfPin({ deviceId, origin }: Pick<PendingPin, 'deviceId' | 'origin'>): string {
  return `${keyOf('pin', deviceId)}:${origin}`
}

/** All but the device id, which is a secret, and which whoever guesses brings along. */
function recordOf({ deviceId: _, address, digest, ...rest }: PendingPin): string {
  return JSON.stringify({ ...rest, address: address?.toString('base64') ?? null, digest: digest.toString('base64') })
}

function pinOf(deviceId: string, record: string): PendingPin {
  const { address, digest, ...rest } = JSON.parse(record)
  return {
    ...rest,
    deviceId,
    address: address === null ? null : Buffer.from(address, 'base64'),
    digest: Buffer.from(digest, 'base64'),
  }
}
