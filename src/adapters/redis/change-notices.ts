import type { ChangeNotices } from '../../ports/changes.ts'
import type { RedisConnection } from './connection.ts'

const CHANNEL = 'minikeepsafe:changes'

/**
 * Notices between all processes that share a Redis server. Without Redis, a process hears only its own; the others' clients
 * then wait until their time is over.
 */
export function redisChangeNotices({
  script,
  subscribe,
}: Pick<RedisConnection, 'script' | 'subscribe'>): ChangeNotices {
  const publish = script(`redis.call('PUBLISH', KEYS[1], ARGV[1])`, 1)
  const listeners: ((owner: string | null) => void)[] = []
  const tell = (owner: string | null) => {
    for (const heard of listeners) heard(owner)
  }
  subscribe(CHANNEL, tell)
  return {
    publish(owner) {
      tell(owner)
      publish(CHANNEL, owner).catch(() => {})
    },
    listen(heard) {
      listeners.push(heard)
    },
  }
}
