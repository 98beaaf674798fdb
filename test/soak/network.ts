/** The network of a phone: `fetch` that counts, judges errors of the server, and breaks now and then. */
import { setTimeout as pause } from 'node:timers/promises'
import { VaultError } from '../../clients/typescript/src/errors.ts'
import type { FaultyProxy } from '../support/faulty-proxy.ts'
import { add, type Journal } from './journal.ts'
import type { Outages } from './outages.ts'
import type { Random } from './random.ts'

/** Errors that are right while something is out of order. A proxy sends 502 and 504 for a server that was killed. */
const OF_OUTAGES = [502, 503, 504, 507]

export function countingFetch(journal: Journal, outages: Outages): typeof fetch {
  return async (input, init = {}) => {
    const wasCalm = outages.isCalm()
    journal.counts.requests += 1
    journal.counts.sentBytes += sizeOf(init.body)
    try {
      const response = await fetch(input, init)
      const { status } = response
      journal.counts.receivedBytes += Number(response.headers.get('content-length') ?? 0)
      if (status < 400) return response
      journal.counts.refusals += 1
      const { code = '' } = await codeOf(response)
      const isExcused = !(wasCalm && outages.isCalm())
      add(journal.refusals, `${status} ${code}${isExcused ? ' (outage)' : ''}`)
      if (status >= 500 && !(isExcused && OF_OUTAGES.includes(status))) {
        const what = `${init.method ?? 'GET'} ${routeOf(String(input))}`
        journal.violation(`${what}: ${status} ${code}, request ${response.headers.get('x-request-id')}`)
      }
      return response
    } catch (error) {
      journal.counts.broken += 1
      throw error
    }
  }
}

/** Lets the line fail while `work` runs, or not. Afterwards it is sound. */
export async function overBadLine<T>(
  line: FaultyProxy,
  random: Random,
  journal: Journal,
  work: () => Promise<T>,
): Promise<T> {
  const trouble = random.pick(TROUBLES)
  if (!trouble || !random.chance(SHARE)) return work()
  journal.counts.faults += 1
  const over = new AbortController()
  const troubling = trouble(line, random, over.signal)
  try {
    return await work()
  } finally {
    over.abort()
    await troubling
    await line.heal()
  }
}

/** No response, or one that says that the server could not do it at the moment. */
export function isOfNetwork({ status, code }: VaultError): boolean {
  if (status === null) return true
  return FOR_NOW.includes(status) || code === 'incomplete-body' || code === 'upload-in-use'
}

/** The status of a refusal, or 200. Errors of the network throw. */
export async function statusOf(request: () => Promise<unknown>): Promise<number> {
  try {
    await request()
    return 200
  } catch (error) {
    if (error instanceof VaultError && error.status !== null && !isOfNetwork(error)) return error.status
    throw error
  }
}

/** 500 is a violation already. */
const FOR_NOW = [408, 423, 429, 500, 502, 503, 504, 507]
const SHARE = 0.2
type Trouble = (line: FaultyProxy, random: Random, over: AbortSignal) => Promise<void>

const TROUBLES: Trouble[] = [
  async (line, random) =>
    void line.cutAfter(random.int(60_000), 'up', random.pick(['reset', 'end', 'silent']) ?? 'end'),
  async (line, random) => void line.cutAfter(random.int(2000), 'down', 'reset'),
  async (line, random, over) => {
    line.delay(20 + random.int(100))
    await pause(300 + random.int(1200), null, { signal: over }).catch(() => {})
    await line.heal()
  },
  async (line, random, over) => {
    line.hang()
    await pause(300 + random.int(1200), null, { signal: over }).catch(() => {})
    if (random.chance(0.5)) line.cut()
    await line.heal()
  },
  async (line, random, over) => {
    await line.refuse()
    await pause(200 + random.int(1500), null, { signal: over }).catch(() => {})
    await line.heal()
  },
]

async function codeOf(response: Response): Promise<{ code?: string }> {
  try {
    return (await response.clone().json()) as { code?: string }
  } catch {
    return {}
  }
}

function sizeOf(body: unknown): number {
  if (body instanceof Uint8Array) return body.length
  if (body instanceof Blob) return body.size
  return typeof body === 'string' ? body.length : 0
}

/** Without ids and names. */
function routeOf(url: string): string {
  const { pathname } = new URL(url)
  return pathname.replace(/\/(files|uploads|trash|sessions)\/[^/]+/, '/$1/…')
}
