/**
 * Limits and closes the connections of the server. Each connection uses memory and one open file, so their number is limited, in
 * total and for each network. A connection runs one request at a time. When the server stops, idle connections are closed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { afterCompleteRequests, respondLast, respondRaw } from './last-response.ts'
import { networkOf } from './network.ts'
import { connectionOf } from './register.ts'
import { tally } from './tally.ts'

export interface ConnectionRules {
  /** The maximum in total. */
  most: number
  /** The maximum from one network. */
  mostOfNetwork: number
  /** A proxy connects for many networks, so only the total limits it. */
  isProxy(address: string | undefined): boolean
  /** How long a stopping server still accepts requests, each as the last of its connection. */
  lingerMs: number
}

/** The maximum of pipelined requests of one connection. The last one ends the connection. */
export const PIPELINE_DEPTH = 16

/** Reserved for files that are open for a short time: a folder to sync, a page of the documentation. */
const SPARE_FILES = 8

const CLOSE_IDLE_EVERY_MS = 100
/** When the server stops, transfers are cut after this time, so that the engines can close before the process must exit. */
const TRANSFER_GRACE_MS = 8000

export const connections = fastifyPlugin<ConnectionRules>(async (app, rules) => {
  // Not in the register: a TLS connection counts before its handshake is done, and its requests come on another socket.
  const open = new Set<Socket>()
  const openOfNetwork = tally()
  let refusing = false

  app.server.once('listening', () => {
    // Without a listener, a failed accept would end the process.
    app.server.on('error', (err) => app.log.error({ err }, 'accepting a connection failed'))
  })

  // By default Node closes a half-closed connection, and the response to an executed request is lost.
  Object.assign(app.server, { httpAllowHalfOpen: true })

  app.server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    const network = rules.isProxy(remoteAddress) ? null : networkOf(remoteAddress)
    add(socket, network)
    if (open.size > rules.most) refuse(socket, `more than ${rules.most} connections`)
    else if (network !== null && openOfNetwork.of(network) > rules.mostOfNetwork) {
      refuse(socket, `more than ${rules.mostOfNetwork} connections from one network`)
    }
  })

  app.server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    // The plugins, the framework and a drained body each add a listener. Node warns above ten.
    response.setMaxListeners(20)
    // Node caches the address at the first read, and cannot read it after the connection is closed.
    void socket.remoteAddress
    const connection = connectionOf(socket)
    if (!connection.latest) socket.on('end', () => !changes(connection.latest) && socket.end())
    connection.latest = response
    connection.responses.add(response)
    response.once('close', () => connection.responses.delete(response))
    if (connection.responses.size < PIPELINE_DEPTH) return
    // RFC 9112, section 9.6: requests after the last one of a connection are not processed. The client sends them again.
    response.setHeader('connection', 'close')
    ignoreFurtherRequests(socket)
  })

  app.server.on('connect', (_request, socket: Socket) => {
    // Node has removed its own listeners. Without ours, an error would end the process, and the end would not be noticed.
    socket.on('error', () => socket.destroy())
    socket.resume()
    afterCompleteRequests(socket, () => respondLast(socket, problems.malformedHttp()))
  })

  // A pipelined request waits until the requests before it are answered, so a connection uses the memory of one response.
  // If the client leaves first, the request never continues, and uses nothing.
  app.addHook('onRequest', (_request, { raw }, done) => {
    if (raw.socket) done()
    else raw.once('socket', () => done())
  })

  app.addHook('preClose', async () => {
    app.vault.drain()
    await pause(rules.lingerMs)
    // Node closes idle connections only once, when closing begins.
    const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
    const cut = setTimeout(() => {
      for (const socket of open) socket.destroy()
    }, TRANSFER_GRACE_MS)
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(cut)
    })
  })
  app.addHook('onClose', () => app.vault.close())

  function add(socket: Socket, network: string | null) {
    open.add(socket)
    if (network !== null) openOfNetwork.add(network, 1)
    socket.once('close', () => {
      open.delete(socket)
      if (open.size < rules.most / 2) refusing = false
      if (network !== null) openOfNetwork.add(network, -1)
    })
  }

  /** Sends a 503 and closes the connection. The operating system would close it without a response. */
  function refuse(socket: Socket, why: string) {
    // Logged once: a line for each connection would fill the disk.
    if (!refusing) app.log.warn(`${why}: new connections are refused`)
    refusing = true
    respondRaw(socket, problems.notReady('The server has too many connections at the moment.'))
    // Destroyed at once: a closing socket counts as open until the next iteration of the event loop.
    socket.destroy()
  }
})

/** Whether the response belongs to a request that can change something. A client that left does not need the response to a GET. */
function changes(response: ServerResponse | null): boolean {
  return response !== null && !['GET', 'HEAD'].includes(response.req.method ?? '')
}

/** Half of the files that the process may still open: each connection may need another file. Only Linux reports the limit. */
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
 * One read may bring thousands of pipelined requests, and Node parses all of them. Node's parser calls the undocumented
 * `onIncoming` for each. Replacing it drops the further requests, which would otherwise be queued.
 */
function ignoreFurtherRequests(socket: Socket) {
  const { parser } = socket as Socket & { parser?: { onIncoming: () => number } }
  if (parser) parser.onIncoming = () => 0
}
