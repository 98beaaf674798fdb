/** How a caller stands with one limit: counted in a window of time, or while it is under way. */
import { isIP } from 'node:net'
import { type FastifyRateLimitStore, type FastifyRateLimitStoreCtor, normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Counted, Limit } from '../limits.ts'
import type { RequestCounter } from '../ports.ts'

export interface Standing {
  name: string
  /** An item of RateLimit-Policy. */
  policy: string
  /** An item of RateLimit. */
  left: string
  isExceeded: boolean
  waitSeconds: number
}

/** Counts the request. `null` where it is not one of those that the limit is about. */
export type Check = (request: FastifyRequest, reply: FastifyReply) => Promise<Standing | null>

/** Nobody knows when an answer that is under way will be over. */
const WAIT_SECONDS = 60

const NOBODY = ''

/** What stands for who is counted. */
const callerOf: Record<Counted, (request: FastifyRequest) => string> = {
  network: networkOf,
  stranger: (request) => (request.headers.authorization === undefined ? networkOf(request) : NOBODY),
  session: ({ session }) => session?.id ?? NOBODY,
  user: ({ session }) => session?.userId ?? NOBODY,
  recipient: () => NOBODY,
  all: () => NOBODY,
}

export function inWindow(app: FastifyInstance, name: string, { max, per }: Limit, windowMs: number): Check {
  const policy = `"${name}";q=${max};w=${windowMs / 1000}`
  const options = { limit: name, max, timeWindow: windowMs, keyGenerator: callerOf[per], allowList: isNobody }
  const count = app.createRateLimit(options)
  return async (request) => {
    const counted = await count(request)
    if (counted.isAllowed) return null
    const { remaining, isExceeded, ttlInSeconds } = counted
    const left = `"${name}";r=${remaining};t=${ttlInSeconds}`
    return { name, policy, left, isExceeded, waitSeconds: ttlInSeconds }
  }
}

/** Where nothing can be counted for a while, whoever has a session goes on without this limit. */
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

/** In this process alone: what such answers need is its memory. */
export function underWay(name: string, { max, per }: Limit): Check {
  const policy = `"${name}";q=${max};qu="concurrent-requests"`
  const running = new Map<string, number>()
  return async (request, reply) => {
    const caller = callerOf[per](request)
    if (caller === NOBODY) return null
    const before = running.get(caller) ?? 0
    const isExceeded = before >= max
    if (!isExceeded && !request.raw.socket.destroyed) {
      running.set(caller, before + 1)
      whenOver(reply, () => letGo(caller))
    }
    const left = `"${name}";r=${Math.max(0, max - before - 1)}`
    return { name, policy, left, isExceeded, waitSeconds: WAIT_SECONDS }
  }

  function letGo(caller: string) {
    const others = (running.get(caller) ?? 0) - 1
    if (others > 0) running.set(caller, others)
    else running.delete(caller)
  }
}

/** The package's store, by limit and caller, over a counter of ours. */
export function storeOn(counter: RequestCounter): FastifyRateLimitStoreCtor {
  const storeOf = (limit: string): FastifyRateLimitStore => ({
    incr(caller, done, windowMs) {
      counter
        .count(limit, caller, windowMs)
        .then(({ count, leftMs }) => done(null, { current: count, ttl: leftMs }), done)
    },
    // The package hands on the options of `createRateLimit`, whatever is in them.
    child: (options) => storeOf((options as unknown as { limit: string }).limit),
  })
  // The package calls it with `new`.
  return function store() {
    return storeOf('none')
  } as unknown as FastifyRateLimitStoreCtor
}

/** An IPv4 address, or the /64 of an IPv6 address: whoever has one of its addresses has all of them. */
function networkOf({ ip }: FastifyRequest): string {
  // There is none where the client has left already, or on a socket of the system's own.
  return isIP(ip) ? normalizeIP(ip) : 'unknown'
}

function isNobody(_request: FastifyRequest, key: string): boolean {
  return key === NOBODY
}

/** A pipelined answer whose client leaves before its turn comes hears of nothing; its connection does. */
function whenOver({ raw, request }: FastifyReply, act: () => void) {
  const { socket } = request.raw
  const over = () => {
    raw.off('close', over)
    socket.off('close', over)
    act()
  }
  raw.once('close', over)
  socket.once('close', over)
}
