/** Stands before a server: lets everything through, or holds it back, or is not there. Knows bytes and no protocol. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface TcpGate {
  /** Where it listens on 127.0.0.1. */
  port: number
  /** How many connections came so far. */
  connections(): number
  /** From now on nothing passes, though connections are accepted. */
  hang(): void
  /** From now on no connection is accepted; those that are open break. */
  refuse(): Promise<void>
  /** Every answer comes so much later. */
  delay(ms: number): void
  /** From now on all is well. Connections that hung are broken. */
  heal(): Promise<void>
}

export async function tcpGate(target: { host: string; port: number }): Promise<TcpGate> {
  const clients = new Set<Socket>()
  let accepted = 0
  let hangs = false
  let delayMs = 0
  const server = createServer(accept)
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  await listen(0)
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const client of clients) client.destroy()
  }
  onTestFinished(() => {
    cut()
    server.close()
  })

  return {
    port,
    connections: () => accepted,
    hang() {
      hangs = true
    },
    async refuse() {
      const closed = once(server, 'close')
      server.close()
      cut()
      await closed
    },
    delay(ms) {
      delayMs = ms
    },
    async heal() {
      if (hangs) cut()
      hangs = false
      delayMs = 0
      if (!server.listening) await listen(port)
    },
  }

  function accept(client: Socket) {
    accepted += 1
    const upstream = connect(target.port, target.host)
    clients.add(client)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on('error', () => {})
      from.on('close', () => to.destroy())
      from.on('close', () => clients.delete(client))
      from.on('data', (chunk: Buffer) => {
        if (hangs) return
        if (from === upstream && delayMs > 0) setTimeout(() => to.write(chunk), delayMs)
        else to.write(chunk)
      })
    }
  }
}
