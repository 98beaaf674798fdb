/** A record of open connections that have sent something: their unfinished responses. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface Connection {
  /** The unfinished responses, in the order of their requests. Node sends them in this order. */
  responses: Set<ServerResponse>
  /** The client has sent a request. */
  isUsed: boolean
  /** The client sent bytes that are no HTTP request. Node emits an error for each piece of them. */
  isNoisy: boolean
}

const connections = new WeakMap<Socket, Connection>()

export function connectionOf(socket: Socket): Connection {
  const known = connections.get(socket)
  if (known) return known
  const connection: Connection = { responses: new Set(), isUsed: false, isNoisy: false }
  connections.set(socket, connection)
  return connection
}

interface Replacement {
  status: number
  /** The client had left before. */
  isUnread: boolean
}

const replacements = new WeakMap<ServerResponse, Replacement>()

/** Notes that a response with this status was written to the socket in place of the given one. */
export function replaceBy(response: ServerResponse, status: number): void {
  replacements.set(response, { status, isUnread: hasLeft(response.req) })
}

export function replacementOf(response: ServerResponse): Replacement | undefined {
  return replacements.get(response)
}

/** Whether the connection is closed, or the client has closed its side before the end of its request. */
export function hasLeft({ socket, complete }: IncomingMessage): boolean {
  return socket.destroyed || (socket.readableEnded && !complete)
}
