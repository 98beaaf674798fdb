/** The server process: reads the settings, opens the ports, builds the app, listens, and closes on a signal. */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { existsSync, fstatSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { type Logger, pino } from 'pino'
import { buildApp } from './app.ts'
import { compose } from './compose/compose.ts'
import { foldersAnswer } from './compose/folders.ts'
import { closeToOthers } from './compose/modes.ts'
import { BACKLOG, httpRulesOf, requestLimitsOf, rulesOf } from './compose/rules.ts'
import { adaptersOf, placesOf, warningsOf } from './compose/startup-log.ts'
import {
  type Config,
  ConfigError,
  isTracingOff,
  passToOpenTelemetry,
  readConfig,
  readEnvFile,
  unknownSettings,
} from './config/config.ts'
import { cryptographicChance } from './vault/crypto/secrets.ts'
import { openVault } from './vault/vault.ts'
import { VERSION } from './version.ts'

/** How long the engines may take to close after the last request has ended. */
const CLOSING_MS = 10_000
/** Under npm, Ctrl-C reaches the server twice: from the terminal and from npm. A second press by a person comes later than this. */
const TWICE_MS = 1000
/** A folder that does not answer for this time is logged: a file server that is down may not answer for hours. */
const SILENCE_MS = 5000

/**
 * Signals that a defect of the process itself raises, such as SIGBUS when the disk below SQLite's shared memory fails. With a
 * listener the process would repeat the failed instruction forever. Without one it ends, and its supervisor starts it again.
 */
const OF_DEFECTS = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGTRAP'] as const

/** Lines of the log that wait for a reader, in characters. */
const MAX_WAITING_LOG = 1024 * 1024
/** pino's number of the level. */
const WARN = 40

/** The build puts the web vault there. */
const WEB_FOLDER = fileURLToPath(new URL('../dist/web/', import.meta.url))

/**
 * The size in percent to which the heap may grow before a full collection. The heap is small here, and V8 counts the bytes of
 * transfers as part of it. With V8's default, after many parallel transfers, a full collection runs every few MiB and doubles
 * the cost of each transfer.
 */
const HEAP_GROWTH_PERCENT = 220
setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)

