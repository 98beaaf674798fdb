/** Measures many parallel small requests, with autocannon or wrk. */
import { randomBytes } from 'node:crypto'
import autocannon, { type Request } from 'autocannon'
import { rawCall } from './raw-client.ts'
import type { Sample } from './report.ts'
import { cpuSeconds, type Server } from './servers.ts'
import { rateByWrk } from './wrk.ts'

const CONNECTIONS = 64
const SMALL_BYTES = 20 * 1024
const SMALL = '/v1/files/small'

const body = randomBytes(SMALL_BYTES)
const json = { 'content-type': 'application/json' }
/** A counter for names and addresses, which are unique in a run. */
let serial = 0

export function putSmall(server: Server, seconds: number): Promise<Sample> {
  const setupRequest = (request: Request) => ({ ...request, path: `/v1/files/small-${++serial}.bin` })
  return fire(server, seconds, [{ method: 'PUT', headers: server.headers, body, setupRequest }])
}

/** Must run once before `getSmall`. */
export async function prepareSmall(server: Server): Promise<void> {
  await rawCall(server.port, { method: 'PUT', path: SMALL, headers: server.headers, block: body, times: 1 })
}

export function getSmall(server: Server, seconds: number): Promise<Sample> {
  return fire(server, seconds, [{ method: 'GET', path: SMALL, headers: server.headers }])
}

const THUMBNAIL = `${SMALL}/thumbnail`
const JPEG = { 'content-type': 'image/jpeg' }

/** Must run once before `getThumbnail` and `putThumbnails`, and after `prepareSmall`. */
export async function prepareThumbnail(server: Server): Promise<void> {
  const headers = { ...server.headers, ...JPEG }
  await rawCall(server.port, { method: 'PUT', path: THUMBNAIL, headers, block: body, times: 1 })
  for (let n = 0; n < CONNECTIONS; n += 1) {
    const path = `/v1/files/pictured-${n}.jpg`
    await rawCall(server.port, { method: 'PUT', path, headers, block: Buffer.from(`picture ${n}`), times: 1 })
  }
}

/** By wrk: with autocannon, the client is the limit. */
export const getThumbnail = (server: Server, seconds: number) => getByWrk(server, THUMBNAIL, seconds)
export const getSmallByWrk = (server: Server, seconds: number) => getByWrk(server, SMALL, seconds)

/** Each replaces the thumbnail of one of as many files as there are connections. */
export function putThumbnails(server: Server, seconds: number): Promise<Sample> {
  const setupRequest = (request: Request) => {
    const picture = Buffer.from(body)
    picture.writeUInt32BE(++serial, 0)
    return { ...request, path: `/v1/files/pictured-${serial % CONNECTIONS}.jpg/thumbnail`, body: picture }
  }
  return fire(server, seconds, [{ method: 'PUT', headers: { ...server.headers, ...JPEG }, body, setupRequest }])
}

/** Each connection registers, then signs in with its PIN. A pair counts as one. */
export async function signUp(server: Server, seconds: number): Promise<Sample> {
  const { rate, cpu, ...rest } = await fire(server, seconds, [
    {
      method: 'POST',
      path: '/v1/users',
      headers: json,
      setupRequest(request, context) {
        const n = ++serial
        context.deviceId = `bench-device-${n}`
        const person = { name: 'Bench', email: `bench-${n}@example.org`, deviceId: context.deviceId }
        return { ...request, body: JSON.stringify(person) }
      },
      onResponse(_status, answer, context) {
        context.pin = JSON.parse(answer).pin
      },
    },
    {
      method: 'POST',
      path: '/v1/sessions',
      headers: json,
      setupRequest: (request, { deviceId, pin }) => ({ ...request, body: JSON.stringify({ deviceId, pin }) }),
    },
  ])
  return { rate: rate / 2, cpu: cpu === null ? null : cpu * 2, ...rest }
}

async function getByWrk({ port, pid, headers }: Server, path: string, seconds: number): Promise<Sample> {
  const cpu = cpuSeconds(pid)
  const began = performance.now()
  const rate = await rateByWrk(`http://127.0.0.1:${port}${path}`, headers.authorization as string, seconds)
  const requests = (rate * (performance.now() - began)) / 1000
  const cpuAfter = cpuSeconds(pid)
  const used = cpu === null || cpuAfter === null ? null : ((cpuAfter - cpu) * 1000) / requests
  return { rate, cpu: used, memory: null }
}

async function fire(server: Server, seconds: number, requests: Request[]): Promise<Sample> {
  const url = `http://127.0.0.1:${server.port}`
  const cpu = cpuSeconds(server.pid)
  const result = await autocannon({ url, connections: CONNECTIONS, duration: seconds, requests })
  const cpuAfter = cpuSeconds(server.pid)
  if (result.non2xx + result.errors + result.timeouts > 0 || result['2xx'] === 0) {
    const { statusCodeStats, errors, timeouts } = result
    throw new Error(`${server.name}: ${JSON.stringify({ statusCodeStats, errors, timeouts })}`)
  }
  return {
    rate: result['2xx'] / result.duration,
    cpu: cpu === null || cpuAfter === null ? null : ((cpuAfter - cpu) * 1000) / result['2xx'],
    memory: null,
  }
}
