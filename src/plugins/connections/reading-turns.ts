/**
 * Node parses all that it reads, before any turn: up to eight requests of a connection, of 16 KiB each. That may take a millisecond
 * for each connection. So an iteration of the event loop reads a few connections of one network. Its others wait, and those of other
 * networks do not.
 */
import type { Socket } from 'node:net'
import { ON_HEADERS, type Parser, parserOf } from './parser.ts'

/**
 * The maximum of requests, of long heads and of connections with bodies that an iteration takes from one network: about 40 ms of the
 * worst kind.
 */
export const READ_AT_ONCE = 64

/** Node's handle of a connection. `reading` is whether the socket wants bytes. */
interface Handle {
  reading: boolean
  readStart(): void
  readStop(): void
}

export interface ReadingTurns {
  /** The connection takes part from now on. */
  add(socket: Socket, network: string): void
  /** The connection brought a request, or bytes that are none. */
  count(socket: Socket): void
  /** The connection brought a piece of a body, or its end. Counts if it brought nothing else in this iteration. */
  countOnce(socket: Socket): void
}

interface Network {
  open: Set<Socket>
  /** Those that are not read at the moment. The one that waits longest is the first. */
  stopped: Set<Socket>
  /** In this iteration. */
  count: number
  counted: Set<Socket>
}

/** Node's own callback. Node uses a parser for one connection after the other, and sets it once. */
let onHeaders: Parser[typeof ON_HEADERS] | undefined

export function openReadingTurns(): ReadingTurns {
  const networks = new Map<string, Network>()
  const networkOf = new WeakMap<Socket, Network>()
  /** The networks with a count, or with stopped connections. If there are any, `nextIteration` is scheduled. */
  const busy = new Set<Network>()

  return {
    add(socket, name) {
      const network = networks.get(name) ?? { open: new Set(), stopped: new Set(), count: 0, counted: new Set() }
      networks.set(name, network)
      network.open.add(socket)
      networkOf.set(socket, network)
      countLongHeads(socket)
      socket.once('close', () => {
        network.open.delete(socket)
        network.stopped.delete(socket)
        if (network.open.size === 0 && networks.get(name) === network) networks.delete(name)
      })
    },

    count,

    countOnce(socket) {
      if (!networkOf.get(socket)?.counted.has(socket)) count(socket)
    },
  }

  function count(socket: Socket): void {
    const network = networkOf.get(socket)
    if (!network) return
    if (busy.size === 0) setImmediate(nextIteration)
    busy.add(network)
    network.counted.add(socket)
    network.count += 1
    if (network.count === READ_AT_ONCE) for (const other of network.open) stop(other, network)
  }

  /** A head may have thousands of fields and never end. So it counts as soon as it has 32. */
  function countLongHeads(socket: Socket): void {
    const parser = parserOf(socket)
    if (!parser) return
    onHeaders ??= parser[ON_HEADERS]
    const keep = onHeaders
    parser[ON_HEADERS] = function (this: Parser, fields, target) {
      if (this.socket && this._headers.length === 0) count(this.socket)
      keep.call(this, fields, target)
    }
  }

  function stop(socket: Socket, { stopped }: Network): void {
    const handle = handleOf(socket)
    if (!handle?.reading || stopped.has(socket)) return
    handle.readStop()
    stopped.add(socket)
  }

  function nextIteration(): void {
    for (const network of busy) {
      network.count = 0
      network.counted.clear()
      let left = READ_AT_ONCE
      for (const socket of network.stopped) {
        if (left === 0) break
        left -= 1
        network.stopped.delete(socket)
        const handle = handleOf(socket)
        // The socket itself may have been paused meanwhile.
        if (handle?.reading) handle.readStart()
      }
      if (network.stopped.size === 0) busy.delete(network)
    }
    if (busy.size > 0) setImmediate(nextIteration)
  }
}

function handleOf(socket: Socket): Handle | null | undefined {
  return (socket as Socket & { _handle?: Handle | null })._handle
}
