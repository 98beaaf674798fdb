/** Counts a caller's requests against one limit: in a time window, or while they run. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { serializeItem } from 'structured-headers'
import type { CountedBy, Limit } from '../../config/limits.ts'
import { hasCredentials } from '../../http/credentials.ts'
import type { RequestCounter } from '../../ports/counters.ts'
import { networkOf } from '../connections/network.ts'
import { tally } from '../connections/tally.ts'

export interface LimitState {
  name: string
  /** An item of RateLimit-Policy. */
  policy: string
  /** An item of RateLimit. */
  left: string
  isExceeded: boolean
  waitSeconds: number
}

/** Counts the request. `null` if the limit does not apply to it. */
export type Check = (request: FastifyRequest, reply: FastifyReply) => Promise<LimitState | null>

/** `Retry-After` for a limit on running requests: the end of a running request is not known. */
const WAIT_SECONDS = 60

const NOBODY = ''

/** The key that a request is counted under. */
const callerOf: Record<CountedBy, (request: FastifyRequest) => string> = {
  network: ({ ip }) => networkOf(ip),
  stranger: (request) => (hasCredentials(request) ? NOBODY : networkOf(request.ip)),
  session: ({ session }) => session?.id ?? NOBODY,
  user: ({ session }) => session?.userId ?? NOBODY,
  recipient: () => NOBODY,
  all: () => NOBODY,
}

/** A request that costs more than the whole limit counts as the whole limit. Otherwise it would never pass. */
export function inWindow(
  counter: RequestCounter,
  name: string,
  { max, per }: Limit,
  windowMs: number,
  costOf: (request: FastifyRequest) => number = () => 1,
): Check {
  const policy = field(name, { q: max, w: windowMs / 1000 })
  return async (request) => {
    const caller = callerOf[per](request)
    if (caller === NOBODY) return null
    const { count, leftMs } = await counter.count(name, caller, windowMs, Math.min(max, costOf(request)))
    const waitSeconds = Math.ceil(leftMs / 1000)
    const left = field(name, { r: Math.max(0, max - count), t: waitSeconds })
    return { name, policy, left, isExceeded: count > max, waitSeconds }
  }
}

/** Skips the limit while the counter cannot be reached. */
export function lenient(check: Check): Check {
  return async (request, reply) => {
    try {
      return await check(request, reply)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EUNREACHABLE') return null
      throw error
    }
  }
}

/** Limits running requests. Counted in this process only, because the limit protects its memory. */
export function underWay(name: string, { max, per }: Limit): Check {
  const policy = field(name, { q: max, qu: 'concurrent-requests' })
  const running = tally()
  return async (request, reply) => {
    const caller = callerOf[per](request)
    if (caller === NOBODY) return null
    const before = running.of(caller)
    const isExceeded = before >= max
    if (!isExceeded && !request.raw.socket.destroyed) {
      running.add(caller, 1)
      reply.raw.once('close', () => running.add(caller, -1))
    }
    const left = field(name, { r: Math.max(0, max - before - 1) })
    return { name, policy, left, isExceeded, waitSeconds: WAIT_SECONDS }
  }
}

/** An item of a structured field (RFC 9651) with its parameters. */
function field(name: string, parameters: Record<string, number | string>): string {
  return serializeItem(name, new Map(Object.entries(parameters)))
}
