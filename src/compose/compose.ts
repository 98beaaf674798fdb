/** Settings to ports: here engines are chosen and opened. Only this file, and the folder of its name, know adapters. */
import { access } from 'node:fs/promises'
import type { FastifyBaseLogger } from 'fastify'
import { consoleDelivery } from '../adapters/delivery/console.ts'
import { diskBlobs } from '../adapters/disk/blobs.ts'
import { tellingFaults } from '../adapters/disk/faults.ts'
import { memoryCounter } from '../adapters/memory/counter.ts'
import { memoryPendingPins } from '../adapters/memory/pending-pins.ts'
import { redisCounter } from '../adapters/redis/counter.ts'
import { redisPendingPins } from '../adapters/redis/pending-pins.ts'
import { sqliteActivity } from '../adapters/sqlite/activity.ts'
import { sqliteCensus } from '../adapters/sqlite/census.ts'
import {
  type Database,
  databaseCheck,
  holdFolder,
  openBeside,
  openDatabase,
  openReadOnly,
  shareFolder,
} from '../adapters/sqlite/database.ts'
import { sqliteFiles } from '../adapters/sqlite/files.ts'
import { type Act, groupCommit } from '../adapters/sqlite/group-commit.ts'
import { sqliteKeySlots } from '../adapters/sqlite/key-slots.ts'
import { sqliteLedger, sqliteLedgerBeside } from '../adapters/sqlite/ledger.ts'
import { sqlitePinLedger } from '../adapters/sqlite/pin-ledger.ts'
import { diskReserve } from '../adapters/sqlite/reserve.ts'
import { sqliteSessions } from '../adapters/sqlite/sessions.ts'
import { sqliteTrash } from '../adapters/sqlite/trash.ts'
import { sqliteUsers } from '../adapters/sqlite/users.ts'
import { type Config, checkDelivery } from '../config/config.ts'
import type { OperatorPorts } from '../ports/operator.ts'
import type { Alarm, Chance, Clock, Ports } from '../ports/ports.ts'
import { makeMasterKey, masterKeysOf, missingMasterKey } from './master-keys.ts'
import { engines, naming } from './opening.ts'
import { databasePlace } from './telling.ts'

