/**
 * Two logs for each request: `logOf(request)` for our own code, and `request.log` for the framework and its plugins, which would
 * write headers, with tokens, and URLs, with names.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger, FastifyRequest, FastifyServerOptions } from 'fastify'
import { stdSerializers } from 'pino'

const makers = new WeakMap<IncomingMessage, () => FastifyBaseLogger>()

/** The log of a request, for our own code. Its lines have the request's id. */
export function logOf(request: FastifyRequest): FastifyBaseLogger {
  return makers.get(request.raw)?.() ?? request.log
}

/**
 * Loggers for the framework and its plugins, over this log. Of what they write about a request, a warning or an error becomes
 * a line with the kind of the error and where it was thrown; no message, field or URL, and nothing of a lower level.
 */
export function dependencyLogs(log: FastifyBaseLogger) {
  const isVerbose = ['trace', 'debug'].includes(log.level)
  const childLoggerFactory: NonNullable<FastifyServerOptions['childLoggerFactory']> = (
    _parent,
    bindings,
    _options,
    raw,
  ) => {
    let own: FastifyBaseLogger | undefined
    const make = () => {
      own ??= log.child(bindings, { serializers: { err: errorFields } })
      return own
    }
    makers.set(raw, make)
    return reticent(log.level, make)
  }
  // Lines of the server itself, such as the address on which it listens.
  return { loggerInstance: isVerbose ? log.child({}, { level: 'info' }) : log, childLoggerFactory }
}

function reticent(level: string, own: () => FastifyBaseLogger): FastifyBaseLogger {
  const nothing = () => {}
  const telling = (as: 'warn' | 'error' | 'fatal') => (first: unknown) => {
    const error = first instanceof Error ? first : (first as { err?: unknown } | null)?.err
    own()[as]({ dependency: error instanceof Error ? traceOf(error) : null }, 'the framework or a plugin complains')
  }
  const logger: FastifyBaseLogger = {
    level,
    silent: nothing,
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: telling('warn'),
    error: telling('error'),
    fatal: telling('fatal'),
    child: () => logger,
  }
  return logger
}

/** What an error is and where it comes from, without its message, which may quote a request. */
function traceOf({ name, message, stack = '', code }: Error & { code?: unknown }) {
  const frames = stack
    .slice(stack.indexOf(message) + message.length)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
  return { name, code, frames }
}

/** Errors carry what they please, such as bytes of a request: these fields alone are written. */
function errorFields(error: Error) {
  const { type, message, stack, code } = stdSerializers.err(error) as ReturnType<typeof stdSerializers.err> & {
    code?: unknown
  }
  return { type, message, stack, code }
}
