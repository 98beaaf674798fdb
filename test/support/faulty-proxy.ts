/** A line to a server that a test can let break: it hangs, refuses, cuts, or is slow. Knows bytes and no protocol. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface FaultyProxy {
  /** Where it listens on 127.0.0.1. */
  port: number
  /** How many connections of clients are open. */
  open(): number
  /** How many came so far. */
  connections(): number
  /** From now on nothing passes, though connections are accepted. */
  hang(): void
  /** From now on no connection is accepted; those that are open break. */
  refuse(): Promise<void>
  /** Breaks every connection that is open. */
  cut(): void
  /** Breaks a connection in place of the first bytes that come back after this text went up; resolves then. */
  loseAnswerTo(text: string): Promise<void>
  /** Nothing passes any more after the first bytes that come back after this text went up; resolves then. */
  hangInAnswerTo(text: string): Promise<void>
  /** Each answer comes so much later. */
  delay(ms: number): void
  /** From now on new connections lead to another server of this machine; those that are open stay where they are. */
  leadTo(port: number): void
  /** From now on all is well; what was held back passes. */
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
    carry(client, upstream, (chunk) => {
      if (trap && chunk.includes(trap.text)) trap.armed = client
    })
    carry(upstream, client, () => {
      if (trap?.armed === client) trap.spring(client)
    })
  }

  /** `look` sees each chunk before it passes. */
  function carry(from: Socket, to: Socket, look: (chunk: Buffer) => void) {
    from.on('data', (chunk: Buffer) => {
      look(chunk)
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
