/** Settings to ports: the one file that names adapters. */
import { randomBytes } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { consoleDelivery } from './adapters/delivery/console.ts'
import { diskBlobs } from './adapters/disk/blobs.ts'
import { memoryPendingPins } from './adapters/memory/pending-pins.ts'
import { holdFolder, openDatabase } from './adapters/sqlite/database.ts'
import { sqliteFiles } from './adapters/sqlite/files.ts'
import { groupCommit } from './adapters/sqlite/group-commit.ts'
import { sqliteLedger } from './adapters/sqlite/ledger.ts'
import { sqliteSessions } from './adapters/sqlite/sessions.ts'
import { sqliteUsers } from './adapters/sqlite/users.ts'
import type { Config } from './config.ts'
import type { Chance, Clock, PinDelivery, Ports, VaultRules } from './ports.ts'

const SECOND_MS = 1000
const DAY_MS = 24 * 60 * 60 * SECOND_MS

/** Opens every engine that the settings choose. Throws, and lets go of what it opened, where one cannot be had. */
export async function compose(config: Config, log: FastifyBaseLogger, clock: Clock, chance: Chance): Promise<Ports> {
  const opened: (() => unknown)[] = []
  const close = async () => {
    for (const letGo of opened.splice(0).reverse()) await letGo()
  }
  try {
    const db = naming('DATA_DIR', config.DATA_DIR, () => {
      opened.push(holdFolder(config.DATA_DIR))
      return openDatabase(config.DATA_DIR)
    })
    opened.push(() => db.close())
    const blobs = await naming('UPLOADS_DIR', config.UPLOADS_DIR, () => diskBlobs(config.UPLOADS_DIR))
    opened.push(blobs.close)
    const act = groupCommit(db)
    const ping = db.prepare('SELECT 1 FROM users')
    return {
      users: sqliteUsers(db),
      sessions: sqliteSessions(db, act),
      files: sqliteFiles(db, act),
      ledger: sqliteLedger(db, act),
      blobs,
      pendingPins: memoryPendingPins(clock),
      delivery: deliveryOf(config, log),
      clock,
      chance,
      alarm: (err, doing) => log.error({ err }, `${doing} failed`),
      // Pending PINs live in this process alone, so their key may too.
      pinKey: randomBytes(32),
      checks: {
        database: async () => void ping.get(),
        uploads: blobs.check,
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** What goes wrong with a folder is told with the setting that names it. */
function naming<T>(setting: string, folder: string, act: () => T): T {
  const named = (cause: unknown) =>
    new Error(`${setting} is ${folder}, which cannot be used: ${(cause as Error).message}`, { cause })
  try {
    const result = act()
    return result instanceof Promise ? (result.catch((cause) => Promise.reject(named(cause))) as T) : result
  } catch (cause) {
    throw named(cause)
  }
}

export function rulesOf(config: Config): VaultRules {
  return {
    pinTtlMs: config.PIN_TTL_SECONDS * SECOND_MS,
    pinMaxAttempts: config.PIN_MAX_ATTEMPTS,
    sessionTtlMs: config.SESSION_TTL_DAYS * DAY_MS,
    sessionMaxMs: config.SESSION_MAX_DAYS * DAY_MS,
    maxFileBytes: config.MAX_FILE_BYTES,
  }
}

/** What is in use, for the operator who reads the first lines of the log. */
export function adaptersOf(config: Config): string {
  return `SQLite, pending PINs in memory, files on disk, PIN delivery by ${config.PIN_DELIVERY}`
}

/** What the operator must not overlook before strangers can reach the server. */
export function warningsOf(config: Config): string[] {
  const mode = {
    response: 'PIN_DELIVERY=response: whoever registers an address reads the PIN in the answer and proves nothing',
    console: 'PIN_DELIVERY=console: PINs stand in this log, and whoever knows an address can go on guessing new ones',
  }[config.PIN_DELIVERY]
  return [
    `not fit for production: ${mode}`,
    'not fit for production: contents are stored as they are, so whoever has the disk can read them',
    'not fit for production: there is no rate limit',
    ...(['127.0.0.1', '::1', 'localhost'].includes(config.HOST)
      ? []
      : [`not fit for production: ${config.HOST} is reachable from other machines over plain HTTP`]),
  ]
}

function deliveryOf(config: Config, log: FastifyBaseLogger): PinDelivery {
  if (config.PIN_DELIVERY === 'response') return { mode: 'response' }
  // Whatever the level of the log, this mode is for reading PINs there.
  const out = log.child({}, { level: 'info' })
  return consoleDelivery((fields, message) => out.info(fields, message))
}
