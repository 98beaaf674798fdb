/**
 * The credentials of a request: the token in its `Authorization`, or in the cookie of a page of the server's own origin. A browser
 * sends the cookie by itself. So the cookie counts only if such a page, or the user, has made the request (Fetch Metadata).
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Session } from '../ports/sign-in.ts'
import { problems } from '../problems.ts'
import type { Vault } from '../vault/vault.ts'

interface Credentials {
  from: 'authorization' | 'cookie'
  /** `undefined` if they have no token, or several. */
  token: string | undefined
}

/**
 * The session of the request; `null` if it has no credentials. Bad credentials are `unauthorized`. Then a cookie is cleared, because
 * the page cannot read it and so cannot remove it. The cookie is of the whole browser: another tab may have signed another user in.
 * So a request may name its user, and that of another one is `unauthorized`, too. The credentials are good then, and stay.
 */
export async function findSession(
  request: FastifyRequest,
  reply: FastifyReply,
  { sessions }: Pick<Vault, 'sessions'>,
): Promise<Session | null> {
  const credentials = credentialsOf(request)
  if (!credentials) return null
  const session = await sessions.authenticate(credentials.token)
  if (session) {
    const user = request.headers['x-vault-user']
    if (user !== undefined && user !== session.userId) throw problems.unauthorized()
    return session
  }
  clearCookie(request, reply)
  throw problems.unauthorized()
}

/** Whether the request has credentials, good or bad. A cookie that does not count is none. */
export function hasCredentials(request: FastifyRequest): boolean {
  return credentialsOf(request) !== null
}

/** Whether a browser may have sent the credentials by itself. */
export function reliesOnCookie(request: FastifyRequest): boolean {
  return credentialsOf(request)?.from === 'cookie'
}

/** `cross-site-request` if the request relies on the cookie, changes something, and is not of a page of the server's own origin. */
function credentialsOf(request: FastifyRequest): Credentials | null {
  const { authorization, cookie = '' } = request.headers
  if (authorization !== undefined) return { from: 'authorization', token: bearerToken(authorization) }
  const values = valuesOf(cookie, cookieName(request))
  if (values.length === 0) return null
  if (!isSafe(request)) refuseCrossSite(request)
  else if (!mayRead(request)) return null
  // Without the prefix `__Host-`, another server of the domain can set a cookie of the same name. Nothing shows which one is ours.
  return { from: 'cookie', token: values.length === 1 ? values[0] : undefined }
}

/** RFC 6750, section 2.1. */
function bearerToken(authorization: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization)?.[1]
}

/** Throws `cross-site-request` unless a page of the server's own origin has made the request. */
export function refuseCrossSite(request: FastifyRequest): void {
  const { 'sec-fetch-site': site, origin } = request.headers
  // Browsers without Fetch Metadata, and all browsers over plain HTTP, send an Origin with what is not GET or HEAD.
  const isOwn = site === undefined ? origin !== undefined && origin === ownOrigin(request) : site === 'same-origin'
  if (!isOwn) throw problems.crossSiteRequest()
}

/** The types that a page may send to any origin without asking first (Fetch, "CORS-safelisted request-header"). */
const SIMPLE_TYPES = /^\s*(?:text\/plain|multipart\/form-data|application\/x-www-form-urlencoded)\s*(?:;|$)/i

/**
 * Throws `cross-site-request` for a request without a token that would change something, if a browser may have sent it for a page of
 * another origin without asking first.
 */
export function refuseSimpleRequests(request: FastifyRequest): void {
  const {
    authorization,
    'content-type': type = 'text/plain',
    'sec-fetch-site': site = 'none',
    origin,
  } = request.headers
  if (request.method !== 'POST' || authorization !== undefined || !SIMPLE_TYPES.test(type)) return
  // A client that is no page sends neither field.
  if (site !== 'none' || origin !== undefined) refuseCrossSite(request)
}

/** Whether a page of another site, and not the visitor, caused the request, as far as the browser says so. It brought no token. */
export function isCausedByOthers({ headers }: FastifyRequest): boolean {
  const { authorization, 'sec-fetch-site': site } = headers
  return authorization === undefined && (site === 'cross-site' || site === 'same-site')
}

const isSafe = ({ method }: FastifyRequest) => method === 'GET' || method === 'HEAD'

/** A page may fetch, show, play or download a file. As a script, a style sheet or a worker, a file would be part of the page. */
const DESTINATIONS: unknown[] = [undefined, 'empty', 'document', 'image', 'audio', 'video', 'track']

function mayRead({ headers }: FastifyRequest): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-dest': destination } = headers
  // `none`: the user has typed the address, or opened a bookmark.
  return (site === undefined || site === 'same-origin' || site === 'none') && DESTINATIONS.includes(destination)
}

/**
 * The maximum of a host and a port: a name has 255 bytes (RFC 1035, section 2.3.4). The time to convert a name in another script grows
 * with the square of its length.
 */
const MOST_HOST_CHARACTERS = 255 + ':65535'.length

/** As the client sees it: what trusted proxies say of scheme and host is included. */
function ownOrigin(request: FastifyRequest): string | null {
  if (request.host.length > MOST_HOST_CHARACTERS) return null
  const url = `${isOverTls(request) ? 'https' : 'http'}://${request.host}`
  return URL.canParse(url) ? new URL(url).origin : null
}

const isOverTls = ({ protocol }: FastifyRequest) => protocol === 'https'

/** A browser takes a cookie with this prefix only over TLS, from this host, and for all its paths (RFC 6265bis, 4.1.3.2). */
const cookieName = (request: FastifyRequest) => (isOverTls(request) ? '__Host-minikeepsafe' : 'minikeepsafe')

/** The values of all cookies of exactly this name. Browsers write pairs without other spaces, so none is trimmed. */
function valuesOf(header: string, name: string): string[] {
  const pairs = header.split(/; ?/)
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1))
}

/**
 * Gives the token to the browser. `maxAgeMs` is the longest life of the session, because use extends the session. With `null` the
 * browser keeps the cookie until it is closed.
 */
export function setCookie(request: FastifyRequest, reply: FastifyReply, token: string, maxAgeMs: number | null): void {
  reply.header('set-cookie', cookieOf(request, token, maxAgeMs === null ? null : Math.ceil(maxAgeMs / 1000)))
}

/** Clears the cookie if the request relies on it. */
export function clearCookie(request: FastifyRequest, reply: FastifyReply): void {
  if (reliesOnCookie(request)) reply.header('set-cookie', cookieOf(request, '', 0))
}

function cookieOf(request: FastifyRequest, value: string, maxAgeSeconds: number | null): string {
  const secure = isOverTls(request) ? ' Secure;' : ''
  const maxAge = maxAgeSeconds === null ? '' : `; Max-Age=${maxAgeSeconds}`
  return `${cookieName(request)}=${value}; Path=/;${secure} HttpOnly; SameSite=Strict${maxAge}`
}
