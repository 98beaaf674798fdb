/**
 * A client that sends or reads next to nothing does not hold its connection for ever. There is no limit on a whole
 * transfer: a film may take a day over a slow line, as long as it moves.
 */
import type { ServerResponse } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { stopReading } from '../../http/body-reading.ts'
import { problems } from '../../problems.ts'
import { respondLast } from '../errors.ts'

export interface Pace {
  /** How often the requests under way are looked at. */
  everyMs: number
  /** A body brings at least so many bytes, or its end, from one look to the next. */
  bodyBytes: number
  /** The system takes what was written, half a MiB of a download at a time, within so many looks. */
  looksPerWrite: number
}

interface Look {
  bytesRead: number
  /** What the system has taken of the bytes written: it may still be on its way. */
  bytesSent: number
  /** Whether it is the client's turn to send. */
  awaited: boolean
  /** So many looks in a row have found nothing sent, though there is something to send. */
  stuck: number
}

export const pace = fastifyPlugin<Pace>(async (app, { everyMs, bodyBytes, looksPerWrite }) => {
  const underWay = new Map<ServerResponse, Look | null>()
  app.server.on('request', (_request, response: ServerResponse) => {
    underWay.set(response, null)
    response.once('close', () => underWay.delete(response))
  })
  const timer = setInterval(() => {
    for (const [response, before] of underWay) {
      const { socket } = response.req
      const now = lookAt(response, before)
      underWay.set(response, now)
      // Of a pipelined answer whose connection ends before its turn, nothing is heard.
      if (socket.destroyed) underWay.delete(response)
      else if (now.stuck >= looksPerWrite) socket.destroy()
      else if (before?.awaited && now.awaited && now.bytesRead - before.bytesRead < bodyBytes) {
        const refusal = problems.requestTimeout()
        if (!stopReading(response.req, refusal)) respondLast(socket, refusal)
      }
    }
  }, everyMs)
  app.addHook('onClose', async () => clearInterval(timer))
})

function lookAt({ req: { socket, complete, readableLength } }: ServerResponse, before: Look | null): Look {
  const { bytesRead, bytesWritten, writableLength } = socket
  const bytesSent = bytesWritten - writableLength
  return {
    bytesRead,
    bytesSent,
    // What has come and was not read yet is the server's to move.
    awaited: !complete && readableLength === 0,
    stuck: before && writableLength > 0 && bytesSent === before.bytesSent ? before.stuck + 1 : 0,
  }
}
