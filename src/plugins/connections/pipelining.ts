/**
 * A connection runs one request at a time. Further requests that a client has sent wait, up to a maximum, until the responses
 * before theirs are sent (RFC 9112, section 9.3.2). Then networks take turns: a network that sends very many requests at once
 * delays a request of another network by a few of its own, not by all of them. When the server stops, each running response
 * becomes the last one of its connection.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { openTurns } from '../../vault/turns.ts'
import { MOST_FIELDS } from '../intake/strict-http.ts'
import { requestIdOf } from '../trace/request-id.ts'
import { gatherCrumbs } from './crumbs.ts'
import { dropLongHeads, ignoreFurtherRequests } from './dropped-requests.ts'
import { afterCompleteRequests, type Refused, respondLast } from './last-response.ts'
import { type ClientAddress, networkOf, type ProxyCheck } from './network.ts'
import { connectionOf } from './open-connections.ts'
import { openReadingTurns } from './reading-turns.ts'

/** The maximum of pipelined requests of one connection, if their heads are short. The last one ends the connection. */
export const PIPELINE_DEPTH = 4

/** The requests that begin in one iteration of the event loop. All other work waits for them, so they take a few milliseconds. */
const BEGUN_AT_ONCE = 8

interface Options {
  addressOf: ClientAddress
  /** A proxy connects for many networks, so its connections do not wait for each other. */
  isProxy: ProxyCheck
  refused: Refused
}

export const pipelining = fastifyPlugin<Options>(async function pipelining(app, { addressOf, isProxy, refused }) {
  const turns = openTurns(BEGUN_AT_ONCE)
  const readingTurns = openReadingTurns()
  const running = new Set<ServerResponse>()
  /** Without waiting, in this iteration of the event loop. */
  const begunNow = new Set<IncomingMessage>()

  // By default Node closes a half-closed connection, and the response to an executed request is lost.
  Object.assign(app.server, { httpAllowHalfOpen: true })

  app.server.on('connection', () => {
    turns.skip()
    app.vault.skipTurn()
  })

  app.server.on(app.server instanceof TlsServer ? 'secureConnection' : 'connection', (socket: Socket) => {
    const { remoteAddress } = socket
    // Over TLS it is false, also for a server that allows it.
    socket.allowHalfOpen = true
    if (!isProxy(remoteAddress, 0)) readingTurns.add(socket, networkOf(remoteAddress))
  })

  // Bytes that are no request cost about as much as one.
  app.server.on('clientError', (_error, socket: Socket) => readingTurns.count(socket))

  // The framework's own listener. It would do a part of the work for a request as soon as the request is parsed.
  const [handle] = app.server.listeners('request') as RequestListener[]
  app.server.removeAllListeners('request')

  app.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request
    readingTurns.count(socket)
    skipBodyOfRead(request)
    gatherCrumbs(request, () => readingTurns.countOnce(socket))
    // The plugins, the framework and a drained body each add a listener. Node warns above ten.
    response.setMaxListeners(20)
    // Node caches the address at the first read, and cannot read it after the connection is closed.
    void socket.remoteAddress
    const connection = connectionOf(socket)
    if (!connection.isUsed) socket.on('end', () => ![...connection.responses].some(changes) && socket.end())
    if (!connection.isUsed) dropLongHeads(socket)
    connection.isUsed = true
    connection.responses.add(response)
    response.once('close', () => {
      connection.responses.delete(response)
      running.delete(response)
    })
    // A waiting request uses no memory of a response. If the client leaves first, the request never begins.
    if (response.socket) void begin(request, response)
    else response.once('socket', () => void begin(request, response))
    // A request with too many fields will be refused, but further ones in the same read would be parsed before.
    if (connection.responses.size < PIPELINE_DEPTH && request.rawHeaders.length <= 2 * MOST_FIELDS) return
    // RFC 9112, section 9.6: requests after the last one of a connection are not processed. The client sends them again.
    response.shouldKeepAlive = false
    ignoreFurtherRequests(socket)
  })

  app.server.on('connect', (request: IncomingMessage, socket: Socket) => {
    readingTurns.count(socket)
    // Node has removed its own listeners. Without ours, an error would end the process, and the end would not be noticed.
    socket.on('error', () => socket.destroy())
    socket.resume()
    const problem = problems.malformedHttp()
    afterCompleteRequests(socket, () => {
      const isOwn = respondLast(socket, problem, request)
      if (isOwn) refused({ socket, status: problem.status, requestId: requestIdOf(request) })
    })
  })

  app.addHook('onRequest', ({ raw: request, routeOptions }, { raw }, done) => {
    if (routeOptions.config.changesNothing) changeNothing.add(raw)
    if (!request.complete) awaitsBody.add(request)
    done()
  })

  // The bodies of many requests may end at the same moment. One that came with its head is a part of the turn in which the request
  // began. Bodies that a route reads by itself have not ended yet.
  app.addHook('preValidation', ({ raw: request }, _reply, done) => {
    if (!awaitsBody.has(request) || !request.complete || begunNow.has(request) || turns.takeFree()) done()
    else void nextTurn(request).then(() => done())
  })

  // The framework does this for later requests only. A proxy would reuse a connection that is about to be closed.
  app.addHook('preClose', async () => {
    for (const response of running) if (!response.headersSent) response.shouldKeepAlive = false
  })

  // A request usually begins at once. So an append has begun before its client asks on another connection for the offset.
  async function begin(request: IncomingMessage, response: ServerResponse) {
    if (turns.takeFree()) {
      if (begunNow.size === 0) setImmediate(() => begunNow.clear())
      begunNow.add(request)
    } else {
      await nextTurn(request)
    }
    if (response.destroyed) return
    running.add(response)
    handle?.(request, response)
  }

  function nextTurn(request: IncomingMessage): Promise<void> {
    return turns.next(networkOf(addressOf(request)))
  }
})

/** The body of a GET means nothing (RFC 9110, section 9.3.1). Without a reader, Node would keep up to 64 KiB of it. */
function skipBodyOfRead(request: IncomingMessage): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') return
  const push = request.push.bind(request)
  request.push = (chunk: Buffer | null) => (chunk === null ? push(chunk) : true)
}

/** Requests whose body had not ended when they began. */
const awaitsBody = new WeakSet<IncomingMessage>()

/** Responses to requests of other methods that change nothing either. */
const changeNothing = new WeakSet<ServerResponse>()

/** Whether the response belongs to a request that can change something. A client that left does not need the response to a GET. */
function changes(response: ServerResponse): boolean {
  return !['GET', 'HEAD'].includes(response.req.method ?? '') && !changeNothing.has(response)
}
