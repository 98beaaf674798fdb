/** Measures large files, one or sixteen at a time, over raw sockets. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { rawCall } from './raw-client.ts'
import type { Sample } from './report.ts'
import { cpuSeconds, type Server, watchMemory } from './servers.ts'

const MiB = 1024 * 1024
/** The number of parallel files, each on its own connection. */
export const MANY = 16
const BOUNDARY = 'bench-7MA4YWxkTrZu0gW'
/** A pause, so that work after a response, such as the deletion of a replaced file, does not run in the next round. */
export const SETTLE_MS = 200

/** The same bytes are sent repeatedly: no server here compresses or caches them. */
const block = randomBytes(MiB)
let uploads = 0

export async function putLarge(server: Server, mib: number): Promise<Sample> {
  const path = `/v1/files/put-${++uploads}`
  const sample = await timed(server, mib, () => put(server, path, mib))
  await discard(server, [path])
  return sample
}

/** Uploads `MANY` files in parallel, each of this size. */
export async function putMany(server: Server, mibEach: number): Promise<Sample> {
  const run = ++uploads
  const paths = Array.from({ length: MANY }, (_, n) => `/v1/files/many-${run}-${n}`)
  const sample = await timed(server, mibEach * MANY, () => Promise.all(paths.map((path) => put(server, path, mibEach))))
  await discard(server, paths)
  return sample
}

export async function postLarge(server: Server, mib: number): Promise<Sample> {
  const name = `form-${++uploads}`
  const sample = await timed(server, mib, () =>
    rawCall(server.port, {
      method: 'POST',
      path: '/v1/files',
      headers: { ...server.headers, 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` },
      before: [
        `--${BOUNDARY}`,
        `Content-Disposition: form-data; name="file"; filename="${name}"`,
        'Content-Type: application/octet-stream\r\n\r\n',
      ].join('\r\n'),
      block,
      times: mib,
      after: `\r\n--${BOUNDARY}--\r\n`,
    }),
  )
  await discard(server, [`/v1/files/${name}`])
  return sample
}

const LARGE = '/v1/files/large'
const EACH_OF_MANY = Array.from({ length: MANY }, (_, n) => `/v1/files/each-${n}`)

/** Must run once before `getLarge`. */
export async function prepareLarge(server: Server, mib: number): Promise<void> {
  await put(server, LARGE, mib)
}

export function getLarge(server: Server, mib: number, path = LARGE): Promise<Sample> {
  return timed(server, mib, () => get(server, path, mib))
}

/** Must run once before `getMany`. */
export async function prepareMany(server: Server, mibEach: number): Promise<void> {
  await Promise.all(EACH_OF_MANY.map((path) => put(server, path, mibEach)))
}

export function getMany(server: Server, mibEach: number): Promise<Sample> {
  return timed(server, mibEach * MANY, () => Promise.all(EACH_OF_MANY.map((path) => get(server, path, mibEach))))
}

export async function timed(server: Pick<Server, 'pid'>, mib: number, work: () => Promise<unknown>): Promise<Sample> {
  const memory = watchMemory(server.pid)
  const cpu = cpuSeconds(server.pid)
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  const cpuAfter = cpuSeconds(server.pid)
  return {
    rate: mib / seconds,
    cpu: cpu === null || cpuAfter === null ? null : ((cpuAfter - cpu) * 1024) / mib,
    memory: memory(),
  }
}

function put(server: Server, path: string, mib: number): Promise<number> {
  return rawCall(server.port, { method: 'PUT', path, headers: server.headers, block, times: mib })
}

async function get(server: Server, path: string, mib: number): Promise<void> {
  const got = await rawCall(server.port, { method: 'GET', path, headers: server.headers })
  if (got !== mib * MiB) throw new Error(`${server.name} sent ${got} bytes`)
}

/** Replaces the files with empty versions, to free the disk. */
async function discard(server: Server, paths: string[]): Promise<void> {
  for (const path of paths) await put(server, path, 0)
  await sleep(SETTLE_MS)
}
