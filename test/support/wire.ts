/** A raw socket, for requests that an HTTP client would not send. */
import { connect, type Socket } from 'node:net'

export interface Wire {
  socket: Socket
  /** The text received so far. */
  received(): string
  /** Resolves once the text was received. */
  until(text: string): Promise<string>
  /** The error of the connection, such as a reset, or `null`. */
  fault(): string | null
  /** Resolves with all received text once the connection is closed. */
  ended: Promise<string>
}

/** `from` is the source address, any of 127.0.0.0/8. */
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
        const check = () => {
          if (!text.includes(wanted)) return
          listeners.delete(check)
          resolve(text)
        }
        listeners.add(check)
        check()
        void ended.then(() => reject(new Error(`the connection ended without ${JSON.stringify(wanted)}: ${text}`)))
      }),
  }
}

/** The head of a request with its empty line. */
export function head(line: string, headers: Record<string, string | number> = {}): string {
  const fields = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}`)
  return `${[`${line} HTTP/1.1`, ...fields].join('\r\n')}\r\n\r\n`
}
