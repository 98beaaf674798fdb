/** The process: settings, ports, app, listen; and close on a signal. */
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { fstatSync, writeSync } from 'node:fs'
import { createServer } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import closeWithGrace from 'close-with-grace'
import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'
import { buildApp } from './app.ts'
import { compose } from './compose/compose.ts'
import { foldersAnswer } from './compose/folders.ts'
import { closeToOthers } from './compose/modes.ts'
import { httpRulesOf, requestLimitsOf, rulesOf } from './compose/rules.ts'
import { adaptersOf, placesOf, warningsOf } from './compose/telling.ts'
import { type Config, ConfigError, readConfig, readEnvFile, unknownSettings } from './config/config.ts'
import { cryptographicChance } from './vault/crypto/secrets.ts'
import { openVault } from './vault/vault.ts'
import { VERSION } from './version.ts'

/** How long requests under way may take to finish once the process was told to stop. */
const GRACE_MS = 10_000
/** Ctrl-C reaches the server twice under npm: from the terminal, and passed on by npm. A person takes longer to press it again. */
const TWICE_MS = 1000
/** A folder on a file server that is away may not answer for hours. */
const SILENCE_MS = 5000

/**
 * By how much of itself, in percent, the heap may grow before it is collected in full. It is small here, and the bytes of
 * transfers count as if they were in it: with V8's own choice a full collection comes after every few MiB of transfer, for
 * good, once there were many at a time, and doubles what each costs.
 */
const HEAP_GROWTH_PERCENT = 220
setFlagsFromString(`--heap-growing-percent=${HEAP_GROWTH_PERCENT}`)

try {
  const file = readEnvFile('.env')
  await serve(readConfig({ ...file, ...process.env }), unknownSettings(file))
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : startFailure(error)}\n`)
  process.exit(1)
}

async function serve(config: Config, unknown: string[]) {
  const log = pino({ level: config.LOG_LEVEL, base: null }, logStream())
  log.info(`minikeepsafe ${VERSION} on Node ${process.versions.node}`)
  const http = httpRulesOf(config)
  // For this name the framework opens a second server on the other address, which our plugins would not hear of.
  const host = config.HOST === 'localhost' ? (await lookup(config.HOST)).address : config.HOST
  await checkFree(host, config.PORT)
  await foldersAnswer(config, SILENCE_MS, (message) => log.warn(message))
  const ports = await compose(config, log, Date.now, cryptographicChance)
  const limits = requestLimitsOf(config, ports)
  const app = await buildApp(await openVault(ports, rulesOf(config)), log, { ...http, limits })
  const stopping = closeWithGrace({ delay: GRACE_MS, skip: ['SIGINT', 'SIGTERM'] }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'closing after an unexpected error')
    else if (signal) log.info(`closing on ${signal}`)
    await app.close()
  })
  stopOnSignals(log, stopping.close)

  await app.listen({
    host,
    port: config.PORT,
    listenTextResolver: (url) => `listening on ${url} (Swagger UI at ${url}/docs)`,
  })
  log.info(placesOf(config))
  log.info(`using ${adaptersOf(config)}`)
  for (const warning of [...warningsOf(config), ...closeToOthers(config)]) log.warn(warning)
  if (unknown.length > 0) log.warn(`.env has settings that this version does not know: ${unknown.join(', ')}`)
}

/** Stops cleanly on the first signal, and at once on one that comes later. */
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
}

/** Throws where the server could not listen, before anything is made on the disk. */
async function checkFree(host: string, port: number): Promise<void> {
  const probe = createServer().listen({ host, port, exclusive: true })
  await once(probe, 'listening')
  probe.close()
  await once(probe, 'close')
}

/** Readable lines for a person at a terminal, JSON lines for everything else. */
function logStream() {
  if (process.stdout.isTTY) return pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' })
  return fstatSync(1).isFile() ? { write: writeLine } : process.stdout
}

/** Into a file, where a stream would end with its first fault: on a full disk lines are lost, and no more than that. */
function writeLine(line: string) {
  try {
    writeSync(1, line)
  } catch {
    // There is no other place to tell it.
  }
}

function startFailure(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `The server cannot start: the port is in use. Choose another with PORT. (${message})`
  if (code === 'ENOTFOUND' || code === 'EADDRNOTAVAIL') {
    return `The server cannot start: HOST is no address of this machine. (${message})`
  }
  return `The server cannot start: ${message ?? error}`
}
