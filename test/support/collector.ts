/** A collector of traces: a real HTTP server that takes OTLP in JSON. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface CollectedSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  /** 1: internal, 2: server. */
  kind: number
  /** 2: error. */
  status: { code?: number; message?: string }
  attributes: Record<string, unknown>
  startMs: number
  endMs: number
}

export interface Collector {
  url: string
  spans(): CollectedSpan[]
  /** All bodies so far. */
  text(): string
  /** The headers of the last request. */
  headers(): Record<string, unknown>
  /** The attributes of the service. */
  resource(): Record<string, unknown>
}

/** With `port`, on that port. `status` is that of each response; with `null` there is never one. */
export async function collector({
  port = 0,
  status = 200,
}: {
  port?: number
  status?: number | null
} = {}): Promise<Collector> {
  const bodies: string[] = []
  let headers: Record<string, unknown> = {}
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    bodies.push(Buffer.concat(chunks).toString())
    headers = request.headers
    if (status !== null) response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: () => bodies.flatMap(spansIn),
    text: () => bodies.join('\n'),
    headers: () => headers,
    resource: () => valuesOf(JSON.parse(bodies[0] as string).resourceSpans[0].resource.attributes),
  }
}

interface Pair {
  key: string
  value: Record<string, unknown>
}

const valuesOf = (pairs: Pair[]) => Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]))

function spansIn(body: string): CollectedSpan[] {
  const { resourceSpans } = JSON.parse(body)
  return resourceSpans
    .flatMap(({ scopeSpans }: { scopeSpans: { spans: object[] }[] }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span: Record<string, unknown> & { attributes: Pair[] }) => ({
      ...span,
      attributes: valuesOf(span.attributes),
      startMs: Number(span.startTimeUnixNano) / 1e6,
      endMs: Number(span.endTimeUnixNano) / 1e6,
    }))
}
