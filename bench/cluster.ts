/**
 * Compares two processes behind nginx with one, on the same PostgreSQL, Redis and folder of files, to measure the gain of a second
 * process.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { configureNginx } from '../test/support/nginx-configuration.ts'
import { postgresSchema } from './postgres-schema.ts'
import { rawCall } from './raw-client.ts'
import { type Server, serverWith, signedIn, startNginx } from './servers.ts'
import { rateByWrk } from './wrk.ts'

const PAGE = 50
const block = randomBytes(20 * 1024)

export interface Engines {
  database: string
  redis: string
}

export interface Side {
  name: string
  perSecond: { one: number; two: number }[]
}

/** Measures one process and two processes in each round. */
export async function clusterRates(folder: string, engines: Engines, rounds: number, seconds: number): Promise<Side[]> {
  const schema = await postgresSchema(engines.database)
  const running: { stop(): Promise<void> }[] = []
  try {
    const settings = {
      MASTER_KEY: randomBytes(32).toString('base64'),
      DATABASE_URL: schema.url,
      REDIS_URL: engines.redis,
      UPLOADS_DIR: join(folder, 'uploads'),
      LOG_LEVEL: 'warn',
      TRUST_PROXY: '127.0.0.1',
      // Counted in Redis as usual, but never reached.
      RATE_LIMITS: 'requests=100000000/1m',
    }
    const servers = [await serverWith(settings), await serverWith(settings)]
    running.push(...servers)
    const [one, two] = [
      await before(join(folder, 'one'), servers.slice(0, 1)),
      await before(join(folder, 'two'), servers),
    ]
    running.push(one, two)
    const headers = await signedIn((servers[0] as Server).port)
    const authorization = headers.authorization as string
    for (let n = 0; n < PAGE; n += 1) {
      const small = { method: 'PUT', path: `/v1/files/small${n || ''}`, headers, block, times: 1 }
      await rawCall((servers[0] as Server).port, small)
    }

    const sides: Side[] = []
    for (const [name, path, ...script] of ACTS) {
      const side: Side = { name, perSecond: [] }
      const rate = (url: string, length: number) => rateByWrk(url + path, authorization, length, script)
      // Until V8 has optimised the code of each process.
      for (const { url } of [one, two, two]) await rate(url, 2 * seconds)
      for (let round = 0; round < rounds; round += 1) {
        // The order alternates, so neither side always runs after the other.
        const order = round % 2 ? (['one', 'two'] as const) : (['two', 'one'] as const)
        const taken = { one: 0, two: 0 }
        for (const which of order) taken[which] = await rate({ one, two }[which].url, seconds)
        side.perSecond.push(taken)
      }
      sides.push(side)
    }
    return sides
  } finally {
    for (const { stop } of running.reverse()) await stop()
    await schema.drop()
  }
}

const ACTS = [
  ['GET of 20 KiB', '/v1/files/small'],
  [`a page of ${PAGE} files`, `/v1/files?limit=${PAGE}`],
  ['who am I', '/v1/me'],
  ['PUT of 20 KiB', '/v1/files/small', '-s', join('bench', 'cluster-put.lua')],
] as const

async function before(folder: string, servers: Server[]) {
  mkdirSync(folder)
  chmodSync(folder, 0o755)
  const urls = servers.map(({ port }) => `http://127.0.0.1:${port}`)
  const { port, stop } = await startNginx(folder, (port) => configureNginx(folder, port, urls))
  return { url: `https://127.0.0.1:${port}`, stop }
}