try {
  const file = readEnvFile('.env')
  passToOpenTelemetry(file, process.env)
  await serve(readConfig({ ...file, ...process.env }), unknownSettings(file))
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : startFailure(error)}\n`)
  process.exit(1)
}

async function serve(config: Config, unknown: string[]) {
  const log = pino({ level: config.LOG_LEVEL, base: null }, await logStream())
  log.info(`minikeepsafe ${VERSION} on Node ${process.versions.node}`)
  const http = httpRulesOf(config)
  // For `localhost` the framework opens a second server on the other address, and our plugins would not see its connections.
  const host = config.HOST === 'localhost' ? (await lookup(config.HOST)).address : config.HOST
  await checkFree(host, config.PORT)
  if (config.METRICS === 'on') await checkFree(config.METRICS_HOST, config.METRICS_PORT)
  await foldersAnswer(config, SILENCE_MS, (message) => log.warn(message))
  const opened = await compose(config, log, Date.now, cryptographicChance)
  const tracing = await tracingOf(config, log)
  const ports = tracing?.traced(opened) ?? opened
  const limits = requestLimitsOf(config, ports)
  const web = config.WEB === 'on' ? WEB_FOLDER : null
  const app = await buildApp(await openVault(ports, rulesOf(config)), log, {
    ...http,
    limits,
    web,
    tracing: tracing?.provider ?? null,
  })
  const stopping = closeWithGrace(
    { delay: http.lingerMs + http.graceMs + CLOSING_MS, skip: ['SIGHUP', 'SIGINT', 'SIGTERM', ...OF_DEFECTS] },
    async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'closing after an unexpected error')
      else if (signal) log.info(`closing on ${signal}`)
      app.vault.drain()
      // While a proxy can still connect, its connections stay open, so that it makes few new ones: closing the port resets those
      // that the process has not accepted yet.
      if (http.lingerMs > 0) await pause(Math.min(http.lingerMs, http.graceMs))
      await app.close()
      await tracing?.close()
    },
  )
  stopOnSignals(log, stopping.close)

  await app.listen({
    host,
    port: config.PORT,
    backlog: BACKLOG,
    listenTextResolver: (url) =>
      `listening on ${url} (${web === null ? '' : `web vault at ${url}/, `}Swagger UI at ${url}/docs)`,
  })
  log.info(placesOf(config))
  log.info(`using ${adaptersOf(config)}`)
  for (const warning of [...warningsOf(config), ...closeToOthers(config)]) log.warn(warning)
  if (web !== null && !existsSync(join(web, 'index.html'))) {
    log.warn('the web vault was not built, so / is a short page; npm run build does it')
  }
  if (unknown.length > 0) log.warn(`.env has settings that this version does not know: ${unknown.join(', ')}`)
}

/** Traces are sent, and OpenTelemetry is loaded, only where a collector is set. */
async function tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT }: Config, log: Logger) {
  if (OTEL_EXPORTER_OTLP_ENDPOINT === undefined || isTracingOff(process.env)) return null
  const { openTracing } = await import('./compose/tracing.ts')
  return openTracing(VERSION, (fields, message) => log.warn(fields, message))
}

/** Stops cleanly on the first signal, and at once on a later second one. */
function stopOnSignals(log: Logger, close: () => void) {
  let first: number | null = null
  const stop = (signal: NodeJS.Signals) => {
    const now = performance.now()
    if (first === null) {
      first = now
      log.info(`closing on ${signal}`)
      close()
    } else if (now - first > TWICE_MS) {
      log.warn(`ending at once on a second ${signal}`)
      process.exit(1)
    }
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  // Where there is no terminal that could be closed, an operator means "read your files again". Node resets the signals that it
  // inherits, so nohup alone would not protect the server either.
  if ([0, 1, 2].some((descriptor) => isatty(descriptor))) process.on('SIGHUP', stop)
  else process.on('SIGHUP', () => log.info('ignoring SIGHUP: settings are read at a start'))
}

/** Throws if the port is not free, before anything is created on the disk. */
async function checkFree(host: string, port: number): Promise<void> {
  const probe = createServer().listen({ host, port, exclusive: true })
  await once(probe, 'listening')
  probe.close()
  await once(probe, 'close')
}

/** Readable lines for a person at a terminal, JSON lines for everything else. */
async function logStream() {
  if (process.stdout.isTTY) {
    const { default: pretty } = await import('pino-pretty')
    return pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
  }
  return { write: fstatSync(1).isFile() ? writeLine : writeToReader() }
}

/**
 * Writes to the reader of a pipe. If the reader is gone or does not read, the server goes on, and lines are lost: waiting ones
 * would fill the memory. A line says how many, once the reader has read the others.
 */
function writeToReader() {
  let lost = 0
  process.stdout.on('error', () => {
    // The log itself has failed, so the error cannot be logged.
  })
  return (line: string) => {
    if (process.stdout.writableLength > MAX_WAITING_LOG) {
      lost++
      return
    }
    if (lost > 0 && process.stdout.writableLength === 0) {
      const msg = `${lost} lines of the log were lost: nothing read them`
      process.stdout.write(`${JSON.stringify({ level: WARN, time: Date.now(), msg })}\n`)
      lost = 0
    }
    process.stdout.write(line)
  }
}

/** Writes to a log file synchronously. A stream would close after its first error. On a full disk only these lines are lost. */
function writeLine(line: string) {
  try {
    writeSync(1, line)
  } catch {
    // The log itself has failed, so the error cannot be logged.
  }
}

function startFailure(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `The server cannot start: the port is in use. Choose another with PORT or METRICS_PORT. (${message})`
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL') {
    return `The server cannot start: HOST or METRICS_HOST is not an address of this machine. (${message})`
  }
  return `The server cannot start: ${message ?? error}`
}
