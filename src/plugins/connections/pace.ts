/**
 * Ends requests whose client sends or reads almost nothing. A whole transfer has no time limit: a film may take a day over a
 * slow line, as long as bytes move.
 */
import type { ServerResponse } from 'node:http'
import { setImmediate as nextIteration } from 'node:timers/promises'
import fastifyPlugin from 'fastify-plugin'
import { stopReading } from '../../http/body-reading.ts'
import { problems } from '../../problems.ts'
import { respondLast } from './last-response.ts'

/** Requests that are refused in one iteration of the event loop: each takes about 0.3 ms, and all were found by the same check. */
const REFUSED_AT_ONCE = 32

export interface Pace {
  /** How often running requests are checked. */
  everyMs: number
  /** The minimum of bytes of a body between two checks, unless the body ends. */
  bodyBytes: number
  /** The maximum of checks for one write (half a MiB of a download) to reach the operating system. */
  checksPerWrite: number
}

interface Progress {
  bytesRead: number
  /** The written bytes that the operating system has accepted. The client may not have received them yet. */
  bytesSent: number
  /** Whether the server waits for bytes of the client. */
  awaited: boolean
  /** The number of consecutive checks in which nothing was sent, though there was something to send. */
  stuck: number
}

export const pace = fastifyPlugin<Pace>(async function pace(app, { everyMs, bodyBytes, checksPerWrite }) {
  const underWay = new Map<ServerResponse, Progress | null>()
  app.server.on('request', (_request, response: ServerResponse) => {
    // A pipelined request waits for its socket. If the connection is closed before, nothing reports that: then it would stay here
    // with its head until the next check, and a client could fill the memory with closed connections.
    if (response.socket) begin(response)
    else response.once('socket', () => begin(response))
  })
  const timer = setInterval(() => {
    const slow: ServerResponse[] = []
    for (const [response, before] of underWay) {
      const { socket } = response.req
      const now = progressOf(response, before)
      underWay.set(response, now)
      // A pipelined response that got a closed socket emits no `close`.
      if (socket.destroyed) underWay.delete(response)
      else if (now.stuck >= checksPerWrite) socket.destroy()
      else if (before?.awaited && now.awaited && now.bytesRead - before.bytesRead < bodyBytes) {
        slow.push(response)
      }
    }
    void refuseAll(slow)
  }, everyMs)
  app.addHook('onClose', async () => clearInterval(timer))

  function begin(response: ServerResponse) {
    underWay.set(response, null)
    response.once('close', () => underWay.delete(response))
  }
})

async function refuseAll(responses: ServerResponse[]): Promise<void> {
  for (const [n, { req }] of responses.entries()) {
    if (n % REFUSED_AT_ONCE === 0) await nextIteration()
    // Meanwhile the client may have sent the rest, or left.
    if (req.complete || req.socket.destroyed) continue
    const refusal = problems.requestTimeout()
    if (!stopReading(req, refusal)) respondLast(req.socket, refusal)
  }
}

function progressOf({ req: { socket, complete, readableLength } }: ServerResponse, before: Progress | null): Progress {
  const { bytesRead, bytesWritten, writableLength } = socket
  const bytesSent = bytesWritten - writableLength
  return {
    bytesRead,
    bytesSent,
    // While received bytes are unread, the server is the slow side.
    awaited: !complete && readableLength === 0,
    stuck: before && writableLength > 0 && bytesSent === before.bytesSent ? before.stuck + 1 : 0,
  }
}
