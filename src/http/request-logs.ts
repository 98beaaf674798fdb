/**
 * Two loggers for each request: `logOf(request)` for our own code, and `request.log` for the framework and its plugins. The
 * second one is restricted, because those would log headers with tokens and URLs with file names.
 */
import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger, FastifyRequest, FastifyServerOptions } from 'fastify'
import { stdSerializers } from 'pino'

const loggers = new WeakMap<IncomingMessage, () => FastifyBaseLogger>()

const added = new WeakMap<IncomingMessage, object>()

/** Adds fields to every later line about the request. Call it before the first one. */
export function addToLog(request: FastifyRequest, fields: object): void {
  added.set(request.raw, fields)
}

/** The logger of a request, for our own code. Its lines have the request id. */
export function logOf(request: FastifyRequest): FastifyBaseLogger {
  return loggers.get(request.raw)?.() ?? request.log
}

/**
 * Loggers for the framework and its plugins. For a request, only warnings and errors are logged, with the name, code and stack
 * frames of the error. Messages, fields, URLs and lower levels are not logged.
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
      own ??= log.child({ ...bindings, ...added.get(raw) }, { serializers: { err: errorFields } })
      return own
    }
    loggers.set(raw, make)
    return restricted(log.level, make)
  }
  // For lines of the server itself, such as the address that it listens on.
  return { loggerInstance: isVerbose ? log.child({}, { level: 'info' }) : log, childLoggerFactory }
}

function restricted(level: string, own: () => FastifyBaseLogger): FastifyBaseLogger {
  const nothing = () => {}
  const logError = (as: 'warn' | 'error' | 'fatal') => (first: unknown) => {
    const error = first instanceof Error ? first : (first as { err?: unknown } | null)?.err
    own()[as](
      { dependency: error instanceof Error ? traceOf(error) : null },
      'the framework or a plugin reported a problem',
    )
  }
  const logger: FastifyBaseLogger = {
    level,
    silent: nothing,
    trace: nothing,
    debug: nothing,
    info: nothing,
    warn: logError('warn'),
    error: logError('error'),
    fatal: logError('fatal'),
    child: () => logger,
  }
  return logger
}

/** The name, code and stack frames of an error, without its message, which may quote a request. */
function traceOf({ name, message, stack = '', code }: Error & { code?: unknown }) {
  const frames = stack
    .slice(stack.indexOf(message) + message.length)
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
  return { name, code, frames }
}

/** Logs only these fields: other fields of an error may contain bytes of a request. */
function errorFields(error: Error) {
  const { type, message, stack, code } = stdSerializers.err(error) as ReturnType<typeof stdSerializers.err> & {
    code?: unknown
  }
  return { type, message, stack, code }
}
