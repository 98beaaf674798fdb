/**
 * Limits and closes the connections of the server. Each connection uses memory and one open file, so their number is limited, in
 * total and for each network. When the server stops, idle connections are closed.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { Server, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { respondRaw } from './last-response.ts'
import { networkOf, type ProxyCheck } from './network.ts'
import { tally } from './tally.ts'

export interface ConnectionRules {
  /** The maximum in total. */
  most: number
  /** The maximum from one network. */
  mostOfNetwork: number
  /** A proxy connects for many networks, so only the total limits it. */
  isProxy: ProxyCheck
  /** How long a closing server still accepts requests on open connections, each as the last of its connection. At most `graceMs`. */
  lingerMs: number
  /** How long running requests go on after the server was told to stop. Then their connections are cut. */
  graceMs: number
}

/** Reserved for files that are open for a short time: a folder to sync, a page of the documentation. */
const SPARE_FILES = 8

const CLOSE_IDLE_EVERY_MS = 100
/** How long a closing server waits for the first byte of a connection. A request may be on its way. */
const FIRST_BYTE_MS = 1000

export const connections = fastifyPlugin<ConnectionRules>(async function connections(app, rules) {
  // Not in `open-connections.ts`: a TLS connection counts before its handshake is done, and its requests come on another socket.
  const open = new Set<Socket>()
  const openOfTls = new Set<Socket>()
  const openOfNetwork = tally()
  let refusing = false

  app.server.once('listening', () => {
    // Without a listener, a failed accept would end the process.
    app.server.on('error', (err) => app.log.error({ err }, 'accepting a connection failed'))
  })

  app.server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    const network = rules.isProxy(remoteAddress, 0) ? null : networkOf(remoteAddress)
    add(socket, network)
    if (open.size > rules.most) refuse(socket, `more than ${rules.most} connections`)
    else if (network !== null && openOfNetwork.of(network) > rules.mostOfNetwork) {
      refuse(socket, `more than ${rules.mostOfNetwork} connections from one network`)
    }
  })

  app.server.on('secureConnection', (socket: Socket) => {
    openOfTls.add(socket)
    socket.once('close', () => openOfTls.delete(socket))
  })

  app.addHook('preClose', async () => {
    app.vault.drain()
    const cut = setTimeout(cutAll, rules.graceMs)
    const cutSilent = setTimeout(closeSilent, FIRST_BYTE_MS)
    // Without Node's own `close` of HTTP, which closes idle connections at once. A proxy may be sending a request on one of them.
    Server.prototype.close.call(app.server)
    await pause(Math.min(rules.lingerMs, rules.graceMs))
    // Node closes idle connections only once, when closing begins.
    const timer = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS)
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(cut)
      clearTimeout(cutSilent)
    })
  })
  app.addHook('onClose', () => app.vault.close())

  function cutAll() {
    if (open.size > 0) app.log.warn(`cutting ${open.size} connections: their requests took longer than the grace`)
    for (const socket of open) socket.destroy()
  }

  /** Browsers and load balancers connect ahead. To Node, a connection without a byte is no idle one, so it does not close it. */
  function closeSilent() {
    for (const socket of [...open, ...openOfTls]) if (socket.bytesRead === 0) socket.destroy()
  }

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
