/** A trace for each request. This file is loaded only where traces are sent: it loads OpenTelemetry. */
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { type Span, SpanStatusCode, type TracerProvider } from '@opentelemetry/api'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { addToLog } from '../../http/request-logs.ts'
import { atEnd } from './request-end.ts'

export interface TracingRules {
  provider: TracerProvider
  /** Spans have the addresses of clients. */
  clients: boolean
  isProxy(address: string | undefined): boolean
}

export const tracing = fastifyPlugin<TracingRules>(async function tracing(app, { provider, clients, isProxy }) {
  app.addHook('onRequest', ({ raw: { headers, socket } }, _reply, done) => {
    // A stranger must not choose which requests are sampled, or put them into traces of others.
    if (!isProxy(socket.remoteAddress)) {
      delete headers.traceparent
      delete headers.tracestate
    }
    done()
  })

  const instrumentation = new FastifyOtelInstrumentation({
    // Our hooks are many and short; what they wait for has spans of its own.
    instrumentHooks: false,
    recordExceptions: false,
    ignorePaths: ({ url }) => url.startsWith('/health/'),
  })
  instrumentation.setTracerProvider(provider)
  await app.register(instrumentation.plugin())

  app.addHook('onRequest', (request, reply, done) => {
    const { span } = request.opentelemetry()
    if (span) follow(span, request, reply)
    done()
  })

  function follow(span: Span, request: FastifyRequest, reply: FastifyReply): void {
    const { url } = request.routeOptions
    span.updateName(url === undefined ? request.method : `${request.method} ${url}`)
    span.setAttribute('request.id', request.id)
    if (clients) span.setAttribute('client.address', request.ip)
    addToLog(request, { traceId: span.spanContext().traceId })
    // The plugin ends its span before the first byte of the response is sent: a download would seem to take no time.
    const end = span.end.bind(span)
    span.end = () => {}
    atEnd(reply.raw, ({ status, isAborted, bytes }) => {
      span.setAttributes({ 'request.bytes': bytes.in, 'response.bytes': bytes.out })
      if (status !== null) span.setAttribute('http.response.status_code', status)
      if (isAborted) span.setAttribute('request.aborted', true)
      if (status !== null && status >= 500) {
        span.setAttribute('error.type', String(status)).setStatus({ code: SpanStatusCode.ERROR })
      }
      end()
    })
  }
})
