/** Settings to ports: the one file that names adapters. */
import { access } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { consoleDelivery } from './adapters/delivery/console.ts'
import { diskBlobs } from './adapters/disk/blobs.ts'
import { certificateIn } from './adapters/disk/certificate.ts'
import { blobCopies } from './adapters/disk/copies.ts'
import { tellingFaults } from './adapters/disk/faults.ts'
import { contentsBut, overlap } from './adapters/disk/folders.ts'
import { makeKeyFile, masterKeyIn, readKeyFile } from './adapters/disk/key-file.ts'
import { memoryCounter } from './adapters/memory/counter.ts'
import { memoryPendingPins } from './adapters/memory/pending-pins.ts'
import { redisCounter } from './adapters/redis/counter.ts'
import { redisPendingPins } from './adapters/redis/pending-pins.ts'
import { sqliteActivity } from './adapters/sqlite/activity.ts'
import { copyDatabase, holdBackupFolder, isBackupFolder, openBackup } from './adapters/sqlite/backup.ts'
import { sqliteCensus } from './adapters/sqlite/census.ts'
import {
  type Database,
  databaseCheck,
  holdFolder,
  makeFolder,
  openBeside,
  openDatabase,
} from './adapters/sqlite/database.ts'
import { sqliteFiles } from './adapters/sqlite/files.ts'
import { type Act, groupCommit } from './adapters/sqlite/group-commit.ts'
import { sqliteKeySlots } from './adapters/sqlite/key-slots.ts'
import { sqliteLedger, sqliteLedgerBeside } from './adapters/sqlite/ledger.ts'
import { sqlitePinLedger } from './adapters/sqlite/pin-ledger.ts'
import { diskReserve } from './adapters/sqlite/reserve.ts'
import { sqliteSessions } from './adapters/sqlite/sessions.ts'
import { sqliteTrash } from './adapters/sqlite/trash.ts'
import { sqliteUsers } from './adapters/sqlite/users.ts'
import { type Config, checkDelivery, listOf } from './config.ts'
import { type Limit, readLimits } from './limits.ts'
import type {
  Alarm,
  BackupSource,
  BackupTarget,
  Chance,
  Clock,
  MasterKeys,
  OperatorPorts,
  Ports,
  VaultRules,
} from './ports.ts'

const LOOPBACK = ['127.0.0.1', '::1', '[::1]', 'localhost']
const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const DAY_MS = 24 * 60 * 60 * SECOND_MS

/** Opens every engine that the settings choose. Throws, and lets go of what it opened, where one cannot be had. */
export async function compose(config: Config, log: FastifyBaseLogger, clock: Clock, chance: Chance): Promise<Ports> {
  checkDelivery(config)
  const { opened, close } = engines()
  try {
    const database = config.DATABASE_URL
      ? await shared(config.DATABASE_URL, opened)
      : embedded(config.DATA_DIR, log, opened)
    const blobs = await blobsOf(config, clock)
    opened.push(blobs.close)
    const { repositories, ledger, room } = database
    const isEmpty = (await repositories.keySlots.countByKey()).size === 0
    const { delivery, stopWaiting } = await deliveryOf(config, log, clock)
    opened.push(stopWaiting)
    const { pendingPins, counter, checks, letGo } = await passingOf(config, log, clock)
    opened.push(letGo)
    const masterKeys = masterKeysOf(config, (path) => (isEmpty ? makeMasterKey(path, log) : missingMasterKey(path)))
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
        database: database.check,
        uploads: blobs.check,
        ...(!config.DATABASE_URL && { space: room }),
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
    check: databaseCheck(db, folder),
  }
}

