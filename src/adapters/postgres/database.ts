/** Connections to one PostgreSQL database. Each statement is its own transaction, with one round trip and a time limit. */
import pg from 'pg'
import type { Networks } from '../../ports/ports.ts'
import { fairQueue } from './fair-queue.ts'
import { databaseFault, isConflict, lost, notReached } from './faults.ts'

/** A request is answered within two seconds, even if the database hangs: it fails at the first transaction that hangs. */
const REQUEST_LIMIT_MS = 1500
/**
 * The limit of a request's first transaction while the database is slow, that is for `SLOW_FOR_MS` after any transaction
 * took this long. Usually such a transaction takes a millisecond. A request that waits long for each of its transactions is
 * not answered within two seconds.
 */
const FIRST_LIMIT_MS = 500
const SLOW_FOR_MS = 5000
/** Only the operator waits for an operator's command. */
const OPERATOR_LIMIT_MS = 60_000
/**
 * The driver's default. A statement takes about a millisecond, so ten connections serve thousands of requests a second. Ten
 * processes stay within a server's default (`max_connections` is 100).
 */
const CONNECTIONS = 10
/** The maximum for one user: statements that wait for the lock of the user's row must not occupy all connections. */
const CONNECTIONS_OF_KEY = 8
/** The maximum for all users of one network. */
const CONNECTIONS_OF_NETWORK = 9
/** How often we check whether a statement without a time limit still runs. */
const STILL_RUNS_MS = 500
const WRITES = /\b(INSERT INTO|UPDATE|DELETE FROM)\b/
/** The maximum of attempts at a transaction that PostgreSQL rolls back in favour of others. */
const ATTEMPTS = 3

/** The key of statements that anybody can cause. So all strangers have one turn, however many tokens and device ids they make up. */
export const STRANGERS = 'strangers'
/** The key of statements without a text or bytes: they are the server's own, such as the check of its health. */
const NOBODY = ''
/** Keys that are a network of their own. */
const OF_THE_SERVER = [NOBODY, STRANGERS]
/** The network of all other keys that are not of a user, such as the id of a file. */
const UNKNOWN = 'unknown'

/** Runs one statement and returns its rows. `key` is for the fair queue; by default it is the first text or bytes of the values. */
export type Ask = <Row>(text: string, values?: unknown[], key?: string) => Promise<Row[]>

export interface Database {
  /** Runs a whole transaction in one round trip, durable once resolved. Throws with the codes that `ports.ts` promises. */
  ask: Ask
  /**
   * Like `ask`, for the first transaction of a request. It has a shorter timeout while the database is slow. So a request is
   * refused soon, and not after one timeout for each of its transactions.
   */
  askFirst: Ask
  /** Like `ask`, through a function of ours in the database, with named arguments. */
  call<Row>(name: string, values: Record<string, unknown>, how?: Ask): Promise<Row[]>
  /**
   * Like `ask`, but its commit may take any time: PostgreSQL limits only the statement. It ends as soon as the database does not
   * execute it any more, for example because the connection leads to a server that is away.
   */
  askOn(text: string, values: unknown[]): Promise<void>
  /** Statements that write throw this error from now on, without reaching the database; `null` ends that. */
  pauseWrites(why: Error | null): void
  /** Runs `work` on its own connection. Without `limitMs`, a statement has no time limit. */
  alone<T>(work: (ask: Ask) => Promise<T>, limitMs?: number): Promise<T>
  /** The connections, those that are idle, and the transactions that wait for one. */
  pool(): { connections: number; idle: number; waiting: number }
  close(): Promise<void>
}

interface DatabaseOptions {
  beside?: boolean
  readOnly?: boolean
  /** By default nothing is known of any user. */
  networkOf?: Networks['of']
}

