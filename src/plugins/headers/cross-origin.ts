/**
 * Lets pages of the configured origins use the API from a browser (CORS, in the Fetch standard). Every response to them has the
 * headers, refusals and interrupted downloads included. Pages of other origins get no headers.
 */
import fastifyPlugin from 'fastify-plugin'
import { refuseSimpleRequests } from '../../http/credentials.ts'

/** The response headers that a page may read, in addition to those that CORS always allows. */
const EXPOSED = [
  'Accept-Ranges, Allow, Content-Disposition, Content-Length, Content-Range, ETag, Location',
  'RateLimit, RateLimit-Policy, Repr-Digest, Retry-After, WWW-Authenticate, X-Request-Id',
  // Resumable uploads: of both protocols, of tus, of the IETF's draft.
  'Content-Location, Upload-Length, Upload-Offset',
  'Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version',
  'Upload-Concat, Upload-Defer-Length, Upload-Expires, Upload-Metadata',
  'Accept-Patch, Upload-Complete, Upload-Draft-Interop-Version, Upload-Incomplete, Upload-Limit',
].join(', ')

/** The methods and headers that a page may send. Browsers cache this for two hours at most. */
const PREFLIGHT = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': [
    'Authorization, Content-Type, Content-Digest, Repr-Digest, X-Request-Id, X-Vault-User, Range, If-Range',
    'If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since',
    // Resumable uploads: of both protocols, of tus, of the IETF's draft.
    'Upload-Length, Upload-Offset',
    'Tus-Resumable, Upload-Checksum, Upload-Concat, Upload-Defer-Length, Upload-Metadata',
    'X-HTTP-Method-Override',
    'Content-Disposition, Upload-Complete, Upload-Draft-Interop-Version, Upload-Incomplete',
  ].join(', '),
  'access-control-max-age': '7200',
}

/** The headers of a response to a request with this `Origin`. */
export type OriginHeaders = (origin: string | undefined) => Record<string, string>

export function crossOriginHeaders(origins: string[]): OriginHeaders {
  if (origins.length === 0) return () => ({})
  return (origin) => {
    if (origin === undefined || !origins.includes(origin)) return { vary: 'Origin' }
    // No credentials are allowed: the script of the page sends the token, never the browser.
    return { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED }
  }
}

/** Registered before the checks of requests: a page may read the refusals, too. */
export const crossOrigin = fastifyPlugin<{ originHeaders: OriginHeaders }>(async function crossOrigin(
  app,
  { originHeaders },
) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(originHeaders(request.headers.origin))
    done()
  })
})

/**
 * A page of any origin can have a browser send simple requests (the mode `no-cors` of Fetch), without credentials. They could change
 * nothing, but would count against the limits of the visitor's network. So they are refused before any limit.
 */
export const simpleRequests = fastifyPlugin(async function simpleRequests(app) {
  app.addHook('onRequest', async (request, reply) => {
    if (!reply.hasHeader('access-control-allow-origin')) refuseSimpleRequests(request)
  })
})

/** Registered before the check of unknown paths and methods: a preflight is about the request that comes after it. */
export const preflights = fastifyPlugin(async function preflights(app) {
  app.addHook('onRequest', (request, reply, done) => {
    const preflight = request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined
    if (preflight && reply.hasHeader('access-control-allow-origin')) reply.code(204).headers(PREFLIGHT).send()
    else done()
  })
})
