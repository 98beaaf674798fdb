/**
 * The connections of the server. Each costs memory, and is one of the files that the process may have open, so their number is
 * bounded, in all and for each network. Each has one request at a time. When the server stops, they are closed as soon as they
 * have nothing to do.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { respondRaw } from '../errors.ts'
import { networkOf } from './network.ts'

export interface ConnectionRules {
  /** At most so many in all. */
  most: number
  /** At most so many from one network. */
  mostOfNetwork: number
  /** A proxy's connections are those of many networks, so only the total counts for it. */
  isProxy(address: string | undefined): boolean
  /** How long requests are still taken when the server stops, each as the last of its connection. */
  lingerMs: number
}

/** Requests of one connection that may be on their way at a time. The last of so many ends the connection. */
export const PIPELINE_DEPTH = 16

/** For files that are open for a moment: a folder to sync, a page of the documentation. */
const SPARE_FILES = 8

const CLOSE_IDLE_EVERY_MS = 100
/** Transfers that are still under way after so long are cut, so that the engines close before the process must end. */
const PATIENCE_MS = 8000

export const connections = fastifyPlugin<ConnectionRules>(async (app, rules) => {
  // Of a connection whose TLS handshake is not done, the server itself knows nothing.
  const open = new Set<Socket>()
  const openOfNetwork = new Map<string, number>()
  const onTheirWay = new WeakMap<Socket, number>()
  const latest = new WeakMap<Socket, ServerResponse>()
  let refusing = false

  app.server.once('listening', () => {
    // Without a listener, a connection that the system could not hand over would end the process.
    app.server.on('error', (err) => app.log.error({ err }, 'taking a connection failed'))
  })

  // By default Node closes a connection that the client has half closed, and the response to an executed request is lost.
  Object.assign(app.server, { httpAllowHalfOpen: true })

  app.server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    const network = rules.isProxy(remoteAddress) ? null : networkOf(remoteAddress)
    add(socket, network)
    if (open.size > rules.most) refuse(socket, `more than ${rules.most} connections`)
    else if (network !== null && (openOfNetwork.get(network) ?? 0) > rules.mostOfNetwork) {
      refuse(socket, `more than ${rules.mostOfNetwork} connections from one network`)
    }
  })

  app.server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    // One for each plugin, with those of the framework and of a drained body: Node would warn of more than ten.
    response.setMaxListeners(20)
    // Node forgets the address of a closed connection that nobody has asked for before.
    void socket.remoteAddress
    if (!onTheirWay.has(socket)) socket.on('end', () => !changes(latest.get(socket)) && socket.end())
    latest.set(socket, response)
    const count = (onTheirWay.get(socket) ?? 0) + 1
    onTheirWay.set(socket, count)
    response.once('close', () => onTheirWay.set(socket, (onTheirWay.get(socket) ?? 1) - 1))
    if (count < PIPELINE_DEPTH) return
    // RFC 9112, section 9.6: what comes after the last request of a connection is not processed. The client sends it again.
    response.setHeader('connection', 'close')
    ignoreFurtherRequests(socket)
  })

  // A pipelined request waits for those before it, so that one connection holds the memory of one response. Where the client
  // leaves first, it waits for ever, and holds nothing.
  app.addHook('onRequest', (_request, { raw }, done) => {
    if (raw.socket) done()
    else raw.once('socket', () => done())
  })

  app.addHook('preClose', async () => {
    app.vault.drain()
    await pause(rules.lingerMs)
    // Node closes the idle ones once, when the closing begins.
    const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
    const cut = setTimeout(() => {
      for (const socket of open) socket.destroy()
    }, PATIENCE_MS)
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(cut)
    })
  })
  app.addHook('onClose', () => app.vault.close())

  function add(socket: Socket, network: string | null) {
    open.add(socket)
    if (network !== null) openOfNetwork.set(network, (openOfNetwork.get(network) ?? 0) + 1)
    socket.once('close', () => {
      open.delete(socket)
      if (open.size < rules.most / 2) refusing = false
      if (network === null) return
      const others = (openOfNetwork.get(network) ?? 1) - 1
      if (others > 0) openOfNetwork.set(network, others)
      else openOfNetwork.delete(network)
    })
  }

  /** Sends a 503 and closes. The system would close the connection without a response. */
  function refuse(socket: Socket, why: string) {
    // A line for each would fill the disk.
    if (!refusing) app.log.warn(`${why}: new ones are refused`)
    refusing = true
    respondRaw(socket, problems.notReady('The server has too many connections at the moment.'))
    // At once: of those that come together each would hold its place until the next turn of the event loop.
    socket.destroy()
  }
})

/** Whether the response belongs to a request that can change something. A response to a GET is not sent to a client that left. */
function changes(response: ServerResponse | undefined): boolean {
  return response !== undefined && !['GET', 'HEAD'].includes(response.req.method ?? '')
}

/** Half of the files that the process may still open, so that there is one for each connection. Only Linux says how many. */
export function connectionsAtMost(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    const free = Number(limit ?? Number.POSITIVE_INFINITY) - readdirSync('/proc/self/fd').length - SPARE_FILES
    return Math.max(1, Math.floor(free / 2))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/**
 * One read may bring thousands of requests, and Node parses all that it has read. Its parser hands each to this function, which
 * has no documented name; without it they would only wait their turn.
 */
function ignoreFurtherRequests(socket: Socket) {
  const { parser } = socket as Socket & { parser?: { onIncoming: () => number } }
  if (parser) parser.onIncoming = () => 0
}
