/** The connection to a Redis server. It fails quickly, because requests wait for it, and reconnects by itself. */
import { isIP } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'

/** Writes a log line. Never called with the arguments of a command. */
export type Log = (message: string) => void

type Script = (...keysAndArguments: (string | number)[]) => Promise<unknown>

export interface RedisConnection {
  /** The number of the database that the commands go to. */
  database: number
  /**
   * A script that the server runs atomically. The first `keys` arguments are keys. Throws an error with `EUNREACHABLE` if the
   * server does not answer in time. The script may have run nevertheless.
   */
  script(lua: string, keys: number): Script
  /**
   * Calls `heard` with each message of a channel, over a connection of its own, which reconnects by itself. With `null` whenever
   * messages may have been lost.
   */
  subscribe(channel: string, heard: (message: string | null) => void): void
  /** Throws if scripts do not run, or may not write. */
  check(): Promise<void>
  close(): Promise<void>
}

/** The timeout of a command. A sign-in sends four commands in sequence, and must be answered within 2 seconds. */
const ANSWER_MS = 450

const CONNECT_MS = 1000
/** The driver closes a connection that is silent for so long after a command. */
const SILENT_MS = 2000
/** How long the start waits for a Redis server that is still loading its data. */
const START_MS = 2000
const LONGEST_PAUSE_MS = 1000
/** A connection that only listens notices by this that its server is gone. */
const KEEP_ALIVE_MS = 15_000

const BEHAVIOUR = {
  lazyConnect: true,
  connectTimeout: CONNECT_MS,
  // For the commands of the driver itself, when it connects. Ours have `ANSWER_MS`.
  socketTimeout: SILENT_MS,
  // Commands are not queued while disconnected. They are not sent again, because a guess would count twice.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  maxLoadingRetryTime: LONGEST_PAUSE_MS,
  retryStrategy: (tries: number) => Math.min(tries * 100, LONGEST_PAUSE_MS),
  // READONLY: the former primary is a replica now. A new connection may reach the new primary at the same address.
  reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
  protocol: 2,
  disableClientInfo: true,
} satisfies RedisOptions

/** Errors of wrong settings, which do not end by themselves. A server without free connections also answers `ERR`. */
const REFUSAL = /^(WRONGPASS|NOAUTH|NOPERM|DENIED|ERR(?! max number of clients))\b/

/**
 * `url` is the checked setting `REDIS_URL`. Resolves even if the server cannot be reached now. Throws if the server refuses the
 * credentials or the settings.
 */
export async function redisConnection(url: string, log: Log): Promise<RedisConnection> {
  const client = new Redis({ ...optionsOf(url), ...BEHAVIOUR })
  let reason = BROKEN
  let isDown = false
  let scripts = 0
  client.on('error', noteOutage)
  // `ready` is not enough: a replica accepts connections, too, but cannot write.
  client.on('ready', () => void (isDown && check().catch(() => {})))

  const writes = script(`redis.call('SET', KEYS[1], '', 'PX', 60000)`, 1)
  await Promise.race([client.connect().then(check), pause(START_MS, null, { ref: false })]).catch(() => {})
  if (REFUSAL.test(reason)) {
    client.disconnect()
    throw new Error(`REDIS_URL cannot be used; its server says: ${reason}`)
  }
  const subscribers: Redis[] = []
  return {
    database: client.options.db ?? 0,
    script,
    subscribe,
    check,
    async close() {
      for (const connection of [client, ...subscribers]) connection.disconnect()
    },
  }

  function subscribe(channel: string, heard: (message: string | null) => void) {
    // A subscription has no answers to wait for, so a silent connection is right.
    const { socketTimeout: _, ...behaviour } = BEHAVIOUR
    const subscriber = new Redis({ ...optionsOf(url), ...behaviour, keepAlive: KEEP_ALIVE_MS, autoResubscribe: false })
    subscribers.push(subscriber)
    // The other connection logs an outage.
    subscriber.on('error', () => {})
    subscriber.on('message', (_channel, message: string) => heard(message))
    subscriber.on('ready', () => {
      subscriber.subscribe(channel).then(
        () => heard(null),
        () => subscriber.disconnect(true),
      )
    })
    subscriber.connect().catch(() => {})
  }

  async function check() {
    await writes('minikeepsafe:check')
  }

  function script(lua: string, numberOfKeys: number) {
    scripts += 1
    const name = `script${scripts}`
    client.defineCommand(name, { lua, numberOfKeys })
    // The driver adds a method for the script, which its types do not have.
    const methods = client as unknown as Record<string, Script>
    return async (...keysAndArguments: Parameters<Script>) => {
      try {
        const answer = await inTime(methods[name]?.(...keysAndArguments))
        if (isDown) log('Redis answers again')
        isDown = false
        return answer
      } catch (error) {
        noteOutage(error as Error)
        throw Object.assign(new Error(`Redis does not answer (${reason})`), { code: 'EUNREACHABLE', logged: true })
      }
    }
  }

  /**
   * Throws if there is no answer in time, and closes the connection. Until a new one is open, requests fail without waiting. The timers
   * of the driver would run before an answer is read that has arrived while the event loop was late.
   */
  async function inTime(answer: Promise<unknown> | undefined): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    const over = new Promise((_, reject) => {
      timer = setTimeout(() => setImmediate(() => reject(new Error(TIMED_OUT))), ANSWER_MS)
    })
    try {
      return await Promise.race([answer, over])
    } catch (error) {
      if ((error as Error).message === TIMED_OUT) client.disconnect(true)
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Logs each outage once. */
  function noteOutage(error: Error) {
    reason = reasonOf(error) ?? (isDown ? reason : BROKEN)
    if (!isDown) log(`Redis does not answer (${reason}): sign-in is not possible, and sessions have no rate limits`)
    isDown = true
  }
}

const BROKEN = 'the connection broke'
const TIMED_OUT = 'no answer in time'

/** A reason without arguments of commands, which errors of the driver contain and the server may quote. `null` if there is no new reason. */
function reasonOf({ name, message, code }: Error & { code?: string }): string | null {
  if (name === 'ReplyError') return /^(?:ERR[^'"`]*|\w+)/.exec(message)?.[0].trim() ?? null
  if (code) return code
  return message === TIMED_OUT ? `nothing within ${ANSWER_MS} ms` : null
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
