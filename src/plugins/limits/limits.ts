/**
 * Enforces the limits of `config/limits.ts`. Limits by network are checked first, limits by session and user after
 * authentication, and all of them before the body is read. Responses report the state of each limit in the fields of
 * draft-ietf-httpapi-ratelimit-headers-10.
 *
 * A bad token counts against its network under `bad-tokens` only. So bad tokens do not lock out a valid token of the same
 * network.
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
    /** The limits of the route, in the order of their checks. `requests` applies to every route that needs a session. */
    limits?: LimitName[]
    /** How much a request counts against `requests`: at least 1, and 1 by default. Nothing is validated yet. */
    cost?: (query: Record<string, unknown>, headers: FastifyRequest['headers']) => number
  }
}

export interface RequestLimits {
  limits: Limits
  counter: RequestCounter
}

/** Without limits, the 429 is still documented: the document is the same for every server. */
export const limits = fastifyPlugin<{ rules: RequestLimits | null }>(async function limits(app, { rules }) {
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
    // Hooks of a route run after those of its scope, and the scope finds the session.
    route.onRequest = [hookOf(before), ...[route.onRequest ?? []].flat(), hookOf(after)].filter((hook) => hook !== null)
    if (takesTokens(route)) route.errorHandler = countingBadTokens(checks['bad-tokens'])
  })
})

function costOfRequest({ routeOptions, query, headers }: FastifyRequest): number {
  return routeOptions.config.cost?.(query as Record<string, unknown>, headers) ?? 1
}

function limitsOf(route: RouteOptions): LimitName[] {
  if (isPage(route)) return ['docs']
  const named = route.config?.limits ?? []
  return takesTokens(route) && route.schema?.security === undefined ? ['requests', ...named] : named
}

/** The routes of the documentation, which a package registers. */
function isPage({ url }: RouteOptions): boolean {
  return url === '/docs' || url.startsWith('/docs/')
}

/** Whether a session is required or optional for the route. */
function takesTokens(route: RouteOptions): boolean {
  return !isPage(route) && route.schema?.security?.length !== 0
}

function hookOf(checks: Check[]) {
  if (checks.length === 0) return null
  return (request: FastifyRequest, reply: FastifyReply) => enforce(checks, request, reply)
}

/** An error handler that counts bad tokens and passes every error on to the general handler. */
function countingBadTokens(check: Check) {
  return async (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    if (error instanceof Problem && error.code === 'unauthorized') await enforce([check], request, reply)
    throw error
  }
}

async function enforce(checks: Check[], request: FastifyRequest, reply: FastifyReply): Promise<void> {
  for (const check of checks) {
    const state = await check(request, reply)
    if (!state) continue
    append(reply, 'ratelimit-policy', state.policy)
    append(reply, 'ratelimit', state.left)
    if (state.isExceeded) throw problems.tooManyRequests(state.name, state.waitSeconds)
  }
}

function append(reply: FastifyReply, field: string, value: string) {
  const before = reply.getHeader(field)
  reply.header(field, before === undefined ? value : `${before}, ${value}`)
}
