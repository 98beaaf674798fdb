/** Connections to one PostgreSQL database: every statement is an act of its own, answered in one round trip and in time. */
import pg from 'pg'
import { databaseFault, isConflict, lost, notReached } from './faults.ts'

/** A request is answered within two seconds, whatever hangs: it stops at the first act that does. */
const REQUEST_LIMIT_MS = 1500
/**
 * What the first act of a request has while the database is slow, that is for a while after any act took as long: where all is
 * well such an act takes a millisecond, and a request that waits long for each of its acts is not answered within two seconds.
 */
const DOOR_MS = 500
const SLOW_FOR_MS = 5000
/** Nobody waits for an operator's command but the operator. */
const OPERATOR_LIMIT_MS = 60_000
/**
 * As many as the driver's own choice. A statement takes about a millisecond, so ten serve thousands of requests a second, and
 * ten processes stay within what a server takes out of the box (`max_connections` is 100).
 */
const CONNECTIONS = 10
/** Of acts that PostgreSQL gave up in favour of others, to be done again. */
const ATTEMPTS = 3

/** Runs one statement and answers its rows. */
export type Ask = <Row>(text: string, values?: unknown[]) => Promise<Row[]>

export interface Database {
  /** A whole act in one round trip, durable once answered. Throws with the codes that `ports.ts` promises. */
  ask: Ask
  /** The same for the first act of a request: where the database is slow, requests end here, and soon. */
  askFirst: Ask
  /** The same through a function of ours in the database, with its arguments by name. */
  call<Row>(name: string, values: Record<string, unknown>, how?: Ask): Promise<Row[]>
  /** A connection of its own. Without a limit a statement takes as long as it takes. */
  alone<T>(work: (ask: Ask) => Promise<T>, limitMs?: number): Promise<T>
  close(): Promise<void>
}

/** Connects with the first statement. */
export function openDatabase(url: string, { beside = false, readOnly = false } = {}): Database {
  const limitMs = beside ? OPERATOR_LIMIT_MS : REQUEST_LIMIT_MS
  const pool = new pg.Pool({ ...settings(url, limitMs, readOnly), max: CONNECTIONS, connectionTimeoutMillis: limitMs })
  // A connection that breaks is told to whoever waits for it, and once more: then nobody else need hear of it.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  const names = new Map<string, string>()
  let slowUntil = 0

  return {
    ask,
    askFirst,
    call(name, values, how = ask) {
      const given = Object.keys(values).map((key, n) => `${key} => $${n + 1}`)
      return how(`SELECT * FROM ${name}(${given.join(', ')})`, Object.values(values))
    },
    alone: (work, limitMs = 0) => alone({ ...settings(url, limitMs, readOnly), query_timeout: limitMs }, work),
    close: () => pool.end(),
  }

  function ask<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return askWithin(limitMs, text, values)
  }

  function askFirst<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return askWithin(performance.now() < slowUntil ? DOOR_MS : limitMs, text, values)
  }

  async function askWithin<Row>(ms: number, text: string, values: unknown[]): Promise<Row[]> {
    const startedAt = performance.now()
    const time = countdown(ms)
    try {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await askOnce<Row>(text, values, time.over)
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error
        }
      }
    } finally {
      time.stop()
      const now = performance.now()
      if (now - startedAt >= DOOR_MS) slowUntil = now + SLOW_FOR_MS
    }
  }

  async function askOnce<Row>(text: string, values: unknown[], over: Promise<never>): Promise<Row[]> {
    const client = await connection(over)
    try {
      const query = client.query({ name: nameOf(text), text, values: values.map(storable) })
      const { rows } = await Promise.race([query, over])
      client.release()
      return rows as Row[]
    } catch (error) {
      const fault = databaseFault(error)
      client.release(fault.breaks)
      throw fault.error
    }
  }

  async function connection(over: Promise<never>): Promise<pg.PoolClient> {
    const connecting = pool.connect()
    try {
      return await Promise.race([connecting, over])
    } catch (error) {
      // One that comes late is for the next act.
      connecting.then((late) => late.release()).catch(() => {})
      throw notReached(error)
    }
  }

  /** A statement is parsed once on each connection. */
  function nameOf(text: string): string {
    const name = names.get(text) ?? `minikeepsafe_${names.size + 1}`
    names.set(text, name)
    return name
  }
}

/** Throws while the database does not answer, or takes no writes. */
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
    return await work(async <Row>(text: string, values: unknown[] = []) => {
      try {
        return (await client.query(text, values)).rows as Row[]
      } catch (error) {
        throw databaseFault(error).error
      }
    })
  } finally {
    // Undoes what was begun and not finished.
    await client.end()
  }
}

/** What our promises rest on is asked for by every connection, whatever the server's own defaults are. */
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

/** Sizes and times are bigint, which the driver would hand out as text. */
const parserOf: typeof pg.types.getTypeParser = (type: number, format?: 'text' | 'binary') =>
  type === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(type, format as 'text')

/** JSON for `jsonb`, whose strings are text, too. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_key, part) => storable(part))
}

/** What stands for characters that PostgreSQL's text cannot hold: U+FFFD may be in a name, and a control character may not. */
const NONE = '\u0001'

/**
 * PostgreSQL's text can hold neither NUL nor half of a surrogate pair. Nothing that is kept has one, so what asks for one is to
 * find nothing.
 */
function storable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storable)
  return typeof value === 'string' ? value.replaceAll('\0', NONE).replaceAll(/\p{Cs}/gu, NONE) : value
}

function countdown(ms: number): { over: Promise<never>; stop(): void } {
  let stop = () => {}
  const over = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => reject(lost('no answer in time')), ms)
    stop = () => clearTimeout(timer)
  })
  // Whoever races with it hears of it; after that nobody does.
  over.catch(() => {})
  return { over, stop }
}
