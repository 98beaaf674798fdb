import type { Clock } from '../../ports/ports.ts'
import type { PendingPin, PendingPinStore } from '../../ports/sign-in.ts'
import type { RedisConnection } from './connection.ts'
import { GRACE_MS, keyOf } from './keys.ts'

/**
 * The pending PINs of a device are one hash. Each PIN has three fields: its record, named by its slot, its number of guesses, and the
 * number of PINs that it was compared with. A slot is `open`, or a user. The name of the third field begins as that of the second,
 * because servers of the version before skip such fields. Arguments: now, slot, record, time to live, maximum of users, maximum of
 * comparisons, and the ids of the PINs that were compared.
 */
const PUT = `
local now, slot, record, ttl, most = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local mostCompared = tonumber(ARGV[6])
local compared, others, slots, users, first, worn, unlike = {}, {}, {}, 0, nil, nil, false
for at = 7, #ARGV do compared[ARGV[at]] = true end
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local other = fields[at]
  if string.sub(other, 1, 8) ~= 'guesses ' and other ~= slot then
    local pin = cjson.decode(fields[at + 1])
    if pin.expiresAt <= now then
      redis.call('HDEL', KEYS[1], other, 'guesses ' .. other, 'guesses compared ' .. other)
    else
      table.insert(others, fields[at + 1])
      table.insert(slots, other)
      if tonumber(redis.call('HGET', KEYS[1], 'guesses compared ' .. other) or '0') >= mostCompared then
        worn = math.min(worn or pin.expiresAt, pin.expiresAt)
      end
      unlike = unlike or not compared[pin.id]
      if other ~= 'open' then
        users = users + 1
        first = math.min(first or pin.expiresAt, pin.expiresAt)
      end
    end
  end
end
if slot ~= 'open' and users >= most then return {'full', string.format('%.0f', first)} end
if worn then return {'full', string.format('%.0f', worn)} end
if unlike then return {'unlike', unpack(others)} end
for _, other in ipairs(slots) do redis.call('HINCRBY', KEYS[1], 'guesses compared ' .. other, 1) end
redis.call('HSET', KEYS[1], slot, record, 'guesses ' .. slot, 0, 'guesses compared ' .. slot, 0)
if redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
return {'kept'}
`

/** Arguments: now, kind, maximum of attempts. */
const GUESS = `
local open = {}
local fields = redis.call('HGETALL', KEYS[1])
for at = 1, #fields, 2 do
  local slot, record = fields[at], fields[at + 1]
  if string.sub(slot, 1, 8) ~= 'guesses ' then
    local pin = cjson.decode(record)
    if pin.kind == ARGV[2] and pin.expiresAt > tonumber(ARGV[1]) then
      local guesses = redis.call('HINCRBY', KEYS[1], 'guesses ' .. slot, 1)
      if pin.kind == 'code' or guesses <= tonumber(ARGV[3]) then table.insert(open, record) end
    end
  end
end
return open
`

/** Arguments: slot, id. */
const SPEND = `
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or cjson.decode(record).id ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1], 'guesses ' .. ARGV[1], 'guesses compared ' .. ARGV[1])
return 1
`

/**
 * Keeps pending PINs in Redis, for all processes that share it. After a failover to a lagging replica, Redis may have lost PINs,
 * or may have a spent PIN again. So the database records which PINs opened a session.
 */
export function redisPendingPins({ script }: Pick<RedisConnection, 'script'>, clock: Clock): PendingPinStore {
  const put = script(PUT, 1)
  const guess = script(GUESS, 1)
  const spend = script(SPEND, 1)

  return {
    async put(pin, { compared, mostUsers, mostCompared }) {
      const now = clock()
      const ttlMs = pin.expiresAt - now + GRACE_MS
      const [slot, record] = [slotOf(pin), recordOf(pin)]
      const answer = await put(keyOfDevice(pin), now, slot, record, ttlMs, mostUsers, mostCompared, ...compared)
      const [as, ...rest] = answer as ['kept' | 'unlike' | 'full', ...string[]]
      if (as === 'full') return { as, until: Number(rest[0]) }
      return as === 'kept' ? { as } : { as, others: rest.map((record) => pinOf(pin.deviceId, record)) }
    },

    async guess(deviceId, kind, maxAttempts) {
      const records = await guess(keyOfDevice({ deviceId }), clock(), kind, maxAttempts)
      return (records as string[]).map((record) => pinOf(deviceId, record))
    },

    async spend(pin) {
      return (await spend(keyOfDevice(pin), slotOf(pin), pin.id)) === 1
    },
  }
}

function keyOfDevice({ deviceId }: Pick<PendingPin, 'deviceId'>): string {
  return keyOf('pins', deviceId)
}

function slotOf({ origin, grant }: PendingPin): string {
  return origin === 'open' ? origin : `user ${grant.userId}`
}

/** The PIN without its device id. The device id is secret, and each guess contains it. */
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