/** PostgreSQL, which other processes may be using. Its driver is not loaded where it is not wanted. */
async function shared(url: string, opened: (() => unknown)[]) {
  const { openPostgres } = await import('./adapters/postgres/engine.ts')
  const engine = await naming('DATABASE_URL', databasePlace(url), () => openPostgres(url))
  opened.push(engine.close)
  return { ...engine, room: async () => {} }
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

async function blobsOf(config: Config, clock: Clock) {
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
  const { s3Blobs } = await import('./adapters/s3/blobs.ts')
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
  const { openPostgresBeside } = await import('./adapters/postgres/engine.ts')
  const engine = await naming('DATABASE_URL', databasePlace(url), () => openPostgresBeside(url))
  opened.push(engine.close)
  return engine
}

/** Where the database is, without who is let in. */
function databasePlace(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/** What is in the way nowhere: a checkout's placeholder, a file system's own folder. */
const HARMLESS = ['.gitkeep', 'lost+found']

/** Where a backup of the embedded engines is made: a folder that is new or has one already. */
export async function backupTarget(config: Config, folder: string): Promise<BackupTarget> {
  refuseUnfit(config, folder)
  if (!isBackupFolder(folder) && contentsBut(folder, HARMLESS).length > 0) {
    throw new Error(`${folder} is neither empty nor the folder of a backup`)
  }
  makeFolder(folder)
  const letGo = holdBackupFolder(folder)
  try {
    return {
      copyDatabase: () => copyDatabase(config.DATA_DIR, folder),
      blobs: await blobCopies(config.UPLOADS_DIR, join(folder, 'uploads')),
      close: async () => letGo(),
    }
  } catch (error) {
    letGo()
    throw error
  }
}

/** A backup of the embedded engines, and the folders of the settings for it, which must hold no vault. */
export async function backupSource(config: Config, folder: string): Promise<BackupSource> {
  refuseUnfit(config, folder)
  const { opened, close } = engines()
  try {
    const database = openBackup(folder, config.DATA_DIR)
    opened.push(database.close)
    const ids = [...(await database.countByKey()).keys()].join(', ')
    naming('DATA_DIR', config.DATA_DIR, () => {
      opened.push(holdFolder(config.DATA_DIR))
      refuseContents(config.DATA_DIR, ['server.lock', 'server.lock-journal', 'reserve', ...keyFilesIn(config)])
    })
    naming('UPLOADS_DIR', config.UPLOADS_DIR, () => refuseContents(config.UPLOADS_DIR, []))
    return {
      database,
      blobs: await blobCopies(join(folder, 'uploads'), config.UPLOADS_DIR),
      get masterKeys() {
        return masterKeysOf(config, (path) => {
          throw new Error(
            `the master key ${path} is missing, and the backup is locked with ${ids}. Put it there, or give MASTER_KEY or MASTER_KEY_FILE`,
          )
        })
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function refuseUnfit(config: Config, folder: string): void {
  if (config.DATABASE_URL !== undefined) {
    throw new Error('backup and restore are for SQLite in DATA_DIR. With DATABASE_URL, see docs/operating.md')
  }
  if (config.S3_BUCKET !== undefined) {
    throw new Error('backup and restore are for files in UPLOADS_DIR. With S3_BUCKET, see docs/operating.md')
  }
  for (const setting of ['DATA_DIR', 'UPLOADS_DIR'] as const) {
    if (overlap(folder, config[setting])) {
      throw new Error(`${folder} and ${setting}, which is ${config[setting]}, must lie apart`)
    }
  }
}

function refuseContents(folder: string, allowed: string[]): void {
  if (contentsBut(folder, [...HARMLESS, ...allowed]).length === 0) return
  throw new Error('it is not empty. Restore into a new folder, or empty this one if a restore broke off here')
}

/** The names in DATA_DIR under which a master key may be waiting for its vault. */
function keyFilesIn({ DATA_DIR, MASTER_KEY_FILE }: Config): string[] {
  const own =
    MASTER_KEY_FILE && resolve(dirname(MASTER_KEY_FILE)) === resolve(DATA_DIR) ? [basename(MASTER_KEY_FILE)] : []
  return ['master.key', ...own]
}

/** What was opened, to be let go in turn. */
function engines() {
  const opened: (() => unknown)[] = []
  return {
    opened,
    close: async () => {
      for (const letGo of opened.splice(0).reverse()) await letGo()
    },
  }
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
  const { limits } = readLimits(config.RATE_LIMITS)
  const most = (limit: Limit) => (config.RATE_LIMIT === 'on' ? limit.max : Number.POSITIVE_INFINITY)
  return {
    pinTtlMs: config.PIN_TTL_SECONDS * SECOND_MS,
    pinMaxAttempts: config.PIN_MAX_ATTEMPTS,
    sessionTtlMs: config.SESSION_TTL_DAYS * DAY_MS,
    sessionMaxMs: config.SESSION_MAX_DAYS * DAY_MS,
    maxFileBytes: config.MAX_FILE_BYTES,
    quotaBytes: config.QUOTA_BYTES ?? null,
    trashMs: config.TRASH_DAYS * DAY_MS,
    activityMs: config.ACTIVITY_DAYS * DAY_MS,
    mails: { perAccount: most(limits['mails-per-account']), overall: most(limits['mails-overall']) },
  }
}

/** How the server deals with clients, before the vault hears of them. Throws where the certificate cannot be used. */
export function httpRulesOf({ TRUST_PROXY, CORS_ORIGINS, TLS_CERT, TLS_KEY }: Config) {
  return {
    trustProxy: trustedIn(TRUST_PROXY),
    corsOrigins: CORS_ORIGINS ? listOf(CORS_ORIGINS) : [],
    tls: TLS_CERT && TLS_KEY ? tlsRulesOf(TLS_CERT, TLS_KEY) : null,
    headerMs: MINUTE_MS,
    idleMs: 2 * MINUTE_MS,
    pace: { everyMs: MINUTE_MS, bodyBytes: 16 * 1024, looksPerWrite: 10 },
    mostConnections: 4096,
  }
}

/** How much callers may ask for; `null` for no limits. */
export function requestLimitsOf(config: Config, { requestCounter }: Pick<Ports, 'requestCounter'>) {
  const { limits } = readLimits(config.RATE_LIMITS)
  return config.RATE_LIMIT === 'on' ? { limits, counter: requestCounter } : null
}

function tlsRulesOf(certPath: string, keyPath: string) {
  const read = certificateIn(certPath, keyPath)
  // The operator hears of a wrong one before anything else is opened.
  read()
  return { read, lookAgainMs: MINUTE_MS }
}

function trustedIn(text: string) {
  if (text === 'off') return false as const
  // Given the number itself, the framework would trust nobody.
  return /^\d$/.test(text) ? (_address: string, hop: number) => hop < Number(text) : listOf(text)
}

/** Where the settings name no key, it is the one beside the database; `missing` says what to do where that is not there. */
function masterKeysOf(config: Config, missing: (path: string) => string): MasterKeys {
  const { MASTER_KEY, MASTER_KEY_FILE, MASTER_KEY_PREVIOUS = '', DATA_DIR } = config
  if (config.DATABASE_URL && !MASTER_KEY && !MASTER_KEY_FILE) {
    throw new Error('with DATABASE_URL give MASTER_KEY or MASTER_KEY_FILE, the same key to every server: none is made')
  }
  if (MASTER_KEY && MASTER_KEY_FILE) throw new Error('give MASTER_KEY or MASTER_KEY_FILE, not both')
  const current = MASTER_KEY ?? keyTextOf(MASTER_KEY_FILE, join(DATA_DIR, 'master.key'), missing)
  const previous = MASTER_KEY_PREVIOUS.split(',').filter((text) => text.trim() !== '')
  return {
    current: masterKeyIn(current, MASTER_KEY ? 'MASTER_KEY' : 'the master key file'),
    previous: previous.map((text) => masterKeyIn(text, 'a key in MASTER_KEY_PREVIOUS')),
  }
}

function keyTextOf(named: string | undefined, usual: string, missing: (path: string) => string): string {
  const text = readKeyFile(named ?? usual)
  if (text !== null) return text
  if (named) throw new Error(`MASTER_KEY_FILE is ${named}, and there is no such file`)
  return missing(usual)
}

/** For a vault in which there is nothing yet that a new key could not open. */
function makeMasterKey(path: string, log: FastifyBaseLogger): string {
  log.warn(
    `made a master key: ${resolve(path)}. Keep a copy of it in another place: without it every file is lost, and while it lies beside the files, whoever has this disk can read them`,
  )
  return makeKeyFile(path)
}

function missingMasterKey(path: string): never {
  throw new Error(
    `the master key ${path} is missing; without it nothing in this vault opens. Put it back, or give MASTER_KEY or MASTER_KEY_FILE`,
  )
}

/** Where what is kept is kept, for the operator. */
export function placesOf({ DATABASE_URL, DATA_DIR, UPLOADS_DIR, S3_BUCKET, S3_ENDPOINT }: Config): string {
  const data = DATABASE_URL ? `PostgreSQL at ${databasePlace(DATABASE_URL)}` : resolve(DATA_DIR)
  const files = S3_BUCKET === undefined ? resolve(UPLOADS_DIR) : `the bucket ${S3_BUCKET} at ${S3_ENDPOINT}`
  return `data in ${data}, files in ${files}`
}

/** What is in use, for the operator who reads the first lines of the log. */
export function adaptersOf(config: Config): string {
  const database = config.DATABASE_URL ? 'PostgreSQL' : 'SQLite'
  const passing = config.REDIS_URL ? 'pending PINs and counts in Redis' : 'pending PINs in memory'
  const files = config.S3_BUCKET === undefined ? 'on disk' : 'in S3'
  return `${database}, ${passing}, sealed files ${files}, PIN delivery by ${config.PIN_DELIVERY}`
}

/** What the operator must not overlook before strangers can reach the server. */
export function warningsOf(config: Config): string[] {
  const open = {
    response: ['PIN_DELIVERY=response: whoever registers an address reads the PIN in the answer and proves nothing'],
    console: ['PIN_DELIVERY=console: PINs stand in this log'],
    email: [],
  }[config.PIN_DELIVERY]
  return [
    ...open.map((mode) => `not fit for production: ${mode}`),
    ...(config.MASTER_KEY || config.MASTER_KEY_FILE
      ? []
      : ['not fit for production: the master key lies in DATA_DIR, so whoever has the disk can read all contents']),
    ...(config.RATE_LIMIT === 'on' ? [] : ['not fit for production: there is no rate limit']),
    ...(isFarAndOpen(config.S3_ENDPOINT)
      ? ['not fit for production: S3_ENDPOINT is plain HTTP, so whoever is on the way there can change or remove files']
      : []),
    ...(config.TLS_CERT || LOOPBACK.includes(config.HOST)
      ? []
      : [`not fit for production: ${config.HOST} is reachable from other machines over plain HTTP`]),
  ]
}

function isFarAndOpen(endpoint: string | undefined): boolean {
  if (endpoint === undefined) return false
  const { protocol, hostname } = new URL(endpoint)
  return protocol === 'http:' && !LOOPBACK.includes(hostname)
}

/** What may be forgotten: pending PINs, and counts of mails and requests. */
async function passingOf({ REDIS_URL }: Config, log: FastifyBaseLogger, clock: Clock) {
  if (!REDIS_URL) {
    return { pendingPins: memoryPendingPins(clock), counter: memoryCounter(clock), checks: {}, letGo: () => {} }
  }
  const { redisConnection } = await import('./adapters/redis/connection.ts')
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
    const { emailDelivery } = await import('./adapters/delivery/email.ts')
    const delivery = emailDelivery({ url, from }, clock, (fields, message) => log.warn(fields, message))
    return { delivery, stopWaiting: delivery.close }
  }
  // Whatever the level of the log, this mode is for reading PINs there.
  const out = log.child({}, { level: 'info' })
  return { delivery: consoleDelivery((fields, message) => out.info(fields, message)), stopWaiting: nothing }
}
