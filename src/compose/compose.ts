/** Turns settings into a server's ports: each setting chooses an engine. Only files of this folder import adapters. */
import type { FastifyBaseLogger } from 'fastify'
import { consoleDelivery } from '../adapters/delivery/console.ts'
import { diskBlobs } from '../adapters/disk/blobs.ts'
import { mapErrors } from '../adapters/disk/errors.ts'
import { memoryChangeNotices } from '../adapters/memory/change-notices.ts'
import { memoryCounter } from '../adapters/memory/counter.ts'
import { memoryNetworks } from '../adapters/memory/networks.ts'
import { memoryPendingPins } from '../adapters/memory/pending-pins.ts'
import { redisChangeNotices } from '../adapters/redis/change-notices.ts'
import { redisCounter } from '../adapters/redis/counter.ts'
import { redisPendingPins } from '../adapters/redis/pending-pins.ts'
import { openSqlite, openSqliteReadOnly } from '../adapters/sqlite/engine.ts'
import { watchCommits } from '../adapters/write-watch/commit-watch.ts'
import { watchWrites } from '../adapters/write-watch/store-watch.ts'
import { type Config, checkDelivery } from '../config/config.ts'
import type { BlobStore } from '../ports/blobs.ts'
import type { DatabaseEngine } from '../ports/database.ts'
import type { Chance, Clock, Networks, Ports } from '../ports/ports.ts'
import { auditTo } from './audit.ts'
import { bucketOf } from './bucket.ts'
import { disksOf } from './disks.ts'
import { makeMasterKey, masterKeysOf, missingMasterKey } from './master-keys.ts'
import { engines, naming } from './opening.ts'
import { databasePlace } from './startup-log.ts'

/** Readiness checks probe a quiet store at most once in this time. Many S3 stores charge for each write. */
const PROBE_REST_MS = { disk: 1000, s3: 10_000 }

/** Opens every engine that the settings choose. If one cannot be opened, closes the others and throws. */
export async function compose(config: Config, log: FastifyBaseLogger, clock: Clock, chance: Chance): Promise<Ports> {
  checkDelivery(config)
  const { opened, close } = engines()
  try {
    const networks = memoryNetworks()
    const database = watchCommits(await databaseOf(config, log, networks))
    opened.push(database.close)
    const store = await blobsOf(config, clock)
    const blobs =
      config.READ_ONLY === 'on' ? store : watchWrites(store, PROBE_REST_MS[config.S3_BUCKET ? 's3' : 'disk'])
    opened.push(blobs.close)
    const { repositories, ledger, room, shrink } = database
    await refuseEmptyStore(config, repositories.users, blobs)
    const isNew = config.READ_ONLY === 'off' && (await repositories.keySlots.countByKey()).size === 0
    const { delivery, stopWaiting } = await deliveryOf(config, log, clock)
    opened.push(stopWaiting)
    const { pendingPins, counter, changeNotices, checks, close: closeCounters } = await passingOf(config, log, clock)
    opened.push(closeCounters)
    const masterKeys = masterKeysOf(config, (path) => (isNew ? makeMasterKey(path, log) : missingMasterKey(path)))
    return {
      ...repositories,
      ledger,
      blobs,
      room,
      shrink,
      pendingPins,
      delivery,
      mailCounter: counter,
      requestCounter: counter,
      changeNotices,
      networks,
      clock,
      chance,
      alarm: (err, doing) => log.error({ err }, `${doing} failed`),
      audit: auditTo((fields, message) => log.info(fields, message), config.LOG_CLIENT_ADDRESS === 'on'),
      notice: (fields, message) => log.info(fields, message),
      masterKeys,
      checks: {
        ...database.checks,
        uploads: blobs.check,
        ...checks,
      },
      databaseFigures: database.figures,
      disks: disksOf(config),
      stopWaiting,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** PostgreSQL if `DATABASE_URL` is set; only then is its driver loaded. Otherwise SQLite in `DATA_DIR`. */
async function databaseOf(
  { DATABASE_URL: url, DATA_DIR: folder, READ_ONLY }: Config,
  log: FastifyBaseLogger,
  networks: Networks,
): Promise<DatabaseEngine> {
  const readOnly = READ_ONLY === 'on'
  if (!url) {
    const warn = (message: string) => log.warn(message)
    return naming('DATA_DIR', folder, () => (readOnly ? openSqliteReadOnly(folder) : openSqlite(folder, warn)))
  }
  const { openPostgres, openPostgresReadOnly } = await import('../adapters/postgres/engine.ts')
  const open = readOnly ? openPostgresReadOnly : openPostgres
  return naming('DATABASE_URL', databasePlace(url), () => open(url, networks.of))
}

/** The blob store: S3 or the disk. Creates the folder if it is missing. */
export async function blobsOf(config: Config, clock: Clock) {
  return (
    (await bucketOf(config, clock)) ??
    mapErrors(
      await naming('UPLOADS_DIR', config.UPLOADS_DIR, () =>
        diskBlobs(config.UPLOADS_DIR, { shared: config.DATABASE_URL !== undefined, clock }),
      ),
    )
  )
}

/**
 * Throws if the vault has files and the store has none. A disk that is not mounted is an empty folder: new uploads would go to
 * another disk, and every file would seem damaged.
 */
async function refuseEmptyStore(
  { S3_BUCKET, UPLOADS_DIR }: Config,
  users: Ports['users'],
  blobs: BlobStore,
): Promise<void> {
  const { bytes } = await users.total()
  if (bytes === 0 || (await blobs.runs()).length > 0) return
  const place = S3_BUCKET === undefined ? `UPLOADS_DIR is ${UPLOADS_DIR}` : `S3_BUCKET is ${S3_BUCKET}`
  throw new Error(
    `${place}, which has no blobs, but the vault has files: is its disk mounted, and is the setting right? docs/operating.md says how to start without the files`,
  )
}

/** The ports for data that may be lost: pending PINs, counts of mails and requests, and notices of changes. */
async function passingOf({ REDIS_URL }: Config, log: FastifyBaseLogger, clock: Clock) {
  if (!REDIS_URL) {
    return {
      pendingPins: memoryPendingPins(clock),
      counter: memoryCounter(clock),
      changeNotices: memoryChangeNotices(),
      checks: {},
      close: () => {},
    }
  }
  const { redisConnection } = await import('../adapters/redis/connection.ts')
  const redis = await redisConnection(REDIS_URL, (message) => log.warn(message))
  return {
    pendingPins: redisPendingPins(redis, clock),
    counter: redisCounter(redis, clock),
    changeNotices: redisChangeNotices(redis),
    checks: { redis: redis.check },
    close: redis.close,
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
  // The operator reads the PINs in the log, so they are logged whatever its level is.
  const out = log.child({}, { level: 'info' })
  return { delivery: consoleDelivery((fields, message) => out.info(fields, message)), stopWaiting: nothing }
}
