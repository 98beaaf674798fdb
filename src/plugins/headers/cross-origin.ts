/**
 * Pages of the origins that the operator names may use the API from a browser (CORS, in the Fetch standard). Whatever is
 * answered to them says so, refusals and interrupted downloads included; a page from elsewhere gets nothing.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

/** What a client of the API may read beside the few fields that every page may. */
const EXPOSED = [
  'Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, ETag, Location',
  'RateLimit, RateLimit-Policy, Repr-Digest, Retry-After, WWW-Authenticate, X-Request-Id',
].join(', ')

/** What a client of the API may send, for two hours without asking again: browsers remember it no longer. */
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': [
    'Authorization, Content-Type, Content-Digest, Repr-Digest, X-Request-Id, Range, If-Range',
    'If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since',
  ].join(', '),
  'access-control-max-age': '7200',
}

/** Sets the headers for a request from one of the origins, and answers whether it is from one. */
export function crossOriginHeaders(origins: string[]) {
  return ({ headers }: FastifyRequest, reply: FastifyReply): boolean => {
    if (origins.length === 0) return false
    reply.header('vary', 'Origin')
    if (headers.origin === undefined || !origins.includes(headers.origin)) return false
    // No credentials are allowed: a token is sent by the page's own script, never by the browser.
    reply.headers({ 'access-control-allow-origin': headers.origin, 'access-control-expose-headers': EXPOSED })
    return true
  }
}

/** Before unknown paths and methods are refused: a preflight is about the request that comes after it. */
export const crossOrigin = fastifyPlugin<{ origins: string[] }>(async (app, { origins }) => {
  const setHeaders = crossOriginHeaders(origins)
  app.addHook('onRequest', (request, reply, done) => {
    const allowed = setHeaders(request, reply)
    const preflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    if (allowed && preflight) reply.code(204).headers(PREFLIGHT).send()
    else done()
  })
})
