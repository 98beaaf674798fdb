/** A real Redis for tests. `.ci/server-redis` starts it and prints the variable that names it. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { type RedisConnection, redisConnection } from '../../src/adapters/redis/connection.ts'
import { temporaryFolder } from './app.ts'
import { describeWith, freePort } from './engines.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'

/** Tests flush the databases of this server. */
const SERVER = process.env.TEST_REDIS_URL as string
export const describeRedis = describeWith('Redis', 'TEST_REDIS_URL')

/** An empty database. Other tests use other databases, as long as the server has enough of them: the first one has the counter. */
export async function newDatabase(): Promise<string> {
  const counting = new Redis(SERVER)
  const [number, [, databases]] = await Promise.all([
    counting.incr('databases'),
    counting.config('GET', 'databases') as Promise<[string, string]>,
  ])
  counting.disconnect()
  const url = `${SERVER.replace(/\/\d*$/, '')}/${(number % (Number(databases) - 1)) + 1}`
  await clientOf(url).flushdb()
  return url
}

/** A client that is independent of the adapter. */
export function clientOf(url: string): Redis {
  const client = new Redis(url)
  onTestFinished(() => client.disconnect())
  return client
}

/** The connection of the adapter. `told` has its log lines. */
export async function connectionTo(url: string): Promise<RedisConnection & { told: string[] }> {
  const told: string[] = []
  const connection = await redisConnection(url, (message) => told.push(message))
  onTestFinished(connection.close)
  return { ...connection, told }
}

/** The same database behind a proxy that a test can let fail. */
export async function gated(url: string): Promise<{ url: string; gate: FaultyProxy }> {
  const { hostname, port, pathname } = new URL(url)
  const gate = await faultyProxy({ host: hostname, port: Number(port) })
  return { url: `redis://127.0.0.1:${gate.port}${pathname}`, gate }
}

export interface OwnRedis {
  url: string
  start(): void
  stop(): void
  /** Simulates a failed machine. */
  kill(): void
}

/** A Redis server that only this test uses. */
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
