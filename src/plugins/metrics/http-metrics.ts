/** Measures requests, refusals, connections and transfers. */
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { MemoryPool } from '../connections/memory-pool.ts'
import { isOver } from '../connections/shares.ts'
import { problemOf } from '../errors.ts'
import { atEnd } from '../trace/request-end.ts'

/** From a small answer of memory to a transfer of many minutes. */
const DURATION_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600]
/** The label of a request to no route: its path may contain anything. */
const NO_ROUTE = 'none'
/** The label of all parts of the web vault. There are many, and their names change with each version. */
const WEB_PARTS = 'web-parts'
/** The status of a response that was not sent to its end: the client left, or an error broke it off. */
const BROKEN = 'broken'

export function measureHttp(app: FastifyInstance, registry: Registry, pool: MemoryPool): void {
  const registers = [registry]
  measureRequests(app, registers)
  measureConnections(app, registers)

  const refusals = new Counter({
    name: 'minikeepsafe_problems_total',
    help: 'Requests that were refused or failed, by the code of the problem.',
    labelNames: ['code'],
    registers,
  })
  // A series that begins with its first event shows no increase.
  for (const code of ['quota-exceeded', 'insufficient-storage', 'internal-error', 'not-ready', 'too-many-requests']) {
    refusals.inc({ code }, 0)
  }
  app.addHook('onError', (request, _reply, error, done) => {
    refusals.inc({ code: problemOf(error, request).code })
    done()
  })

  const transfers = new Gauge({
    name: 'minikeepsafe_transfers',
    help: 'Transfers that hold memory of the budget (open), and those that wait for it (waiting).',
    labelNames: ['state'],
    registers,
    collect() {
      const { open, waiting } = pool.state()
      transfers.set({ state: 'open' }, open)
      transfers.set({ state: 'waiting' }, waiting)
    },
  })
  new Gauge({
    name: 'minikeepsafe_transfer_memory_bytes',
    help: 'The memory that transfers have reserved.',
    registers,
    collect() {
      this.set(pool.state().reservedBytes)
    },
  })
  new Gauge({
    name: 'minikeepsafe_transfer_memory_limit_bytes',
    help: 'The memory budget of all transfers.',
    registers,
  }).set(pool.state().totalBytes)
}

function measureRequests(app: FastifyInstance, registers: Registry[]): void {
  const requests = new Counter({
    name: 'minikeepsafe_http_requests_total',
    help: 'Requests, by method, route pattern and status of the response.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'minikeepsafe_http_request_duration_seconds',
    help: 'The time from the header of a request to the end of its response.',
    labelNames: ['method', 'route'],
    buckets: DURATION_BUCKETS,
    registers,
  })
  let open = 0
  new Gauge({
    name: 'minikeepsafe_http_open_requests',
    help: 'Requests under way.',
    registers,
    collect() {
      this.set(open)
    },
  })

  app.addHook('onRequest', (request, reply, done) => {
    // If the client has left already, the end is never reported.
    if (isOver(reply)) return done()
    const route = routeOf(request)
    // A route has few methods, but an unknown path may be requested with any.
    const method = route === NO_ROUTE ? NO_ROUTE : request.method
    open += 1
    atEnd(reply.raw, ({ status, isAborted }) => {
      open -= 1
      requests.inc({ method, route, status: isAborted || status === null ? BROKEN : status })
      durations.observe({ method, route }, reply.elapsedTime / 1000)
    })
    done()
  })
}

function routeOf({ is404, routeOptions: { url = NO_ROUTE, config, schema } }: FastifyRequest): string {
  if (is404) return NO_ROUTE
  // A probe is one of many, too, but it is in the document.
  return config.oneOfMany && schema?.hide ? WEB_PARTS : url
}

/** Sums are taken at a scrape and at the end of a connection, so a request costs nothing. */
function measureConnections(app: FastifyInstance, registers: Registry[]): void {
  const received = new Counter({
    name: 'minikeepsafe_http_received_bytes_total',
    help: 'Bytes that clients have sent, with headers and TLS.',
    registers,
    collect: () => open.forEach(count),
  })
  const sent = new Counter({
    name: 'minikeepsafe_http_sent_bytes_total',
    help: 'Bytes for clients that the operating system has taken, with headers and TLS.',
    registers,
    collect: () => open.forEach(count),
  })
  new Gauge({
    name: 'minikeepsafe_http_connections',
    help: 'Open connections of clients.',
    registers,
    collect() {
      this.set(open.size)
    },
  })
  /** The counted bytes of each open connection. */
  const open = new Map<Socket, { received: number; sent: number }>()

  app.server.on('connection', (socket: Socket) => {
    const counted = { received: 0, sent: 0 }
    open.set(socket, counted)
    socket.once('close', () => {
      count(counted, socket)
      open.delete(socket)
    })
  })

  function count(counted: { received: number; sent: number }, socket: Socket): void {
    const { bytesRead, bytesWritten, writableLength } = socket
    // A counter never falls, but bytes that wait when a connection breaks are subtracted again.
    const bytesSent = Math.max(counted.sent, bytesWritten - writableLength)
    received.inc(Math.max(0, bytesRead - counted.received))
    sent.inc(bytesSent - counted.sent)
    counted.received = Math.max(counted.received, bytesRead)
    counted.sent = bytesSent
  }
}
