/** Two servers on PostgreSQL, Redis and S3, behind the shipped nginx. The lines to the engines can fail. */
import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { lastingPort } from '../support/lasting-port.ts'
import { nginxBefore } from '../support/nginx.ts'
import { connection, emptySchema } from '../support/postgres.ts'
import { gated, newDatabase } from '../support/redis.ts'
import { newBucket, objectsIn, overFaultyLine, s3Environment, unfinishedIn } from '../support/s3.ts'
import type { Clock } from './clock.ts'
import type { Journal } from './journal.ts'
import { SETTINGS } from './settings.ts'
import { fleetOf, lineFaults, type Shape } from './shape.ts'

const SERVERS = 2
const FAULT_MS = 2200
const FROZEN_MS = 1500

export async function many(clock: Clock, journal: Journal): Promise<Shape> {
  const folder = await temporaryFolder()
  const databaseUrl = await emptySchema()
  const redisUrl = await newDatabase()
  const bucket = await newBucket()
  const settings = {
    ...SETTINGS,
    ...clock.settings,
    ...s3Environment(bucket),
    MASTER_KEY: randomBytes(32).toString('base64'),
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    TRUST_PROXY: '127.0.0.1',
    UPLOAD_INTERIM_RESPONSES: 'off',
  }
  const probing = await connection(databaseUrl)
  onTestFinished(() => probing.end())
  const postgres = await lineTo(databaseUrl)
  const redis = await gated(redisUrl)
  const s3 = await overFaultyLine(bucket)
  const serverSettings = {
    ...settings,
    ...s3Environment(s3.settings),
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
  }
  const ports: number[] = []
  while (ports.length < SERVERS) ports.push(await lastingPort())
  const fleet = await fleetOf(folder, ports, serverSettings, journal)
  const nginx = await nginxBefore(...ports.map((port) => `http://127.0.0.1:${port}`))
  const [postgresHangs, postgresDown, postgresBreaks] = lineFaults('PostgreSQL', postgres.line, FAULT_MS)
  const [redisHangs, redisDown, redisBreaks] = lineFaults('Redis', redis.gate, FAULT_MS)
  const [s3Hangs, s3Down, s3Breaks] = lineFaults('S3', s3.line, FAULT_MS)
  const frozen = { name: 'a server stands still', run: () => fleet.freeze(1, FROZEN_MS) }
  const sparing = [postgresHangs, redisDown, s3Hangs, postgresBreaks, redisHangs, s3Down, frozen, postgresDown]
  return {
    ...{ name: 'two servers, PostgreSQL, Redis, S3, nginx', folder, settings, serverSettings, scheme: 'https', fleet },
    port: Number(new URL(nginx.url).port),
    killing: [0, 1].map((n) => ({ name: 'a server is killed', run: () => fleet.crash(n) })),
    sparing: [...sparing, s3Breaks, redisBreaks].filter((fault) => fault !== undefined),
    hasBackup: false,
    commit: () => probing.query(`SELECT pg_logical_emit_message(true, 'soak', 'a commit')`),
    stored: async () => ({ blobs: await objectsIn(bucket), unfinished: await unfinishedIn(bucket) }),
  }
}

async function lineTo(databaseUrl: string) {
  const { hostname, port } = new URL(databaseUrl)
  const line = await faultyProxy({ host: hostname, port: Number(port) })
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(line.port)
  return { line, url: url.href }
}