/** Opens every engine that the settings choose. Throws, and lets go of what it opened, where one cannot be had. */
export async function compose(config: Config, log: FastifyBaseLogger, clock: Clock, chance: Chance): Promise<Ports> {
  checkDelivery(config)
  const { opened, close } = engines()
  try {
    const database = await databaseOf(config, log, opened)
    const blobs = await blobsOf(config, clock)
    opened.push(blobs.close)
    const { repositories, ledger, room } = database
    const isNew = config.READ_ONLY === 'off' && (await repositories.keySlots.countByKey()).size === 0
    const { delivery, stopWaiting } = await deliveryOf(config, log, clock)
    opened.push(stopWaiting)
    const { pendingPins, counter, checks, letGo } = await passingOf(config, log, clock)
    opened.push(letGo)
    const masterKeys = masterKeysOf(config, (path) => (isNew ? makeMasterKey(path, log) : missingMasterKey(path)))
    return {
      ...repositories,
      ledger,
      blobs,
      room,
      pendingPins,
      delivery,
      mailCounter: counter,
      requestCounter: counter,
      clock,
      chance,
      alarm: (err, doing) => log.error({ err }, `${doing} failed`),
      masterKeys,
      checks: {
        ...database.checks,
        uploads: blobs.check,
        ...checks,
      },
      stopWaiting,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function databaseOf(config: Config, log: FastifyBaseLogger, opened: (() => unknown)[]) {
  const readOnly = config.READ_ONLY === 'on'
  if (config.DATABASE_URL) return shared(config.DATABASE_URL, readOnly, opened)
  return readOnly ? untouched(config.DATA_DIR, opened) : embedded(config.DATA_DIR, log, opened)
}

/** SQLite in a folder, which is this process's alone, with the room that a full disk's deletes need. */
function embedded(folder: string, log: FastifyBaseLogger, opened: (() => unknown)[]) {
  const { db, reserve } = naming('DATA_DIR', folder, () => {
    opened.push(holdFolder(folder))
    const reserve = diskReserve(folder, (message) => log.warn(message))
    const checking = () => log.warn('the last stop was not clean: checking the database')
    return { reserve, db: reserve.rescue(() => openDatabase(folder, checking)) }
  })
  opened.push(() => db.close())
  const act = groupCommit(db, reserve.rescue)
  return {
    repositories: repositoriesOf(db, act),
    ledger: sqliteLedger(db, act, true),
    room: reserve.take,
    checks: { database: databaseCheck(db, folder), space: reserve.take },
  }
}

/** SQLite in a folder where nobody writes for as long as this process lives. */
function untouched(folder: string, opened: (() => unknown)[]) {
  const db = naming('DATA_DIR', folder, () => {
    const found = openReadOnly(folder)
    opened.push(() => found.close())
    const letGo = shareFolder(folder)
    if (!letGo) throw new Error('another server is using it, and it writes; stop that one first')
    opened.push(letGo)
    return found
  })
  const act = groupCommit(db)
  return {
    repositories: repositoriesOf(db, act),
    ledger: sqliteLedger(db, act, false),
    room: async () => {},
    checks: { database: databaseCheck(db, folder) },
  }
}

/** PostgreSQL, which other processes may be using. Its driver is not loaded where it is not wanted. */
async function shared(url: string, readOnly: boolean, opened: (() => unknown)[]) {
  const { openPostgres, openPostgresReadOnly } = await import('../adapters/postgres/engine.ts')
  const open = readOnly ? openPostgresReadOnly : openPostgres
  const engine = await naming('DATABASE_URL', databasePlace(url), () => open(url))
  opened.push(engine.close)
  return { ...engine, room: async () => {}, checks: { database: engine.check } }
}

/**
 * The same for the operator's commands, beside a server or without one. Makes nothing and changes no schema; throws
 * where there is no vault. The master keys are looked for when they are asked for: not every command needs them.
 */
export async function composeBeside(
  config: Config,
  clock: Clock,
  chance: Chance,
  alarm: Alarm,
): Promise<OperatorPorts> {
  const { opened, close } = engines()
  try {
    const database = config.DATABASE_URL
      ? await sharedBeside(config.DATABASE_URL, opened)
      : embeddedBeside(config.DATA_DIR, opened)
    const blobs = await blobsBeside(config, clock)
    opened.push(blobs.close)
    const counter = memoryCounter(clock)
    return {
      ...database.repositories,
      ledger: database.ledger,
      blobs,
      room: async () => {},
      pendingPins: memoryPendingPins(clock),
      delivery: { mode: 'response' },
      mailCounter: counter,
      requestCounter: counter,
      clock,
      chance,
      alarm,
      get masterKeys() {
        return masterKeysOf(config, missingMasterKey)
      },
      checks: {},
      stopWaiting: async () => {},
      census: () => database.census(clock()),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function embeddedBeside(folder: string, opened: (() => unknown)[]) {
  const db = openBeside(folder)
  opened.push(() => db.close())
  const act = groupCommit(db)
  return {
    repositories: repositoriesOf(db, act),
    ledger: sqliteLedgerBeside(db, act, folder),
    census: async (now: number) => sqliteCensus(db, now),
  }
}

async function sharedBeside(url: string, opened: (() => unknown)[]) {
  const { openPostgresBeside } = await import('../adapters/postgres/engine.ts')
  const engine = await naming('DATABASE_URL', databasePlace(url), () => openPostgresBeside(url))
  opened.push(engine.close)
  return engine
}

function repositoriesOf(db: Database, act: Act) {
  return {
    users: sqliteUsers(db, act),
    keySlots: sqliteKeySlots(db, act),
    sessions: sqliteSessions(db, act),
    pinLedger: sqlitePinLedger(db, act),
    activity: sqliteActivity(db, act),
    files: sqliteFiles(db, act),
    trash: sqliteTrash(db, act),
  }
}

/** Where the files are. The folder is made where it is missing. */
export async function blobsOf(config: Config, clock: Clock) {
  return (
    (await bucketOf(config, clock)) ??
    tellingFaults(
      await naming('UPLOADS_DIR', config.UPLOADS_DIR, () =>
        diskBlobs(config.UPLOADS_DIR, { shared: config.DATABASE_URL !== undefined }),
      ),
    )
  )
}

async function blobsBeside(config: Config, clock: Clock) {
  const bucket = await bucketOf(config, clock)
  if (bucket) return bucket
  await naming('UPLOADS_DIR', config.UPLOADS_DIR, () => access(config.UPLOADS_DIR))
  return diskBlobs(config.UPLOADS_DIR, { shared: true })
}

/** The bucket of the settings, if they name one. */
async function bucketOf(config: Config, clock: Clock) {
  const { S3_BUCKET, S3_ENDPOINT, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_FORCE_PATH_STYLE } = config
  if (S3_BUCKET === undefined) return null
  const { s3Blobs } = await import('../adapters/s3/blobs.ts')
  const settings = {
    bucket: S3_BUCKET,
    endpoint: S3_ENDPOINT as string,
    region: S3_REGION,
    accessKeyId: S3_ACCESS_KEY_ID as string,
    secretAccessKey: S3_SECRET_ACCESS_KEY as string,
    forcePathStyle: ['true', 'on'].includes(S3_FORCE_PATH_STYLE),
  }
  return s3Blobs(settings, clock)
}

/** What may be forgotten: pending PINs, and counts of mails and requests. */
async function passingOf({ REDIS_URL }: Config, log: FastifyBaseLogger, clock: Clock) {
  if (!REDIS_URL) {
    return { pendingPins: memoryPendingPins(clock), counter: memoryCounter(clock), checks: {}, letGo: () => {} }
  }
  const { redisConnection } = await import('../adapters/redis/connection.ts')
  const redis = await redisConnection(REDIS_URL, (message) => log.warn(message))
  return {
    pendingPins: redisPendingPins(redis, clock),
    counter: redisCounter(redis, clock),
    checks: { redis: redis.check },
    letGo: redis.close,
  }
}

async function deliveryOf(config: Config, log: FastifyBaseLogger, clock: Clock) {
  const { PIN_DELIVERY: mode, SMTP_URL: url = '', MAIL_FROM: from = '' } = config
  const nothing = async () => {}
  if (mode === 'response') return { delivery: { mode }, stopWaiting: nothing }
  if (mode === 'email') {
    const { emailDelivery } = await import('../adapters/delivery/email.ts')
    const delivery = emailDelivery({ url, from }, clock, (fields, message) => log.warn(fields, message))
    return { delivery, stopWaiting: delivery.close }
  }
  // Whatever the level of the log, this mode is for reading PINs there.
  const out = log.child({}, { level: 'info' })
  return { delivery: consoleDelivery((fields, message) => out.info(fields, message)), stopWaiting: nothing }
}
