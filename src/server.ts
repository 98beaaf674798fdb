/** The process: settings, ports, app, listen; and close on a signal. */
import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import { buildApp } from './app.ts'
import { adaptersOf, compose, rulesOf, warningsOf } from './compose.ts'
import { type Config, ConfigError, environmentWithFile, readConfig } from './config.ts'
import { cryptographicChance } from './vault/secrets.ts'
import { openVault } from './vault/vault.ts'

/** How long requests under way may take to finish once the process was told to stop. */
const GRACE_MS = 10_000

try {
  await serve(readConfig(environmentWithFile(process.env)))
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : startFailure(error)}\n`)
  process.exit(1)
}

async function serve(config: Config) {
  const log = pino({ level: config.LOG_LEVEL, base: null }, logStream())
  const ports = await compose(config, log, Date.now, cryptographicChance)
  const app = await buildApp(await openVault(ports, rulesOf(config)), log)
  closeWithGrace({ delay: GRACE_MS }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'closing after an unexpected error')
    else log.info(`closing on ${signal}`)
    await app.close()
  })

  await app.listen({
    host: config.HOST,
    port: config.PORT,
    listenTextResolver: (url) => `listening on ${url} (Swagger UI at ${url}/docs)`,
  })
  log.info(`data in ${config.DATA_DIR}, files in ${config.UPLOADS_DIR}`)
  log.info(`using ${adaptersOf(config)}`)
  for (const warning of warningsOf(config)) log.warn(warning)
}

/** Readable lines for a person at a terminal, JSON lines for everything else. */
function logStream() {
  return process.stdout.isTTY ? pretty({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' }) : process.stdout
}

function startFailure(error: unknown): string {
  const { message, code } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE')
    return `The server cannot start: the port is in use. Choose another with PORT. (${message})`
  return `The server cannot start: ${message ?? error}`
}
