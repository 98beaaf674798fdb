/** One large file at a time, over sockets of our own. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { rawCall } from './raw-client.ts'
import type { Sample } from './report.ts'
import { cpuSeconds, type Server, watchMemory } from './servers.ts'

const MiB = 1024 * 1024
const BOUNDARY = 'bench-7MA4YWxkTrZu0gW'
/** What is done after an answer, as deleting a file that was replaced, is not to fall into the next round. */
const SETTLE_MS = 200

/** The same bytes again and again: nobody compresses or caches them here. */
const block = randomBytes(MiB)
let uploads = 0

export async function putLarge(server: Server, mib: number): Promise<Sample> {
  const path = `/v1/files/put-${++uploads}`
  const sample = await timed(server, mib, () => put(server, path, mib))
  await discard(server, path)
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
  await discard(server, `/v1/files/${name}`)
  return sample
}

const LARGE = '/v1/files/large'

/** To be done once, before `getLarge`. */
export async function prepareLarge(server: Server, mib: number): Promise<void> {
  await put(server, LARGE, mib)
}

export function getLarge(server: Server, mib: number): Promise<Sample> {
  return timed(server, mib, async () => {
    const got = await rawCall(server.port, { method: 'GET', path: LARGE, headers: server.headers })
    if (got !== mib * MiB) throw new Error(`${server.name} sent ${got} bytes`)
  })
}

async function timed(server: Server, mib: number, act: () => Promise<unknown>): Promise<Sample> {
  const memoryGrowth = watchMemory(server.pid)
  const cpu = cpuSeconds(server.pid)
  const began = performance.now()
  await act()
  const seconds = (performance.now() - began) / 1000
  const cpuAfter = cpuSeconds(server.pid)
  return {
    rate: mib / seconds,
    cpu: cpu === null || cpuAfter === null ? null : ((cpuAfter - cpu) * 1024) / mib,
    memoryMib: memoryGrowth(),
  }
}

function put(server: Server, path: string, mib: number): Promise<number> {
  return rawCall(server.port, { method: 'PUT', path, headers: server.headers, block, times: mib })
}

/** An empty version in its place gives the disk its room back. */
async function discard(server: Server, path: string): Promise<void> {
  await put(server, path, 0)
  await sleep(SETTLE_MS)
}
