/**
 * A connection runs one request at a time. Further requests that a client has sent wait, up to a maximum, until the responses
 * before theirs are sent (RFC 9112, section 9.3.2). When the server stops, each running response becomes the last one of its
 * connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { afterCompleteRequests, respondLast } from './last-response.ts'
import { connectionOf } from './register.ts'

/** The maximum of pipelined requests of one connection. The last one ends the connection. */
export const PIPELINE_DEPTH = 16

export const pipelining = fastifyPlugin(async function pipelining(app) {
  const running = new Set<ServerResponse>()

  // By default Node closes a half-closed connection, and the response to an executed request is lost.
  Object.assign(app.server, { httpAllowHalfOpen: true })

  app.server.prependListener('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    // The plugins, the framework and a drained body each add a listener. Node warns above ten.
    response.setMaxListeners(20)
    // Node caches the address at the first read, and cannot read it after the connection is closed.
    void socket.remoteAddress
    const connection = connectionOf(socket)
    if (!connection.latest) socket.on('end', () => !changes(connection.latest) && socket.end())
    connection.latest = response
    connection.responses.add(response)
    response.once('close', () => {
      connection.responses.delete(response)
      running.delete(response)
    })
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
  app.addHook('onRequest', ({ routeOptions }, { raw }, done) => {
    if (routeOptions.config.changesNothing) changeNothing.add(raw)
    const run = () => {
      running.add(raw)
      done()
    }
    if (raw.socket) run()
    else raw.once('socket', run)
  })

  // The framework does this for later requests only. A proxy would reuse a connection that is about to be closed.
  app.addHook('preClose', async () => {
    for (const response of running) if (!response.headersSent) response.setHeader('connection', 'close')
  })
})

/** Responses to requests of other methods that change nothing either. */
const changeNothing = new WeakSet<ServerResponse>()

/** Whether the response belongs to a request that can change something. A client that left does not need the response to a GET. */
function changes(response: ServerResponse | null): boolean {
  return response !== null && !['GET', 'HEAD'].includes(response.req.method ?? '') && !changeNothing.has(response)
}

/**
 * One read may bring thousands of pipelined requests, and Node parses all of them. Node's parser calls the undocumented
 * `onIncoming` for each. Replacing it drops the further requests, which would otherwise be queued.
 */
function ignoreFurtherRequests(socket: Socket) {
  const { parser } = socket as Socket & { parser?: { onIncoming: () => number } }
  if (parser) parser.onIncoming = () => 0
}
