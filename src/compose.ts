/** Settings to ports: the one file that names adapters. */
import { join, resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { consoleDelivery } from './adapters/delivery/console.ts'
import { diskBlobs } from './adapters/disk/blobs.ts'
import { tellingFaults } from './adapters/disk/faults.ts'
import { makeKeyFile, readKeyFile } from './adapters/disk/key-file.ts'
import { memoryPendingPins } from './adapters/memory/pending-pins.ts'
import { databaseCheck, holdFolder, openDatabase } from './adapters/sqlite/database.ts'
import { sqliteFiles } from './adapters/sqlite/files.ts'
import { groupCommit } from './adapters/sqlite/group-commit.ts'
import { sqliteKeySlots } from './adapters/sqlite/key-slots.ts'
import { sqliteLedger } from './adapters/sqlite/ledger.ts'
import { diskReserve } from './adapters/sqlite/reserve.ts'
import { sqliteSessions } from './adapters/sqlite/sessions.ts'
import { sqliteTrash } from './adapters/sqlite/trash.ts'
import { sqliteUsers } from './adapters/sqlite/users.ts'
import type { Config } from './config.ts'
import type { Chance, Clock, KeySlotRepository, MasterKeys, PinDelivery, Ports, VaultRules } from './ports.ts'

const SECOND_MS = 1000
const DAY_MS = 24 * 60 * 60 * SECOND_MS

/** Opens every engine that the settings choose. Throws, and lets go of what it opened, where one cannot be had. */
export async function compose(config: Config, log: FastifyBaseLogger, clock: Clock, chance: Chance): Promise<Ports> {
  const opened: (() => unknown)[] = []
  const close = async () => {
    for (const letGo of opened.splice(0).reverse()) await letGo()
  }
  try {
    const { db, reserve } = naming('DATA_DIR', config.DATA_DIR, () => {
      opened.push(holdFolder(config.DATA_DIR))
      const reserve = diskReserve(config.DATA_DIR, (message) => log.warn(message))
      const checking = () => log.warn('the last stop was not clean: checking the database')
      return { reserve, db: reserve.rescue(() => openDatabase(config.DATA_DIR, checking)) }
    })
    opened.push(() => db.close())
    const blobs = await naming('UPLOADS_DIR', config.UPLOADS_DIR, () => diskBlobs(config.UPLOADS_DIR))
    opened.push(blobs.close)
    const act = groupCommit(db, reserve.rescue)
    const keySlots = sqliteKeySlots(db, act)
    const masterKeys = await masterKeysOf(config, keySlots, log)
    return {
      users: sqliteUsers(db, act),
      keySlots,
      sessions: sqliteSessions(db, act),
      files: sqliteFiles(db, act),
      trash: sqliteTrash(db, act),
      ledger: sqliteLedger(db, act, true),
      blobs: tellingFaults(blobs),
      room: reserve.take,
      pendingPins: memoryPendingPins(clock),
      delivery: deliveryOf(config, log),
      clock,
      chance,
      alarm: (err, doing) => log.error({ err }, `${doing} failed`),
      masterKeys,
      checks: {
        database: databaseCheck(db, config.DATA_DIR),
        uploads: blobs.check,
        space: reserve.take,
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
    quotaBytes: config.QUOTA_BYTES ?? null,
    trashMs: config.TRASH_DAYS * DAY_MS,
  }
}

/** Where the settings name no key: the one beside the database, made while there is nothing yet that it could not open. */
async function masterKeysOf(config: Config, slots: KeySlotRepository, log: FastifyBaseLogger): Promise<MasterKeys> {
  if (config.MASTER_KEY && config.MASTER_KEY_FILE) throw new Error('give MASTER_KEY or MASTER_KEY_FILE, not both')
  const previous = (config.MASTER_KEY_PREVIOUS ?? '').split(',').filter((text) => text.trim() !== '')
  return {
    current: keyIn(await currentKey(), config.MASTER_KEY ? 'MASTER_KEY' : 'the master key file'),
    previous: previous.map((text) => keyIn(text, 'a key in MASTER_KEY_PREVIOUS')),
  }

  async function currentKey(): Promise<string> {
    if (config.MASTER_KEY) return config.MASTER_KEY
    const path = config.MASTER_KEY_FILE ?? join(config.DATA_DIR, 'master.key')
    const text = readKeyFile(path)
    if (text !== null) return text
    if (config.MASTER_KEY_FILE) throw new Error(`MASTER_KEY_FILE is ${path}, and there is no such file`)
    if ((await slots.countByKey()).size > 0) {
      throw new Error(
        `the master key ${path} is missing; without it nothing in this vault opens. Put it back, or give MASTER_KEY or MASTER_KEY_FILE`,
      )
    }
    log.warn(
      `made a master key: ${resolve(path)}. Keep a copy of it in another place: without it every file is lost, and while it lies beside the files, whoever has this disk can read them`,
    )
    return makeKeyFile(path)
  }
}

/** Never shows what it was given. */
function keyIn(text: string, source: string): Buffer {
  const key = Buffer.from(text.trim(), 'base64')
  if (key.length !== 32 || !/^[A-Za-z0-9+/_-]{43}=?$/.test(text.trim())) {
    throw new Error(`${source} must be 32 bytes in base64, such as openssl rand -base64 32 makes`)
  }
  return key
}

/** What is in use, for the operator who reads the first lines of the log. */
export function adaptersOf(config: Config): string {
  return `SQLite, pending PINs in memory, sealed files on disk, PIN delivery by ${config.PIN_DELIVERY}`
}

/** What the operator must not overlook before strangers can reach the server. */
export function warningsOf(config: Config): string[] {
  const mode = {
    response: 'PIN_DELIVERY=response: whoever registers an address reads the PIN in the answer and proves nothing',
    console: 'PIN_DELIVERY=console: PINs stand in this log, and whoever knows an address can go on guessing new ones',
  }[config.PIN_DELIVERY]
  return [
    `not fit for production: ${mode}`,
    ...(config.MASTER_KEY || config.MASTER_KEY_FILE
      ? []
      : ['not fit for production: the master key lies in DATA_DIR, so whoever has the disk can read all contents']),
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
