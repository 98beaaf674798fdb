import type { ChangeNotices } from '../../ports/changes.ts'
import type { RedisConnection } from './connection.ts'

/**
 * Notices between all processes that share a Redis database. Without Redis, a process hears only its own; the others' clients
 * then wait until their time is over.
 */
export function redisChangeNotices({
  database,
  script,
  subscribe,
}: Pick<RedisConnection, 'database' | 'script' | 'subscribe'>): ChangeNotices {
  // All databases of a server have their channels together.
  const channel = `minikeepsafe:changes:${database}`
  const publish = script(`redis.call('PUBLISH', KEYS[1], ARGV[1])`, 1)
  const listeners: ((owner: string | null) => void)[] = []
  const tell = (owner: string | null) => {
    for (const heard of listeners) heard(owner)
  }
  subscribe(channel, tell)
  return {
    publish(owner) {
      tell(owner)
      publish(channel, owner).catch(() => {})
    },
    listen(heard) {
      listeners.push(heard)
    },
  }
}
