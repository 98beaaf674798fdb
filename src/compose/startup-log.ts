/** The texts about the settings in the first lines of the log. */
import { resolve } from 'node:path'
import type { Config } from '../config/config.ts'

export const LOOPBACK = ['127.0.0.1', '::1', '[::1]', 'localhost']

/** Where data and files are stored. */
export function placesOf({ DATABASE_URL, DATA_DIR, UPLOADS_DIR, S3_BUCKET, S3_ENDPOINT }: Config): string {
  const data = DATABASE_URL ? `PostgreSQL at ${databasePlace(DATABASE_URL)}` : resolve(DATA_DIR)
  const files = S3_BUCKET === undefined ? resolve(UPLOADS_DIR) : `the bucket ${S3_BUCKET} at ${S3_ENDPOINT}`
  return `data in ${data}, files in ${files}`
}

/** The host and name of the database, without user and password. */
export function databasePlace(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

/** The engines in use. */
export function adaptersOf(config: Config): string {
  const database = config.DATABASE_URL ? 'PostgreSQL' : 'SQLite'
  const passing = config.REDIS_URL ? 'pending PINs and counts in Redis' : 'pending PINs in memory'
  const files = config.S3_BUCKET === undefined ? 'on disk' : 'in S3'
  return `${database}, ${passing}, sealed files ${files}, PIN delivery by ${config.PIN_DELIVERY}`
}

/** Settings that are not safe on a server that strangers can reach. */
export function warningsOf(config: Config): string[] {
  const open = {
    response: ['PIN_DELIVERY=response: the PIN is in the response, so anyone can register any address'],
    console: ['PIN_DELIVERY=console: PINs are written to this log'],
    email: [],
  }[config.PIN_DELIVERY]
  return [
    ...(config.READ_ONLY === 'on' ? ['READ_ONLY=on: files can be read, and nothing can be changed'] : []),
    ...open.map((mode) => `not fit for production: ${mode}`),
    ...(config.MASTER_KEY || config.MASTER_KEY_FILE
      ? []
      : ['not fit for production: the master key is in DATA_DIR, so anyone who can read this disk can read all files']),
    ...(config.METRICS === 'off' || config.METRICS_TOKEN || LOOPBACK.includes(config.METRICS_HOST)
      ? []
      : [`METRICS_HOST=${config.METRICS_HOST} without METRICS_TOKEN: anyone who reaches it can read the metrics`]),
    ...(config.RATE_LIMIT === 'on' ? [] : ['not fit for production: there is no rate limit']),
    ...(isFarAndOpen(config.S3_ENDPOINT)
      ? ['not fit for production: S3_ENDPOINT is plain HTTP, so anyone on the network path can change or delete files']
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
