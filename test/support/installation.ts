/** Two server processes on one PostgreSQL, one Redis and one S3, each behind a proxy that a test can let fail. */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import { temporaryFolder } from './app.ts'
import { describeWith } from './engines.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'
import { emptySchema } from './postgres.ts'
import { type ServerProcess, serverProcess } from './process.ts'
import { newDatabase } from './redis.ts'
import { newBucket, overFaultyLine, s3Environment } from './s3.ts'
import { expectSound } from './soundness.ts'

export const describeEngines = describeWith(
  'PostgreSQL, Redis and S3 together',
  'TEST_DATABASE_URL',
  'TEST_REDIS_URL',
  'TEST_S3_ENDPOINT',
)

/** The engines, by their names in `/health/ready`. */
export type Engine = 'database' | 'redis' | 'uploads'

export interface Installation {
  servers: readonly [ServerProcess, ServerProcess]
  lines: Record<Engine, FaultyProxy>
  /** The address of the database without the proxy. */
  databaseUrl: string
  /**
   * Stops both servers, sweeps, and checks that every named blob is sound, and that neither another blob nor an unfinished
   * upload is left. `database` is the address after a failover.
   */
  expectSound(database?: string): Promise<void>
}

/** `own` are addresses of engines that only this test uses; `settings` are environment variables. */
export async function installation(
  own: { database?: string; redis?: string } = {},
  settings: Record<string, string> = {},
): Promise<Installation> {
  const folder = await temporaryFolder()
  const database = await overLine(own.database ?? (await emptySchema()))
  const redis = await overLine(own.redis ?? (await newDatabase()))
  const bucket = await newBucket()
  const uploads = await overFaultyLine(bucket)
  const common = { MASTER_KEY: randomBytes(32).toString('base64'), RATE_LIMITS: UNREACHED, ...settings }
  const environment = {
    ...common,
    ...s3Environment(uploads.settings),
    DATABASE_URL: database.through,
    REDIS_URL: redis.through,
  }
  const servers = [serverProcess(folder, environment), serverProcess(folder, environment)] as const
  await Promise.all(servers.map(({ url }) => url))

  return {
    servers,
    lines: { database: database.line, redis: redis.line, uploads: uploads.line },
    databaseUrl: database.url,
    async expectSound(url = database.url) {
      expect(await Promise.all(servers.map((server) => server.stop('SIGTERM')))).toEqual([0, 0])
      await expectSound(folder, { ...common, DATABASE_URL: url }, bucket)
    },
  }
}

/** Limits that are counted in Redis, but that no test reaches. */
const UNREACHED = [
  ...['register', 'pins', 'pairing', 'sign-in-hourly'].map((name) => `${name}=1000000/1h`),
  ...['sign-in', 'requests', 'bad-tokens'].map((name) => `${name}=1000000/1m`),
].join(',')

async function overLine(url: string) {
  const through = new URL(url)
  const line = await faultyProxy({ host: through.hostname, port: Number(through.port) })
  through.hostname = '127.0.0.1'
  through.port = String(line.port)
  return { url, through: through.href, line }
}
