/** A real Redis, for tests that need one: `.ci/server-redis` starts it and prints the variable that names it. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { type RedisConnection, redisConnection } from '../../src/adapters/redis/connection.ts'
import { temporaryFolder } from './app.ts'
import { describeWith, freePort } from './engines.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'

/** The databases of this server are emptied. */
const SERVER = process.env.TEST_REDIS_URL as string
export const describeRedis = describeWith('Redis', 'TEST_REDIS_URL')

/** Below the 16 that a server has where nobody says otherwise; the first is for counting them. */
const DATABASES = 15

/** An empty database; others have another. */
export async function newDatabase(): Promise<string> {
  const counting = new Redis(SERVER)
  const taken = await counting.incr('databases')
  counting.disconnect()
  const url = `${SERVER.replace(/\/\d*$/, '')}/${(taken % DATABASES) + 1}`
  await clientOf(url).flushdb()
  return url
}

/** A client that has nothing to do with ours. */
export function clientOf(url: string): Redis {
  const client = new Redis(url)
  onTestFinished(() => client.disconnect())
  return client
}

/** Ours. What it tells the operator is in `told`. */
export async function connectionTo(url: string): Promise<RedisConnection & { told: string[] }> {
  const told: string[] = []
  const connection = await redisConnection(url, (message) => told.push(message))
  onTestFinished(connection.close)
  return { ...connection, told }
}

/** The same database behind a gate that a test can shut. */
export async function gated(url: string): Promise<{ url: string; gate: FaultyProxy }> {
  const { hostname, port, pathname } = new URL(url)
  const gate = await faultyProxy({ host: hostname, port: Number(port) })
  return { url: `redis://127.0.0.1:${gate.port}${pathname}`, gate }
}

export interface OwnRedis {
  url: string
  start(): void
  stop(): void
  /** As a machine does that fails. */
  kill(): void
}

/** A server of the test's own, with which it may do what it likes. */
export async function ownRedis(): Promise<OwnRedis> {
  const folder = join(await temporaryFolder(), 'redis')
  const script = join(import.meta.dirname, '..', '..', '.ci', 'server-redis')
  const port = await freePort()
  const start = () => void execFileSync(script, ['start', folder, String(port)])
  const stop = () => void execFileSync(script, ['stop', folder])
  const kill = () => void process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8')), 'SIGKILL')
  start()
  onTestFinished(stop)
  return { url: `redis://127.0.0.1:${port}`, start, stop, kill }
}
