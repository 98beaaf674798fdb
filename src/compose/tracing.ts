/** Sends traces to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names. This file is loaded only where that is set. */
import { setTimeout as pause } from 'node:timers/promises'
import { DiagLogLevel, diag, SpanStatusCode, type TracerProvider, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-node'
import type { Ports } from '../ports/ports.ts'

export interface Tracing {
  provider: TracerProvider
  /** The same ports. Each call for a request is a span. */
  traced(ports: Ports): Ports
  /** Sends what is left, if the collector takes it soon. */
  close(): Promise<void>
}

/** A collector that does not answer must not hold a stopping server up. */
const LAST_SENDING_MS = 2000

/** The ports of engines, and none that returns at once. */
const ENGINES = [
  ...(['users', 'keySlots', 'sessions', 'pinLedger', 'activity', 'files', 'trash', 'thumbnails', 'uploads'] as const),
  ...(['changes', 'ledger', 'blobs', 'pendingPins', 'mailCounter', 'requestCounter'] as const),
] satisfies (keyof Ports)[]

/** OpenTelemetry reads the collector's address, its headers, the sampler and the name of the service from the environment. */
export function openTracing(version: string, warn: (fields: object, message: string) => void): Tracing {
  // It would take another sampler than the wanted one in silence. Other messages may quote the collector's password.
  const logger = { error: (message: string) => /SAMPLER/.test(message) && warn({}, message) }
  const nothing = () => {}
  diag.setLogger(
    { ...logger, warn: nothing, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true },
  )
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'minikeepsafe', 'service.version': version }).merge(
      detectResources({ detectors: [envDetector] }),
    ),
    // At most 2,048 spans wait, or OTEL_BSP_MAX_QUEUE_SIZE; further ones are dropped.
    spanProcessors: [new BatchSpanProcessor(watched(new OTLPTraceExporter(), warn))],
  })
  diag.disable()
  provider.register()
  const tracer = provider.getTracer('minikeepsafe')

  return {
    provider,

    traced(ports) {
      const spied = ENGINES.map((name) => [name, tracedPort(name, ports[name])] as const)
      return { ...ports, ...Object.fromEntries(spied) }
    },

    async close() {
      const ended = new AbortController()
      const late = pause(LAST_SENDING_MS, undefined, { signal: ended.signal }).catch(nothing)
      // An error was already logged.
      await Promise.race([provider.shutdown().catch(nothing), late])
      ended.abort()
    },
  }

  function tracedPort<Port extends object>(name: string, port: Port): Port {
    const methods = Object.entries(port).map(([method, run]) => [
      method,
      typeof run === 'function' ? tracedMethod(`${name}.${method}`, run.bind(port)) : run,
    ])
    return Object.fromEntries(methods) as Port
  }

  /** Work in the background of the server itself has no span. Neither has a result that is there at once. */
  function tracedMethod(name: string, run: (...args: unknown[]) => unknown) {
    return (...args: unknown[]) => {
      if (!trace.getActiveSpan()?.isRecording()) return run(...args)
      const span = tracer.startSpan(name)
      const result = run(...args)
      if (!(result instanceof Promise)) return result
      return result.then(
        (value) => {
          span.end()
          return value
        },
        (error: unknown) => {
          span.setAttribute('error.type', String((error as { code?: unknown }).code ?? (error as Error).name))
          span.setStatus({ code: SpanStatusCode.ERROR }).end()
          throw error
        },
      )
    }
  }
}

/** Exports only what `allowed` lets through, and logs once that the collector fails, and once that it works again. */
function watched(exporter: SpanExporter, warn: (fields: object, message: string) => void): SpanExporter {
  let failing = false
  return {
    export(spans, done) {
      exporter.export(spans.map(allowed), (result) => {
        const failed = result.error !== undefined
        if (failed && !failing) {
          const { code, message } = result.error as Error & { code?: unknown }
          warn({ cause: code ?? message }, 'sending traces failed: they are dropped until the collector takes some')
        }
        if (!failed && failing) warn({}, 'the collector takes traces again')
        failing = failed
        done(result)
      })
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  }
}

const ATTRIBUTES = new Set([
  ...['http.request.method', 'http.route', 'http.response.status_code', 'client.address', 'error.type'],
  ...['request.id', 'request.aborted', 'request.bytes', 'response.bytes'],
])

/** An allow-list: what a package notes about a request by itself, such as its URL or the message of an error, is never sent. */
function allowed(span: ReadableSpan): ReadableSpan {
  const known = Object.entries(span.attributes).filter(([name]) => ATTRIBUTES.has(name))
  // A refusal with a 4xx is no error of the server, and has no type.
  const code = span.attributes['error.type'] === undefined ? SpanStatusCode.UNSET : SpanStatusCode.ERROR
  return Object.create(span, {
    attributes: { value: Object.fromEntries(known) },
    status: { value: { code } },
    events: { value: [] },
  })
}
