/**
 * Drops pipelined requests before Node queues them. Their client sends them again on another connection (RFC 9112, section 9.6): the
 * response before them is the last one of theirs.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type Connection, connectionOf } from './open-connections.ts'
import { parserOf } from './parser.ts'

/**
 * The maximum of memory for the heads of pipelined requests that wait on one connection. Otherwise long heads of thousands of
 * connections would use more memory than all transfers.
 */
const WAITING_BYTES = 4 * 1024
/** The memory of a name or a value besides its characters. */
const STRING_BYTES = 50

/**
 * One read may bring thousands of pipelined requests, and Node parses all of them. Node's parser calls
 * `onIncoming` for each. Replacing it drops the further requests, which would otherwise be queued. The return value 2 (upgrade)
 * makes the parser drop the rest of this read. The next read may begin within a request.
 */
export function ignoreFurtherRequests(socket: Socket) {
  const parser = parserOf(socket)
  if (!parser) return
  parser.onIncoming = () => {
    connectionOf(socket).isNoisy = true
    return 2
  }
}

/**
 * A pipelined request is dropped if its head, with those that wait, is too large. It is not in the queue yet. The response before it is
 * the last one of the connection.
 */
export function dropLongHeads(socket: Socket) {
  const parser = parserOf(socket)
  if (!parser) return
  const { onIncoming } = parser
  parser.onIncoming = (request, keepsAlive) => {
    const connection = connectionOf(socket)
    const last = [...connection.responses].at(-1)
    if (!last || waitingBytes(connection) + headBytes(request) <= WAITING_BYTES) return onIncoming(request, keepsAlive)
    last.shouldKeepAlive = false
    // Its header fields may have been sent.
    last.once('close', () => socket.end())
    connection.isNoisy = true
    ignoreFurtherRequests(socket)
    // Otherwise the parser keeps it.
    parser.incoming = null
    return 2
  }
}

/** The memory for the heads of the requests behind the first one. */
function waitingBytes({ responses }: Connection): number {
  const [, ...waiting] = responses
  return waiting.reduce((sum, { req }) => sum + headBytes(req), 0)
}

function headBytes({ url = '', rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length + STRING_BYTES, url.length)
}
