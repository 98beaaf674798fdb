/** Turns settings into the rules of the vault and those of HTTP. */
import { certificateIn } from '../adapters/disk/certificate.ts'
import { PART_BYTES } from '../adapters/s3/parts.ts'
import type { Config } from '../config/config.ts'
import { type Limit, readLimits } from '../config/limits.ts'
import { listOf } from '../config/values.ts'
import type { Quota } from '../ports/accounts.ts'
import type { Ports, VaultRules } from '../ports/ports.ts'
import { LOOPBACK } from './startup-log.ts'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const DAY_MS = 24 * 60 * 60 * SECOND_MS
const MiB = 1024 * 1024

export function rulesOf(config: Config): VaultRules {
  const { limits } = readLimits(config.RATE_LIMITS)
  const most = (limit: Limit) => (config.RATE_LIMIT === 'on' ? limit.max : Number.POSITIVE_INFINITY)
  return {
    pinTtlMs: config.PIN_TTL_SECONDS * SECOND_MS,
    pinMaxAttempts: config.PIN_MAX_ATTEMPTS,
    sessionTtlMs: wholeMs(config.SESSION_TTL_DAYS * DAY_MS),
    sessionMaxMs: wholeMs(config.SESSION_MAX_DAYS * DAY_MS),
    maxFileBytes: config.MAX_FILE_BYTES,
    quota: quotaOf(config),
    trashMs: wholeMs(config.TRASH_DAYS * DAY_MS),
    uploadExpiryMs: wholeMs(config.UPLOAD_EXPIRY_HOURS * 60 * MINUTE_MS),
    changesMs: wholeMs(config.CHANGES_DAYS * DAY_MS),
    activityMs: wholeMs(config.ACTIVITY_DAYS * DAY_MS),
    scrubMs: wholeMs(config.SCRUB_DAYS * DAY_MS),
    readOnly: config.READ_ONLY === 'on',
    // A PIN must be sent within two seconds.
    asideMs: { least: 200, most: 1500 },
    mails: { perAccount: most(limits['mails-per-account']), overall: most(limits['mails-overall']) },
  }
}

/** Times are whole milliseconds: PostgreSQL takes no others. Only 0 itself is 0, because it can mean "none". */
const wholeMs = (ms: number): number => (ms === 0 ? 0 : Math.max(1, Math.round(ms)))

const MOST_FILES = 1_000_000
const LEAST_FILES = 1000

/** Rows take room too. So if bytes are limited, the number of files is limited to one for each KiB, at least 1,000. */
function quotaOf({ QUOTA_BYTES, QUOTA_FILES }: Config): Quota {
  const byBytes = QUOTA_BYTES === undefined ? MOST_FILES : Math.floor(QUOTA_BYTES / 1024)
  const files = QUOTA_FILES ?? Math.min(MOST_FILES, Math.max(LEAST_FILES, byBytes))
  return { bytes: QUOTA_BYTES ?? null, files }
}

/**
 * The connections that wait to be accepted. If a proxy opens more than Node's default of 511 in a burst, the system drops some, and
 * the proxy gives up before it sends them again. The system may lower it (`net.core.somaxconn`).
 */
export const BACKLOG = 4096

/** The rules for connections and requests, before the vault is called. Throws if the certificate cannot be used. */
export function httpRulesOf({
  LOG_CLIENT_ADDRESS,
  TRUST_PROXY,
  CORS_ORIGINS,
  TLS_CERT,
  TLS_KEY,
  S3_BUCKET,
  ...config
}: Config) {
  return {
    logClients: LOG_CLIENT_ADDRESS === 'on',
    trustProxy: trustedIn(TRUST_PROXY),
    corsOrigins: CORS_ORIGINS ? listOf(CORS_ORIGINS) : [],
    tls: TLS_CERT && TLS_KEY ? tlsRulesOf(TLS_CERT, TLS_KEY) : null,
    headerMs: MINUTE_MS,
    interimResponses: config.UPLOAD_INTERIM_RESPONSES === 'on',
    idleMs: 2 * MINUTE_MS,
    // When an idle connection is closed at once, a request may be on its way to it. A proxy does not resend a POST.
    lingerMs: TRUST_PROXY === 'off' ? 0 : SECOND_MS,
    graceMs: config.SHUTDOWN_GRACE_SECONDS * SECOND_MS,
    // The transfers of an ended session must end within 5 seconds.
    sessionCheckMs: 4 * SECOND_MS,
    pace: { everyMs: MINUTE_MS, bodyBytes: 16 * 1024, checksPerWrite: 10 },
    // Late for two seconds at least. A slow disk may sync a large file for seconds without being behind.
    overload: { everyMs: 250, lateMs: 500, times: 3 },
    metrics: config.METRICS === 'on' ? metricsRulesOf(config) : null,
    mostConnections: 4096,
    networkShare: 1 / 4,
    userShare: 1 / 8,
    memory: {
      totalBytes: 384 * MiB,
      networkBytes: 128 * MiB,
      userBytes: 96 * MiB,
      // A batch is gathered, sealed and written; for S3 a whole part is gathered.
      uploadBytes: MiB + (S3_BUCKET === undefined ? 0 : PART_BYTES),
      waitMs: 30 * SECOND_MS,
    },
  }
}

function metricsRulesOf({
  METRICS_HOST: host,
  METRICS_PORT: port,
  METRICS_TOKEN: token,
}: Pick<Config, 'METRICS_HOST' | 'METRICS_PORT' | 'METRICS_TOKEN'>) {
  return { host, port, token: token ?? null, figuresMs: MINUTE_MS }
}

/** The rate limits of callers; `null` for no limits. */
export function requestLimitsOf(config: Config, { requestCounter }: Pick<Ports, 'requestCounter'>) {
  const { limits } = readLimits(config.RATE_LIMITS, isTrial(config))
  return config.RATE_LIMIT === 'on' ? { limits, counter: requestCounter } : null
}

/**
 * A server that only its own machine can reach, and that shows PINs in the response. Only the limit `register` is higher
 * there: it makes mail and claims to addresses rare, and a server that shows PINs does not protect these anyway. The limits
 * on guessing stay the same, because behind an unknown proxy every caller seems to be on this machine.
 */
function isTrial({ PIN_DELIVERY, HOST, TRUST_PROXY }: Config): boolean {
  return PIN_DELIVERY === 'response' && LOOPBACK.includes(HOST) && TRUST_PROXY === 'off'
}

function tlsRulesOf(certPath: string, keyPath: string) {
  const read = certificateIn(certPath, keyPath)
  // A wrong certificate is an error before anything else is opened.
  read()
  return { read, rereadMs: MINUTE_MS }
}

function trustedIn(text: string) {
  if (text === 'off') return false as const
  // If the framework got the number itself, it would trust no proxy.
  return /^\d$/.test(text) ? (_address: string, hop: number) => hop < Number(text) : listOf(text)
}
