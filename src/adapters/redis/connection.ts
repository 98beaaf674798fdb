/** The connection to a Redis server: fails quickly, since requests wait for it, and comes back by itself. */
import { isIP } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'

/** Tells the operator; never with what a command carried. */
export type Tell = (message: string) => void

type Script = (...keysAndArguments: (string | number)[]) => Promise<unknown>

export interface RedisConnection {
  /**
   * A script that the server runs in one step, on so many keys; they come before its other arguments. Where the server
   * does not run it in time, a fault with `EUNREACHABLE`; it may have run all the same.
   */
  script(lua: string, keys: number): Script
  /** Throws where scripts do not run, or may not write. */
  check(): Promise<void>
  close(): Promise<void>
}

/** A sign-in asks four times, one after the other, and is to be answered within 2 seconds. */
const ANSWER_MS = 450

const CONNECT_MS = 1000
/** How long a start waits for a server that is still reading its own disk. */
const START_MS = 2000
const LONGEST_PAUSE_MS = 1000

const BEHAVIOUR = {
  lazyConnect: true,
  connectTimeout: CONNECT_MS,
  commandTimeout: ANSWER_MS,
  // A server that does not answer is left; until it takes a new connection, requests do not wait for it at all.
  socketTimeout: ANSWER_MS,
  // Nothing waits for a connection, and nothing is sent twice: a guess would count twice.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  maxLoadingRetryTime: LONGEST_PAUSE_MS,
  retryStrategy: (tries: number) => Math.min(tries * 100, LONGEST_PAUSE_MS),
  // What was the primary is a replica now: its address may lead to another server by now.
  reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
  protocol: 2,
  disableClientInfo: true,
} satisfies RedisOptions

/** What does not pass by itself: the settings are wrong. A server that has no connections left says `ERR`, too. */
const REFUSAL = /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR(?! max number of clients))\b/

/**
 * `url` is as `REDIS_URL` was checked to be. Resolves also where the server cannot be reached now; throws where it does
 * not let us in.
 */
export async function redisConnection(url: string, tell: Tell): Promise<RedisConnection> {
  const client = new Redis({ ...optionsOf(url), ...BEHAVIOUR })
  let reason = BROKEN
  let isDown = false
  let scripts = 0
  client.on('error', hear)
  // Being connected is not enough: a replica takes connections, too.
  client.on('ready', () => void (isDown && check().catch(() => {})))

  const writes = script(`redis.call('SET', KEYS[1], '', 'PX', 60000)`, 1)
  await Promise.race([client.connect().then(check), pause(START_MS, null, { ref: false })]).catch(() => {})
  if (REFUSAL.test(reason)) {
    client.disconnect()
    throw new Error(`REDIS_URL cannot be used; its server says: ${reason}`)
  }
  return { script, check, close: async () => client.disconnect() }

  async function check() {
    await writes('minikeepsafe:check')
  }

  function script(lua: string, numberOfKeys: number) {
    scripts += 1
    const name = `script${scripts}`
    client.defineCommand(name, { lua, numberOfKeys })
    // The driver makes a method of it, which its types do not know.
    const methods = client as unknown as Record<string, Script>
    return async (...keysAndArguments: Parameters<Script>) => {
      try {
        const answer = await methods[name]?.(...keysAndArguments)
        if (isDown) tell('Redis answers again')
        isDown = false
        return answer
      } catch (error) {
        hear(error as Error)
        throw Object.assign(new Error(`Redis does not answer (${reason})`), { code: 'EUNREACHABLE', told: true })
      }
    }
  }

  /** The operator hears of each outage once. */
  function hear(error: Error) {
    reason = reasonOf(error) ?? (isDown ? reason : BROKEN)
    if (!isDown) tell(`Redis does not answer (${reason}): nobody can sign in, and whoever is signed in has no limits`)
    isDown = true
  }
}

const BROKEN = 'the connection broke'

/** The errors of the driver carry commands with all their arguments, and the server may quote them. `null`: it says nothing new. */
function reasonOf({ name, message, code }: Error & { code?: string }): string | null {
  if (name === 'ReplyError') return /^(?:ERR[^'"`]*|\w+)/.exec(message)?.[0].trim() ?? null
  if (code) return code
  return message === 'Command timed out' ? `nothing within ${ANSWER_MS} ms` : null
}

function optionsOf(url: string) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return {
    host,
    port: Number(port || 6379),
    db: Number(pathname.slice(1)),
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(protocol === 'rediss:' && { tls: isIP(host) ? {} : { servername: host } }),
  }
}
