/** A schema on a real PostgreSQL server for each test, and a proxy that counts statements and can hold or break connections. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, expect, onTestFinished } from 'vitest'
import { type Database, openDatabase } from '../../src/adapters/postgres/database.ts'
import { migrate } from '../../src/adapters/postgres/migrate.ts'
import { temporaryFolder } from './app.ts'
import { describeWith, freePort } from './engines.ts'

/** The address of the server. */
export const SERVER = process.env.TEST_DATABASE_URL as string
const SCRIPT = join(import.meta.dirname, '..', '..', '.ci', 'server-postgres')
export const describePostgres = describeWith('PostgreSQL', 'TEST_DATABASE_URL')

/** The address of an empty schema, which is dropped after the test. */
export async function emptySchema(): Promise<string> {
  const { url, drop } = await newSchema()
  onTestFinished(drop)
  return url
}

async function newSchema() {
  const schema = `test_${randomBytes(8).toString('hex')}`
  await run(SERVER, `CREATE SCHEMA ${schema}`)
  const url = new URL(SERVER)
  url.searchParams.set('options', `-c search_path=${schema}`)
  return { url: url.href, drop: () => clear(SERVER, `DROP SCHEMA ${schema} CASCADE`) }
}

/** The database with all its tables. */
export async function openedDatabase(url?: string): Promise<Database & { url: string }> {
  const address = url ?? (await emptySchema())
  const db = openDatabase(address)
  onTestFinished(db.close)
  await migrate(db)
  return { ...db, url: address }
}

const EMPTY = `DO $$
  DECLARE name text;
  BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'schema_version' LOOP
      EXECUTE format('DELETE FROM %I', name);
    END LOOP;
  END $$`

/**
 * Databases for many tests of a file, each with all its tables, and empty. Making the tables takes longer than most tests, so
 * a test gets those of an earlier one, emptied. It may not change the schema.
 */
export function databaseForMany(): () => Promise<Database> {
  const made: Awaited<ReturnType<typeof newSchema>>[] = []
  const free: string[] = []
  afterAll(async () => {
    for (const { drop } of made) await drop()
  })
  const makeOne = async () => {
    const schema = await newSchema()
    made.push(schema)
    const db = openDatabase(schema.url)
    await migrate(db)
    await db.close()
    return schema.url
  }
  return async () => {
    const url = free.pop() ?? (await makeOne())
    const db = openDatabase(url)
    onTestFinished(async () => {
      await db.close()
      await clear(url, EMPTY)
      free.push(url)
    })
    return db
  }
}

const DEADLOCK = '40P01'

/** Statements of a test whose client gave up may still run on the server, and hold locks. */
async function clear(url: string, text: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await run(url, text)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== DEADLOCK || attempt === 10) throw error
    }
  }
}

/** Runs a statement, for changes that no port allows. */
export async function run<Row>(url: string, text: string, values: unknown[] = []): Promise<Row[]> {
  const client = await connection(url)
  try {
    return (await client.query(text, values)).rows as Row[]
  } finally {
    await client.end()
  }
}

/** Another connection. The caller must end it. */
export async function connection(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
}

export interface PostgresPair {
  /** The address of the primary. Its commits wait until its standby has them. */
  url: string
  standbyPort: number
  /** Simulates a failed machine. */
  killPrimary(): void
  promoteStandby(): void
}