/** Connects at the first statement. */
export function openDatabase(
  url: string,
  { beside = false, readOnly = false, networkOf = () => null }: DatabaseOptions = {},
): Database {
  const limitMs = beside ? OPERATOR_LIMIT_MS : REQUEST_LIMIT_MS
  const pool = new pg.Pool({ ...settings(url, limitMs, readOnly), max: CONNECTIONS, connectionTimeoutMillis: limitMs })
  // A broken connection rejects the statement that waits for it and also emits this event, so the event is ignored.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const queue = fairQueue({
    most: CONNECTIONS,
    mostOfNetwork: CONNECTIONS_OF_NETWORK,
    mostOfKey: CONNECTIONS_OF_KEY,
    networkOf: (key) => networkOf(key) ?? (OF_THE_SERVER.includes(key) ? key : UNKNOWN),
  })
  const names = new Map<string, string>()
  const unlimited = new Set<pg.PoolClient>()
  let slowUntil = 0
  let paused: Error | null = null

  return {
    ask,
    askFirst,
    call(name, values, how = ask) {
      // A function may write.
      if (paused) return Promise.reject(paused)
      const given = Object.keys(values).map((key, n) => `${key} => $${n + 1}`)
      return how(`SELECT * FROM ${name}(${given.join(', ')})`, Object.values(values))
    },
    alone: (work, limitMs = 0) => alone({ ...settings(url, limitMs, readOnly), query_timeout: limitMs }, work),
    askOn,
    pool: () => ({ connections: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount + queue.waiting() }),
    pauseWrites(why) {
      paused = why
    },
    close() {
      for (const client of unlimited) drop(client)
      return pool.end()
    },
  }

  async function askOn(text: string, values: unknown[]): Promise<void> {
    const client = await pool.connect().catch((error) => {
      throw notReached(error)
    })
    unlimited.add(client)
    const { processID } = client as pg.PoolClient & { processID: number }
    const timer = setInterval(async () => {
      const running = await ask('SELECT FROM pg_stat_activity WHERE pid = $1 AND state <> $2', [
        processID,
        'idle',
      ]).catch(() => [])
      if (running.length === 0) drop(client)
    }, STILL_RUNS_MS).unref()
    try {
      await client.query(text, values)
      if (unlimited.delete(client)) client.release()
    } catch (error) {
      drop(client)
      throw databaseFault(error).error
    } finally {
      clearInterval(timer)
    }
  }

  function drop(client: pg.PoolClient): void {
    if (unlimited.delete(client)) client.release(true)
  }

  function ask<Row>(text: string, values: unknown[] = [], key = keyOf(values)): Promise<Row[]> {
    return askWithin(limitMs, text, values, key)
  }

  function askFirst<Row>(text: string, values: unknown[] = [], key = keyOf(values)): Promise<Row[]> {
    return askWithin(performance.now() < slowUntil ? FIRST_LIMIT_MS : limitMs, text, values, key)
  }

  async function askWithin<Row>(ms: number, text: string, values: unknown[], key: string): Promise<Row[]> {
    if (paused && WRITES.test(text)) throw paused
    const startedAt = performance.now()
    const time = countdown(ms)
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await askOnce<Row>(text, values, key, time.over)
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error
        }
      }
    } finally {
      time.stop()
      const now = performance.now()
      if (now - startedAt >= FIRST_LIMIT_MS) slowUntil = now + SLOW_FOR_MS
    }
  }

  async function askOnce<Row>(text: string, values: unknown[], key: string, over: Promise<never>): Promise<Row[]> {
    const leave = await queue.enter(key, over).catch((error) => {
      throw notReached(error)
    })
    try {
      return await askNow<Row>(text, values, over)
    } finally {
      leave()
    }
  }

  async function askNow<Row>(text: string, values: unknown[], over: Promise<never>): Promise<Row[]> {
    const client = await connection(over)
    try {
      const query = client.query({ name: nameOf(text), text, values: values.map(storable) })
      const { rows } = await Promise.race([query, over])
      client.release()
      return rows as Row[]
    } catch (error) {
      const mapped = databaseFault(error)
      client.release(mapped.breaks)
      throw mapped.error
    }
  }

  async function connection(over: Promise<never>): Promise<pg.PoolClient> {
    const connecting = pool.connect()
    try {
      return await Promise.race([connecting, over])
    } catch (error) {
      // A connection that comes late goes back to the pool, for the next transaction.
      connecting.then((late) => late.release()).catch(() => {})
      throw notReached(error)
    }
  }

  /** A named statement is parsed only once on each connection. */
  function nameOf(text: string): string {
    const name = names.get(text) ?? `minikeepsafe_${names.size + 1}`
    names.set(text, name)
    return name
  }
}

