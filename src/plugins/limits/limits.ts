/**
 * Nobody asks more often than `config/limits.ts` allows, nor for more. By network before anything else is known of a caller; by
 * session and user once it is found; in any case before the body is read. Answers tell how the caller stands, in the fields of
 * draft-ietf-httpapi-ratelimit-headers-10.
 *
 * A bad token is known only after it was looked up, and counts against its network for bad tokens alone: whoever shares
 * that network and has a good one is let in, however many bad ones came from there.
 */
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { LimitName, Limits } from '../../config/limits.ts'
import type { RequestCounter } from '../../ports/counters.ts'
import { Problem, problems } from '../../problems.ts'
import { failures } from '../../schemas/common.ts'
import { type Check, inWindow, lenient, underWay } from './limit-checks.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What limits the route, in the order in which it is looked at; `requests` limits whatever needs a session. */
    limits?: LimitName[]
    /** What a request counts against `requests`, at least 1; 1 where a route does not say. Its query is not checked yet. */
    cost?: (query: Record<string, unknown>) => number
  }
}

export interface RequestLimits {
  limits: Limits
  counter: RequestCounter
}

/** Where there are no limits, the routes that have them elsewhere are documented all the same. */
export const limits = fastifyPlugin<{ rules: RequestLimits | null }>(async (app, { rules }) => {
  app.addHook('onRoute', (route) => {
    if (limitsOf(route).length === 0 || !route.schema) return
    route.schema.response = { ...(route.schema.response as object), ...failures('too-many-requests') }
  })
  if (!rules) return

  const checks = Object.fromEntries(
    Object.entries(rules.limits).map(([name, limit]) => {
      if (limit.windowMs === null) return [name, underWay(name, limit)]
      const costOf = name === 'requests' ? costOfRequest : undefined
      const check = inWindow(rules.counter, name, limit, limit.windowMs, costOf)
      return [name, limit.strict ? check : lenient(check)]
    }),
  ) as Record<LimitName, Check>

  app.addHook('onRoute', (route) => {
    const isKnown = (name: LimitName) => ['session', 'user'].includes(rules.limits[name].per)
    const names = limitsOf(route)
    const before = names.filter((name) => !isKnown(name)).map((name) => checks[name])
    const after = names.filter(isKnown).map((name) => checks[name])
    // Of one route, but behind those of its scope, by which the session is found.
    route.onRequest = [hookOf(before), ...[route.onRequest ?? []].flat(), hookOf(after)].filter((hook) => hook !== null)
    if (takesTokens(route)) route.errorHandler = countingBadTokens(checks['bad-tokens'])
  })
})

function costOfRequest({ routeOptions, query }: FastifyRequest): number {
  return routeOptions.config.cost?.(query as Record<string, unknown>) ?? 1
}

function limitsOf(route: RouteOptions): LimitName[] {
  if (isPage(route)) return ['docs']
  const named = route.config?.limits ?? []
  return takesTokens(route) && route.schema?.security === undefined ? ['requests', ...named] : named
}

/** The documentation, whose routes are a package's. */
function isPage({ url }: RouteOptions): boolean {
  return url === '/docs' || url.startsWith('/docs/')
}

/** Needs a session, or makes use of one. */
function takesTokens(route: RouteOptions): boolean {
  return !isPage(route) && route.schema?.security?.length !== 0
}

function hookOf(checks: Check[]) {
  if (checks.length === 0) return null
  return (request: FastifyRequest, reply: FastifyReply) => enforce(checks, request, reply)
}

/** Stands before the handler of all errors, to which everything goes on. */
function countingBadTokens(check: Check) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (error instanceof Problem && error.code === 'unauthorized') await enforce([check], request, reply)
    throw error
  }
}

async function enforce(checks: Check[], request: FastifyRequest, reply: FastifyReply): Promise<void> {
  for (const check of checks) {
    const standing = await check(request, reply)
    if (!standing) continue
    append(reply, 'ratelimit-policy', standing.policy)
    append(reply, 'ratelimit', standing.left)
    if (standing.isExceeded) throw problems.tooManyRequests(standing.name, standing.waitSeconds)
  }
}

function append(reply: FastifyReply, field: string, value: string) {
  const before = reply.getHeader(field)
  reply.header(field, before === undefined ? value : `${before}, ${value}`)
}
