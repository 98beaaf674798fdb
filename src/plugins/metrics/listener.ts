/** Serves the metrics on a port of their own, so that Prometheus gets them while the server's port is crowded. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Registry } from 'prom-client'
import type { MetricsRules } from './rules.ts'

/** A few Prometheus servers, and an operator with a browser. */
const MOST_CONNECTIONS = 16
const REQUEST_MS = 5000
const IDLE_MS = 10_000

export interface MetricsListener {
  url: string
  close(): void
}

export async function listenForScrapes(
  registry: Registry,
  { host, port, token }: MetricsRules,
): Promise<MetricsListener> {
  const mayRead = tokenCheck(token)
  const underWay = new WeakSet<Socket>()
  const shared = sharing(() => registry.metrics())
  const server = createServer(
    { headersTimeout: REQUEST_MS, requestTimeout: REQUEST_MS, connectionsCheckingInterval: REQUEST_MS },
    (request, response) => void respond(request, response),
  )
  server.maxConnections = MOST_CONNECTIONS
  server.setTimeout(IDLE_MS)
  server.listen(port, host)
  await once(server, 'listening')
  // Without a listener, a failed accept would end the process.
  server.on('error', () => {})
  return {
    url: urlOf(server.address() as AddressInfo),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }

  async function respond(
    { method, url = '', headers, socket }: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    // No client of this port sends requests ahead, and thousands of them would hold the server.
    if (underWay.has(socket)) return void socket.destroy()
    underWay.add(socket)
    response.once('close', () => underWay.delete(socket))
    // The body of a request is not read.
    if (method !== 'GET') return end(response, 405, { allow: 'GET', connection: 'close' })
    if (url.split('?')[0] !== '/metrics') return end(response, 404)
    if (!mayRead(headers.authorization)) return end(response, 401, { 'www-authenticate': 'Bearer' })
    const text = await shared()
    end(response, 200, { 'content-type': registry.contentType }, text)
  }
}

/** Calls at the same time share one result. */
function sharing<T>(read: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null
  return () => {
    running ??= read().finally(() => {
      running = null
    })
    return running
  }
}

function end(response: ServerResponse, status: number, headers: Record<string, string> = {}, text = ''): void {
  response.writeHead(status, { 'cache-control': 'no-store', 'content-length': Buffer.byteLength(text), ...headers })
  response.end(text)
}

/** Compares hashes in constant time, so that the time reveals neither the token nor its length. */
function tokenCheck(token: string | null): (authorization: string | undefined) => boolean {
  if (token === null) return () => true
  const wanted = digest(token)
  return (authorization = '') => {
    const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
    return given !== undefined && timingSafeEqual(digest(given), wanted)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function urlOf({ address, port, family }: AddressInfo): string {
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics`
}
