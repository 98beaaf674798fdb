/** Bytes on a socket, for what an HTTP client would not send. */
import { connect, type Socket } from 'node:net'

export interface Wire {
  socket: Socket
  /** All that has come back so far. */
  received(): string
  /** Resolves once the text has come back. */
  until(text: string): Promise<string>
  /** What broke the connection, if anything did: a reset, say. */
  fault(): string | null
  /** Resolves with all that came back once the server has ended the connection. */
  ended: Promise<string>
}

/** `from` is the address of the client, one of the loopback network's. */
export function wire(url: string, from = '127.0.0.1'): Wire {
  const { hostname, port } = new URL(url)
  const socket = connect({ port: Number(port), host: hostname, localAddress: from })
  let text = ''
  const listeners = new Set<() => void>()
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
    for (const listener of listeners) listener()
  })
  let fault: string | null = null
  socket.on('error', (error: NodeJS.ErrnoException) => {
    fault = error.code ?? error.message
  })
  const ended = new Promise<string>((resolve) => socket.on('close', () => resolve(text)))
  return {
    socket,
    received: () => text,
    fault: () => fault,
    ended,
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!text.includes(wanted)) return
          listeners.delete(look)
          resolve(text)
        }
        listeners.add(look)
        look()
        void ended.then(() => reject(new Error(`the connection ended without ${JSON.stringify(wanted)}: ${text}`)))
      }),
  }
}

/** The head of a request, ended by an empty line. */
export function head(line: string, headers: Record<string, string | number> = {}): string {
  const fields = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return `${[`${line} HTTP/1.1`, ...fields].join('\r\n')}\r\n\r\n`
}
