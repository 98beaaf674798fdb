/** The end of a request, whatever it is. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { hasLeft, replacementOf } from '../connections/open-connections.ts'

export interface RequestEnd {
  /** The status of the response; `null` if none was sent. */
  status: number | null
  /** The client left, or was disconnected, before the response was sent. */
  isAborted: boolean
  /** The bytes of the request and of its response, heads included. */
  bytes: { in: number; out: number }
}

/** Calls back when the response is sent or the connection is lost. */
export function atEnd(response: ServerResponse, then: (end: RequestEnd) => void): void {
  const ends = waiting.get(response)
  if (ends) return void ends.push(then)
  const first = [then]
  waiting.set(response, first)
  let isSent = false
  // A response also finishes if the client has left before.
  response.prependOnceListener('finish', () => {
    isSent = !hasLeft(response.req)
  })
  // Not `onResponse`: that hook does not run if the client leaves first. Before other listeners: one may send the next response.
  response.prependOnceListener('close', () => {
    const replacement = replacementOf(response)
    const end = {
      status: replacement?.status ?? (response.headersSent ? response.statusCode : null),
      isAborted: replacement ? replacement.isUnread : !isSent,
      bytes: bytesSinceLast(response.req.socket),
    }
    for (const callBack of first) callBack(end)
  })
}

const waiting = new WeakMap<ServerResponse, ((end: RequestEnd) => void)[]>()

const lastCounts = new WeakMap<Socket, RequestEnd['bytes']>()

/** The bytes since the request before on the same connection. */
export function bytesSinceLast(socket: Socket): RequestEnd['bytes'] {
  const before = lastCounts.get(socket) ?? { in: 0, out: 0 }
  const now = { in: socket.bytesRead, out: socket.bytesWritten }
  lastCounts.set(socket, now)
  return { in: now.in - before.in, out: now.out - before.out }
}
