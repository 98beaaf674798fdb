/** A TCP proxy that can fail on request: it hangs, refuses, cuts or delays connections. It does not parse a protocol. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface FaultyProxy {
  /** Its port on 127.0.0.1. */
  port: number
  /** The number of open client connections. */
  open(): number
  /** The number of client connections so far. */
  connections(): number
  /** Accepts connections, but passes no bytes from now on. */
  hang(): void
  /** Refuses new connections from now on, and breaks the open ones. */
  refuse(): Promise<void>
  /** Breaks every open connection. */
  cut(): void
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

export async function faultyProxy(first: { host: string; port: number }): Promise<FaultyProxy> {
  const clients = new Set<Socket>()
  let target = first
  let held: (() => void)[] | null = null
  let trap: { text: string; armed: Socket | null; spring: (client: Socket) => void } | null = null
  let delayMs = 0
  let accepted = 0
  const server = createServer(accept)
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const client of clients) client.resetAndDestroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })

  return {
    port,
    open: () => clients.size,
    connections: () => accepted,
    hang() {
      held ??= []
    },
    async refuse() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
    cut,
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
      const waiting = held ?? []
      held = null
      delayMs = 0
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
      one.on('close', () => other.destroy())
    }
    client.on('close', () => clients.delete(client))
    forward(client, upstream, (chunk) => {
      if (trap && chunk.includes(trap.text)) trap.armed = client
    })
    forward(upstream, client, () => {
      if (trap?.armed === client) trap.spring(client)
    })
  }

  /** Calls `onChunk` with each chunk before it is passed on. */
  function forward(from: Socket, to: Socket, onChunk: (chunk: Buffer) => void) {
    from.on('data', (chunk: Buffer) => {
      onChunk(chunk)
      from.pause()
      const pass = () => {
        if (held) held.push(pass)
        else to.write(chunk, () => from.resume())
      }
      if (delayMs > 0 && clients.has(to)) setTimeout(pass, delayMs)
      else pass()
    })
    from.on('end', () => to.end())
  }
}
