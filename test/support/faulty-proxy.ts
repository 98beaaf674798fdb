/** A TCP proxy that can fail on request: it hangs, refuses, cuts or delays connections. It does not parse a protocol. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { lastingPort } from './lasting-port.ts'

export interface FaultyProxy {
  /** Its port on 127.0.0.1. */
  port: number
  /** The number of open client connections. */
  open(): number
  /** The number of client connections so far. */
  connections(): number
  /** Counts the requests with this text from now on, also those that are held. */
  counting(text: string): () => number
  /** Accepts connections, but passes no bytes from now on. */
  hang(): void
  /** Answers GET and HEAD of HTTP, and passes no byte of another request from now on. */
  hangOnWrites(): void
  /** Refuses new connections from now on, and breaks the open ones. */
  refuse(): Promise<void>
  /** Breaks every open connection. */
  cut(): void
  /** Breaks the connection at which so many more bytes have passed in one direction, over all connections together. */
  cutAfter(bytes: number, direction: Direction, way: WayOfBreaking): Cut
  /** Waits for a request with this text, and breaks its connection instead of passing the answer. Resolves then. */
  loseAnswerTo(text: string): Promise<void>
  /** Waits for a request with this text, passes the first bytes of its answer, and then hangs. Resolves then. */
  hangInAnswerTo(text: string): Promise<void>
  /** Delays each answer. */
  delay(ms: number): void
  /** Connects new clients to another port of this machine. Open connections stay. */
  leadTo(port: number): void
  /** Ends all failures, and passes the held bytes. */
  heal(): Promise<void>
}

export type Direction = 'up' | 'down'

/** `silent`: only the client's side breaks, and the server believes that it is connected until the next `heal`. */
export type WayOfBreaking = 'reset' | 'end' | 'silent'

export interface Cut {
  /** Whether it happened. */
  happened(): boolean
  /** It will not happen any more. */
  cancel(): void
}

export async function faultyProxy(first: { host: string; port: number }): Promise<FaultyProxy> {
  const clients = new Set<Socket>()
  let target = first
  let held: (() => void)[] | null = null
  let heldWrites: (() => void)[] | null = null
  let trap: { text: string; armed: Socket | null; spring: (client: Socket) => void } | null = null
  let cutting: { left: number; direction: Direction; way: WayOfBreaking } | null = null
  /** The server's sides of connections that broke in silence. */
  const silent = new Set<Socket>()
  const counters: { text: string; count: number }[] = []
  let delayMs = 0
  let accepted = 0
  const server = createServer(accept)
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  // It must get this port again after it has refused connections.
  const port = await lastingPort()
  await listen(port)
  const cut = () => {
    for (const client of clients) client.resetAndDestroy()
  }
  onTestFinished(() => {
    cut()
    for (const upstream of silent) upstream.destroy()
    server.close()
  })

  return {
    port,
    open: () => clients.size,
    connections: () => accepted,
    counting(text) {
      const counter = { text, count: 0 }
      counters.push(counter)
      return () => counter.count
    },
    hang() {
      held ??= []
    },
    hangOnWrites() {
      heldWrites ??= []
    },
    async refuse() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
    cut,
    cutAfter(bytes, direction, way) {
      const own = { left: bytes, direction, way }
      cutting = own
      return {
        happened: () => own.left < 0,
        cancel() {
          if (cutting === own) cutting = null
        },
      }
    },
    loseAnswerTo: (text) => trapped(text, (client) => client.resetAndDestroy()),
    // Once these bytes have passed.
    hangInAnswerTo: (text) => trapped(text, () => setImmediate(() => (held ??= []))),
    delay(ms) {
      delayMs = ms
    },
    leadTo(port) {
      target = { host: '127.0.0.1', port }
    },
    async heal() {
      const waiting = [...(held ?? []), ...(heldWrites ?? [])]
      held = null
      heldWrites = null
      delayMs = 0
      cutting = null
      for (const upstream of silent) upstream.destroy()
      for (const pass of waiting) pass()
      if (!server.listening) await listen(port)
    },
  }

  function trapped(text: string, spring: (client: Socket) => void): Promise<void> {
    return new Promise((sprung) => {
      trap = {
        text,
        armed: null,
        spring(client) {
          trap = null
          spring(client)
          sprung()
        },
      }
    })
  }

  function accept(client: Socket) {
    accepted += 1
    const upstream = connect(target.port, target.host)
    clients.add(client)
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => {})
      one.on('close', () => inTurn(() => silent.has(other) || other.destroy()))
    }
    upstream.on('close', () => silent.delete(upstream))
    client.on('close', () => clients.delete(client))
    const cutIn = (direction: Direction) => (chunk: Buffer) => {
      if (cutting?.direction !== direction) return null
      cutting.left -= chunk.length
      if (cutting.left >= 0) return null
      const { left, way } = cutting
      cutting = null
      return { first: chunk.subarray(0, chunk.length + left), breakOff: () => breakOff(client, upstream, way) }
    }
    forward(client, upstream, cutIn('up'), (chunk) => {
      if (trap && chunk.includes(trap.text)) trap.armed = client
      for (const counter of counters) if (chunk.includes(counter.text)) counter.count += 1
    })
    forward(upstream, client, cutIn('down'), () => {
      if (trap?.armed === client) trap.spring(client)
    })
  }

  /** The end of a connection comes after its delayed bytes. */
  function inTurn(act: () => void) {
    if (delayMs > 0) setTimeout(act, delayMs)
    else act()
  }

  function breakOff(client: Socket, upstream: Socket, way: WayOfBreaking) {
    if (way === 'silent') silent.add(upstream)
    if (way === 'reset') upstream.resetAndDestroy()
    if (way === 'end') {
      upstream.end()
      client.end()
    } else {
      client.resetAndDestroy()
    }
  }

  /** Calls `onChunk` with each chunk before it is passed on. `cutIn` says after which part of it the connection breaks. */
  function forward(
    from: Socket,
    to: Socket,
    cutIn: (chunk: Buffer) => { first: Buffer; breakOff: () => void } | null,
    onChunk: (chunk: Buffer) => void,
  ) {
    let isBroken = false
    let isWrite = false
    from.on('data', (chunk: Buffer) => {
      if (isBroken) return
      const broken = cutIn(chunk)
      if (broken) {
        isBroken = true
        to.write(broken.first, broken.breakOff)
        return
      }
      onChunk(chunk)
      from.pause()
      const method = /^(GET|HEAD|PUT|POST|DELETE) \//.exec(chunk.toString('latin1', 0, 8))?.[1]
      if (method) isWrite = method !== 'GET' && method !== 'HEAD'
      const pass = () => {
        if (held) held.push(pass)
        else if (isWrite && heldWrites) heldWrites.push(pass)
        else to.write(chunk, () => from.resume())
      }
      if (delayMs > 0 && clients.has(to)) setTimeout(pass, delayMs)
      else pass()
    })
    from.on('end', () => inTurn(() => to.end()))
  }
}