/** A primary and a standby that only this test uses. */
export async function ownPostgresPair(): Promise<PostgresPair> {
  const home = await temporaryFolder()
  // If the tests run as root, the servers run as another user.
  await chmod(home, 0o755)
  const script = (...args: string[]) => void execFileSync(SCRIPT, args, { stdio: 'ignore' })
  const [primary, standby] = ['primary', 'standby'].map((name) => join(home, name)) as [string, string]
  onTestFinished(() => {
    for (const folder of [standby, primary]) script('stop', folder)
  })
  const [port, standbyPort] = [await freePort(), await freePort()]
  script('start', primary, String(port))
  script('start', standby, String(standbyPort), String(port))
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await run(url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
  await run(url, 'SELECT pg_reload_conf()')
  await expect.poll(() => run(url, 'SELECT sync_state FROM pg_stat_replication')).toEqual([{ sync_state: 'sync' }])
  return {
    url,
    standbyPort,
    killPrimary: () => script('kill', primary),
    promoteStandby: () => script('promote', standby),
  }
}

type Held = 'nothing' | 'answers' | 'everything'

export interface PostgresWire {
  /** The address of the database through this proxy. */
  url: string
  /** The statements of all clients so far, one for each round trip, without the heartbeats of runs. */
  asked(): string[]
  /** Holds answers, or requests and answers, from now on. Connections stay open. */
  hold(what: Held): void
  /** The same for the connection that sends a matching statement next, from that statement on. */
  holdOne(statement: RegExp, what: Held): void
  /** Breaks every open and every new connection. */
  cut(): void
  /** Sends the held bytes and accepts new connections. Resolves once the held requests are answered. */
  mend(): Promise<void>
}

interface Line {
  client: Socket
  server: Socket
  held: Held
  requests: Buffer[]
  answers: Buffer[]
}

export async function postgresWire(url: string): Promise<PostgresWire> {
  const target = new URL(url)
  const asked: string[] = []
  const lines = new Set<Line>()
  let isCut = false
  let held: Held = 'nothing'
  let trap: { statement: RegExp; what: Held } | null = null

  const gate = createServer((client) => {
    if (isCut) return void client.destroy()
    const server = connect(Number(target.port), target.hostname)
    const line: Line = { client, server, held: 'nothing', requests: [], answers: [] }
    lines.add(line)
    const isHeld = (...what: Held[]) => what.includes(held) || what.includes(line.held)
    const listen = listener((statement) => {
      if (!statement.includes('SET beat_at')) asked.push(statement)
      if (!trap?.statement.test(statement)) return
      line.held = trap.what
      trap = null
    })
    client.on('data', (chunk) => {
      listen(chunk)
      if (isHeld('everything')) line.requests.push(chunk)
      else server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (isHeld('answers', 'everything')) line.answers.push(chunk)
      else client.write(chunk)
    })
    for (const socket of [client, server]) socket.on('error', () => {})
    server.on('close', () => client.destroy())
    client.on('close', () => {
      // Held requests must still reach the database.
      if (line.requests.length === 0) server.destroy()
    })
  })
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const { client, server } of lines) for (const socket of [client, server]) socket.destroy()
    gate.close()
  })
  const through = new URL(url)
  through.hostname = '127.0.0.1'
  through.port = String((gate.address() as AddressInfo).port)
  return {
    url: through.href,
    asked: () => [...asked],
    hold(what) {
      held = what
    },
    holdOne(statement, what) {
      trap = { statement, what }
    },
    cut() {
      isCut = true
      for (const { client } of lines) client.destroy()
    },
    async mend() {
      isCut = false
      held = 'nothing'
      await Promise.all([...lines].map(release))
    },
  }

  async function release(line: Line) {
    line.held = 'nothing'
    for (const chunk of line.answers.splice(0)) line.client.write(chunk)
    const late = line.requests.splice(0)
    if (late.length === 0 || line.server.destroyed) return
    line.server.write(Buffer.concat(late))
    await Promise.race([once(line.server, 'data'), once(line.server, 'close')])
  }
}

/** Parses the messages of a client. It waits for an answer after Sync, and after Query of the simple protocol. */
function listener(onStatement: (statement: string) => void): (chunk: Buffer) => void {
  const prepared = new Map<string, string>()
  let statement = ''
  return messages((type, body) => {
    const [first = '', second = ''] = body.toString('latin1').split('\0')
    if (type === 'P') prepared.set(first, second)
    if (type === 'B') statement = prepared.get(second) ?? ''
    if (type === 'Q') onStatement(first)
    if (type === 'S') onStatement(statement)
  })
}

/** Splits messages of a client: a type, a length and a body. The first message has no type. */
function messages(onMessage: (type: string, body: Buffer) => void): (chunk: Buffer) => void {
  let begun = false
  let rest = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const head = begun ? 1 : 0
      if (rest.length < head + 4) return
      const end = head + rest.readUInt32BE(head)
      if (rest.length < end) return
      if (begun) onMessage(String.fromCharCode(rest[0] as number), rest.subarray(head + 4, end))
      begun = true
      rest = rest.subarray(end)
    }
  }
}
