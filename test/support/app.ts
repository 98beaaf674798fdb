/** A complete server for one test, with real sockets, a real SQLite file and real folders. Only the clock is a fake. */
import { randomBytes } from 'node:crypto'
import { copyFileSync, linkSync, mkdirSync, mkdtempSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { AddressInfo, Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { afterAll, onTestFinished } from 'vitest'
import { DATABASE, openDatabase } from '../../src/adapters/sqlite/database.ts'
import { diskReserve } from '../../src/adapters/sqlite/reserve.ts'
import { buildApp, type HttpRules } from '../../src/app.ts'
import { compose } from '../../src/compose/compose.ts'
import { BACKLOG, httpRulesOf, requestLimitsOf, rulesOf } from '../../src/compose/rules.ts'
import { type Config, readConfig } from '../../src/config/config.ts'
import type { Ports } from '../../src/ports/ports.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { openVault, type Vault } from '../../src/vault/vault.ts'
import { type Answer, type Call, call } from './http.ts'

export interface TestApp {
  vault: Vault
  url: string
  config: Config
  ports: Ports
  /** The lines of the server's log. */
  log: string[]
  clock: TestClock
  /** The server's side of every connection so far. */
  connections: Socket[]
  server: Server
  request(path: string, options?: Call): Promise<Answer>
  /** Sends JSON. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>
  /** Waits for the work that the server does after its responses. */
  settled(): Promise<void>
  /** One round of sweeping. */
  sweep(): void
  /** The first step of a stopping server. */
  drain(): void
  close(): Promise<void>
}

/** A server, or a proxy before servers. */
export type Reachable = Pick<TestApp, 'request' | 'post'>

export interface TestClock {
  (): number
  turn(ms: number): void
}

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const DAY = 24 * 60 * MINUTE

/** Work after a response begins in the next iteration of the event loop, without a random delay. */
export const AT_ONCE = { least: 0, most: 0 }

/** For tests that wait until a running transfer checks its session. */
export const SESSIONS_CHECKED_OFTEN = { sessionCheckMs: 200 }

export function testClock(now = Date.UTC(2026, 10, 22, 8, 30)): TestClock {
  const clock = () => now
  return Object.assign(clock, {
    turn(ms: number) {
      now += ms
    },
  })
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'minikeepsafe-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/**
 * An app for many tests of a file. The first of them starts it, and it is closed after the last one. Starting an app takes
 * longer than most tests. A test may share one if it has members of its own, leaves the clock alone, and asserts about the
 * whole server only what the other tests do not change. `http` is as for `testApp`.
 */
export function appForMany(http: () => Partial<HttpRules> = () => ({})): () => Promise<TestApp> {
  let home: string | null = null
  let started: Promise<TestApp> | null = null
  afterAll(async () => {
    await started?.then((app) => app.close())
    if (home) await rm(home, { recursive: true, force: true })
  })
  const start = async () => {
    home = await mkdtemp(join(tmpdir(), 'minikeepsafe-'))
    await furnish(home)
    return startedApp({}, home, http())
  }
  return () => {
    started ??= start()
    return started
  }
}

/**
 * `settings` are environment variables. `folder` is the folder of an earlier app, to restart it. `http` changes HTTP limits.
 * Rate limits are off by default.
 */
export async function testApp(
  settings: Record<string, string> = {},
  folder?: string,
  http: Partial<HttpRules> = {},
): Promise<TestApp> {
  const app = await startedApp(settings, folder ?? (await newHome()), http)
  onTestFinished(app.close)
  return app
}

async function newHome(): Promise<string> {
  const home = await temporaryFolder()
  await furnish(home)
  return home
}

let furniture: Promise<string> | null = null

/**
 * Puts an empty database and the reserve for a full disk into the folder of a new server. Making them anew takes more than half
 * of a server's start. (The server only ever replaces or removes its reserve, so all can have the same file.)
 */
async function furnish(home: string): Promise<void> {
  furniture ??= makeFurniture()
  const made = await furniture
  const data = join(home, 'data')
  mkdirSync(data, { mode: 0o700 })
  copyFileSync(join(made, DATABASE), join(data, DATABASE))
  linkSync(join(made, 'reserve'), join(data, 'reserve'))
}

/** It is removed with the folder of the run. */
async function makeFurniture(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'minikeepsafe-'))
  openDatabase(folder).close()
  await diskReserve(folder, () => {}).take()
  return folder
}

async function startedApp(settings: Record<string, string>, home: string, http: Partial<HttpRules>): Promise<TestApp> {
  const config = readConfig({
    DATA_DIR: join(home, 'data'),
    UPLOADS_DIR: join(home, 'uploads'),
    LOG_LEVEL: 'debug',
    RATE_LIMIT: 'off',
    ...settings,
  })
  const log: string[] = []
  const logger = pino({ level: config.LOG_LEVEL, base: null }, lineSink(log))
  const clock = testClock()
  const ports = await compose(config, logger, clock, cryptographicChance)
  const vault = await openVault(ports, { ...rulesOf(config), asideMs: AT_ONCE })
  const limits = requestLimitsOf(config, ports)
  const app = await buildApp(vault, logger, {
    ...httpRulesOf(config),
    lingerMs: 0,
    graceMs: 8000,
    // The test and its clients run on the same event loop.
    overload: { everyMs: 250, lateMs: Number.POSITIVE_INFINITY, times: 1 },
    limits,
    // WEB_FOLDER of build.ts has the built one.
    web: null,
    ...http,
  })
  const connections: Socket[] = []
  app.server.on('connection', (socket: Socket) => connections.push(socket))
  await app.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG })
  const url = `http${config.TLS_CERT ? 's' : ''}://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  let closing: Promise<void> | null = null
  const close = () => {
    closing ??= app.close()
    return closing
  }
  return {
    url,
    config,
    ports,
    log,
    clock,
    connections,
    server: app.server,
    request: (path, options) => call(url + path, options),
    post: (path, body, headers = {}) =>
      call(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    vault,
    settled: vault.settled,
    drain: vault.drain,
    sweep: vault.sweep,
    close,
  }
}

/** The random part of the name of every blob on the disk, of all runs. */
export function blobsOnDisk({ config }: Pick<TestApp, 'config'>): Promise<string[]> {
  return filesUnder(config.UPLOADS_DIR)
}

/** The same for a server whose folders have their usual names. */
export function blobsIn(home: string): Promise<string[]> {
  return filesUnder(join(home, 'uploads'))
}

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  // A slow machine makes the server try whether its store can be written.
  return entries.filter((entry) => entry.isFile() && !entry.name.startsWith('probe-')).map(({ name }) => name)
}

export interface Member {
  userId: string
  sessionId: string
  deviceId: string
  token: string
  email: string
  /** A request with the member's token. */
  request(path: string, options?: Call): Promise<Answer>
  put(name: string, bytes: string | Buffer, headers?: Record<string, string>): Promise<Answer>
  /** The same with `replaced=discard`: a replaced version is deleted at once. */
  replace(name: string, bytes: string | Buffer, headers?: Record<string, string>): Promise<Answer>
  get(name: string, headers?: Record<string, string>): Promise<Answer>
}

export const newDeviceId = () => `test-${randomBytes(16).toString('hex')}`

/** A registered and signed-in user of an app in `response` mode. */
export async function member(app: Reachable, email = `${randomBytes(6).toString('hex')}@example.org`): Promise<Member> {
  const deviceId = newDeviceId()
  const registered = await app.post('/v1/users', { name: 'Ada', email, deviceId })
  const { pin } = registered.body as { pin: string }
  const session = await app.post('/v1/sessions', { deviceId, pin })
  const { token, userId, sessionId } = session.body as { token: string; userId: string; sessionId: string }
  return memberWith(app, { token, userId, sessionId, deviceId, email })
}

export function memberWith(
  app: Reachable,
  known: Pick<Member, 'userId' | 'sessionId' | 'deviceId' | 'token' | 'email'>,
): Member {
  const request = (path: string, { headers = {}, ...options }: Call = {}) =>
    app.request(path, { ...options, headers: { authorization: `Bearer ${known.token}`, ...headers } })
  const pathOf = (name: string) => `/v1/files/${encodeURIComponent(name)}`
  return {
    ...known,
    request,
    put: (name, bytes, headers = {}) => request(pathOf(name), { method: 'PUT', body: bytes, headers }),
    replace: (name, bytes, headers = {}) =>
      request(`${pathOf(name)}?replaced=discard`, { method: 'PUT', body: bytes, headers }),
    get: (name, headers = {}) => request(pathOf(name), { headers }),
  }
}

/** Requests a PIN with a session. */
export async function pinFrom(owner: Member, deviceId: string): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const answer = await owner.request('/v1/pins', { method: 'POST', headers, body: JSON.stringify({ deviceId }) })
  return (answer.body as { pin: string }).pin
}

/** Signs the same user in on another device, or again on the same one. */
export async function paired(app: Reachable, owner: Member, deviceId = newDeviceId()): Promise<Member> {
  const session = await app.post('/v1/sessions', { deviceId, pin: await pinFrom(owner, deviceId) })
  return memberWith(app, { ...owner, deviceId, ...(session.body as { token: string; sessionId: string }) })
}

/** A different PIN. */
export const otherThan = (pin: string) => String((Number(pin) + 1) % 10_000).padStart(4, '0')

/** A `multipart/form-data` body with its headers; a part with a `filename` is a file. */
export function form(
  parts: { name: string; content: string | Buffer; filename?: string; type?: string }[],
): Pick<Call, 'body'> & { headers: Record<string, string> } {
  const boundary = `----${randomBytes(12).toString('hex')}`
  const chunks = parts.flatMap(({ name, content, filename, type }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n`,
    type ? `Content-Type: ${type}\r\n\r\n` : '\r\n',
    content,
    '\r\n',
  ])
  const body = Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk)))
  return { headers: { 'content-type': `multipart/form-data; boundary=${boundary}` }, body }
}

function lineSink(lines: string[]): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      lines.push(...String(chunk).trim().split('\n'))
      done()
    },
  })
}