/**
 * The key of the fair queue is the first argument that is a text or bytes, usually the owner's id.
 */
function keyOf(values: unknown[]): string {
  const first = values.find((value) => typeof value === 'string' || Buffer.isBuffer(value)) ?? NOBODY
  return String(first)
}

/** Throws while the database does not answer or takes no writes. */
export function databaseCheck({ askFirst }: Database): () => Promise<void> {
  return async () => {
    const [answer] = await askFirst<{ readOnly: boolean }>(
      `SELECT current_setting('transaction_read_only')::boolean AS "readOnly"`,
    )
    if (answer?.readOnly) throw Object.assign(new Error('PostgreSQL takes no writes'), { code: 'EROFS' })
  }
}

async function alone<T>(given: pg.ClientConfig, work: (ask: Ask) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...given, connectionTimeoutMillis: REQUEST_LIMIT_MS })
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (error) {
    throw notReached(error)
  }
  try {
    return await work(oneAtATime(client))
  } finally {
    // The end of the connection rolls an unfinished transaction back.
    await client.end()
  }
}

/** A caller may ask several things at once. The driver warns of a statement that waits in its own queue. */
function oneAtATime(client: pg.Client): Ask {
  let last: Promise<unknown> = Promise.resolve()
  return async <Row>(text: string, values: unknown[] = []) => {
    const turn = last.then(() => client.query(text, values))
    last = turn.catch(() => {})
    try {
      return (await turn).rows as Row[]
    } catch (error) {
      throw databaseFault(error).error
    }
  }
}

/** Every connection sets the options that our promises depend on, whatever the server's own defaults are. */
function settings(url: string, limitMs: number, readOnly: boolean): pg.ClientConfig {
  const address = new URL(url)
  const given = address.searchParams.get('options') ?? ''
  address.searchParams.delete('options')
  const ours = {
    synchronous_commit: 'on',
    default_transaction_isolation: 'read\\ committed',
    statement_timeout: limitMs,
    ...(readOnly && { default_transaction_read_only: 'on' }),
  }
  const options = Object.entries(ours).map(([name, value]) => `-c ${name}=${value}`)
  return {
    connectionString: address.href,
    options: [given, ...options].join(' ').trim(),
    application_name: 'minikeepsafe',
    keepAlive: true,
    types: { getTypeParser: parserOf },
  }
}

/** Sizes and times are bigint, which the driver would return as text. */
const parserOf: typeof pg.types.getTypeParser = (type: number, format?: 'text' | 'binary') =>
  type === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(type, format as 'text')

/** JSON for `jsonb`. Its strings have the same limits as text. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, part) => storable(part))
}

/**
 * Replaces the characters that PostgreSQL's text cannot hold. It is a control character, because a name cannot contain one
 * but may contain U+FFFD.
 */
const NONE = '\u0001'

/**
 * PostgreSQL's text can hold neither NUL nor half of a surrogate pair. No stored text has one, so a query for one must find
 * nothing.
 */
function storable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storable)
  return typeof value === 'string' ? value.replaceAll('\0', NONE).replaceAll(/\p{Cs}/gu, NONE) : value
}

/** The statements whose time is over, in the order in which they began. If there are any, `endSome` is scheduled. */
const expired: (() => void)[] = []
/** Statements that are given up in one iteration of the event loop. Each is a response with a log line, and many began together. */
const EXPIRED_AT_ONCE = 8

function expire(end: () => void): void {
  expired.push(end)
  if (expired.length === 1) setImmediate(endSome)
}

function endSome(): void {
  for (const end of expired.splice(0, EXPIRED_AT_ONCE)) end()
  if (expired.length > 0) setImmediate(endSome)
}

function countdown(ms: number): { over: Promise<never>; stop(): void } {
  let stop = () => {}
  const over = new Promise<never>((_, reject) => {
    // If the event loop was late, the answer may be there, and is read before the immediate. It must not be taken for lost.
    const timer = setTimeout(() => expire(() => reject(lost('no answer in time'))), ms)
    stop = () => clearTimeout(timer)
  })
  // The race handles the rejection. After the race, nothing does, and the rejection must not end the process.
  over.catch(() => {})
  return { over, stop }
}
