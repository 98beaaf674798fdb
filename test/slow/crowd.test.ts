/** The memory of a server that strangers and members crowd as badly as they can, and what a bystander gets meanwhile. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, expect, it } from 'vitest'
import { type ServerProcess, serverProcess, signedIn } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
/** As docs/security.md states it. */
const BOUND_MIB = 1400
const CONNECTIONS = 4096
const NETWORKS = 16
const NETWORK_SHARE = CONNECTIONS / 4
const BYSTANDER = '127.0.9.9'

type Headers = Record<string, string>
type Opening = (headers: Headers, n: number) => string

const film = randomBytes(16 * MiB)
const chunk = 'x'.repeat(200_000)
const crumb = '1\r\nx\r\n'
const crumbs = `${crumb.repeat(64)}${`${crumb}400\r\n${'x'.repeat(1024)}\r\n`.repeat(200)}`

const unfinished = `GET /health/live HTTP/1.1\r\nx-long: ${'x'.repeat(15_000)}`

const kinds: [what: string, opening: Opening][] = [
  ['connections that say nothing', () => ''],
  ['heads of requests that do not end', () => unfinished],
  ['heads of thousands of fields that do not end', (_headers, n) => shortFields(n)],
  ['downloads that are not read', (headers, n) => head('GET /v1/files/film', { ...headers, ...manyFields(n) })],
  [
    'downloads that are not read, with a head of thousands of fields behind them',
    (headers, n) => `${head('GET /v1/files/film', { ...headers, ...manyFields(n) })}${shortFields(n)}`,
  ],
  [
    'downloads that are not read, with requests and a long head without end behind them',
    (headers, n) => `${head('GET /v1/files/film', { ...headers, ...manyFields(n) })}${shortHeads(n)}${unfinished}`,
  ],
  [
    'uploads that stop',
    (headers, n) => `${head(`PUT /v1/files/u${n}`, { ...headers, 'content-length': 16 * MiB })}${chunk}`,
  ],
  [
    'uploads of small and larger chunks that stop',
    (headers, n) => `${head(`PUT /v1/files/u${n}`, { ...headers, 'transfer-encoding': 'chunked' })}${crumbs}`,
  ],
  [
    'downloads that are not read, with an upload behind them',
    (headers, n) =>
      `${head('GET /v1/files/film', { ...headers, ...manyFields(n) })}${head(`PUT /v1/files/u${n}`, { ...headers, 'content-length': MiB })}${chunk}`,
  ],
  [
    'downloads that are not read, and uploads that wait for memory',
    (headers, n) =>
      n < 900
        ? head('GET /v1/files/film', { ...headers, ...manyFields(n) })
        : `${head(`PUT /v1/files/u${n}`, { ...headers, 'content-length': 16 * MiB, ...manyFields(n) })}${chunk}`,
  ],
  ['pages that are not read', (headers) => head('GET /v1/files?limit=1000', headers).repeat(450)],
  [
    'pages that are not read, with long heads and with bodies, which mean nothing',
    (headers, n) =>
      `${head('GET /v1/files?limit=1000', { ...headers, 'content-length': MiB, ...manyFields(n) })}${chunk}`,
  ],
  ['scripts of the documentation that are not read', () => head('GET /docs/json').repeat(450)],
]

const open = new Set<Socket>()
const members: Headers[] = []
let folder = ''

afterAll(() => rm(folder, { recursive: true }))

afterEach(() => {
  for (const socket of open) socket.destroy()
  open.clear()
})

it.each(kinds)(
  'holds its bound at 4096 connections from many networks: %s',
  async (_what, opening) => {
    const server = await crowdedServer({ RATE_LIMIT: 'off' })
    const url = await server.url
    for (let n = 0; n < CONNECTIONS; n += 1) {
      const owner = members[n % NETWORKS] as Headers
      crowd(url, `127.0.1.${1 + (n % NETWORKS)}`, opening(owner, n))
      if (n % 64 === 0) await pause(5)
    }
    await pause(10_000)
    const peakMiB = server.memory().peak / MiB
    process.stdout.write(`at 4096 ${_what}: ${Math.round(peakMiB)} MiB\n`)
    expect(peakMiB).toBeLessThan(BOUND_MIB)
  },
  120_000,
)

it.each(kinds)(
  'serves a bystander while one network brings all it can: %s',
  async (_what, opening) => {
    const server = await crowdedServer()
    const url = await server.url
    const [stranger, bystander] = members as [Headers, Headers]
    for (let n = 0; n < NETWORK_SHARE + 200; n += 1) {
      crowd(url, '127.0.1.1', opening(stranger, n))
      if (n % 64 === 0) await pause(5)
    }
    await pause(1000)
    for (const request of [
      head('GET /health/live', { connection: 'close' }),
      head('GET /v1/files?limit=50', { ...bystander, connection: 'close' }),
      `${head('PUT /v1/files/note', { ...bystander, 'content-length': 4, connection: 'close' })}sand`,
      head('GET /v1/files/note', { ...bystander, connection: 'close' }),
    ]) {
      const line = wire(url, BYSTANDER)
      line.socket.write(request)
      expect(await line.ended).toMatch(/^HTTP\/1\.1 20[01] /)
    }
  },
  120_000,
)

/** With a member for each network, who has a long file and many entries: made once, and started anew for each test. */
async function crowdedServer(settings: Record<string, string> = {}): Promise<ServerProcess> {
  const isNew = folder === ''
  if (isNew) folder = await mkdtemp(join(tmpdir(), 'minikeepsafe-'))
  const server = serverProcess(folder, isNew ? { RATE_LIMIT: 'off' } : settings)
  if (!isNew) return server
  for (let n = 0; n < NETWORKS; n += 1) members.push(await signedIn(server))
  await Promise.all(members.map((headers) => fill(server, headers)))
  await server.stop('SIGTERM')
  return crowdedServer(settings)
}

async function fill(server: ServerProcess, headers: Headers) {
  await server.request('/v1/files/film', { method: 'PUT', headers, body: film })
  for (let n = 0; n < 300; n += 1) {
    const name = encodeURIComponent(`${n}-${'ü'.repeat(120)}`)
    await server.request(`/v1/files/${name}`, { method: 'PUT', headers, body: '' })
  }
}

/** As many as a request may have, and about as long. Each request has others, because Node keeps equal names once. */
function manyFields(n: number): Headers {
  return Object.fromEntries(Array.from({ length: 94 }, (_, field) => [`x-${n}-${field}-${'x'.repeat(140)}`, 'x']))
}

/** A head without an end. Its fields differ, because Node keeps equal names once. */
function shortFields(n: number): string {
  const field = (i: number) => `${(i + n).toString(36).padStart(3, 'x')}:${i.toString(36)}\r\n`
  return `GET /health/live HTTP/1.1\r\nHost: x\r\n${Array.from({ length: 1700 }, (_, i) => field(i)).join('')}`
}

/** About as many and as long as may wait. */
function shortHeads(n: number): string {
  const one = (i: number) => head('GET /health/live', { [`x-${n}-${i}`]: 'x'.repeat(700) })
  return Array.from({ length: 7 }, (_, i) => one(i)).join('')
}

/** A client that sends and never reads. */
function crowd(url: string, localAddress: string, text: string) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), localAddress })
  socket.on('error', () => {})
  socket.pause()
  if (text) socket.write(text)
  open.add(socket)
}
