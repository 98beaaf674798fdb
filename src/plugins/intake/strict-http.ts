/** Refuses ambiguous requests that Node accepts and the standard forbids: two servers could read them differently. */
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'

/** Fields that may appear once (RFC 9110, section 5.3). Node uses the first of several, or joins them. */
const SINGLE = new Set([
  ...['host', 'origin', 'authorization', 'content-type', 'content-range', 'range', 'if-range'],
  ...['if-modified-since', 'if-unmodified-since'],
])

/** A host and a port (RFC 3986, section 3.2), or nothing. Some clients send the zone of an IPv6 address, too. */
const HOST = /^(?:\[[\w.:%~-]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i

const VERSIONS = ['1.0', '1.1']

/**
 * The maximum of header fields of a request, as in Apache. Each uses 150 bytes or more until the response is sent, so thousands of
 * requests with many fields would use more memory than all transfers.
 */
export const MOST_FIELDS = 100

export const strictHttp = fastifyPlugin(async function strictHttp(app) {
  // Node drops the fields above this maximum, so a head that never ends has few. A request with more is refused below: a server must
  // not ignore fields (RFC 9110, section 5.4). It may ignore trailer fields, which nothing reads (section 6.5.1). Node
  // 26 refuses a request with more of either.
  app.server.maxHeadersCount = MOST_FIELDS + 1

  app.addHook('onRequest', async ({ raw }, reply) => {
    if (raw.rawHeaders.length > 2 * MOST_FIELDS) {
      reply.header('connection', 'close')
      throw problems.headersTooLarge()
    }
    // Node's parser takes 0.9 and 2.0 for versions, too. The rules below are for those whose messages have this form.
    if (!VERSIONS.includes(raw.httpVersion)) {
      reply.header('connection', 'close')
      throw problems.malformedHttp()
    }
    // RFC 9112, section 3.2. Node would send a 400 without a body.
    if (raw.httpVersion === '1.1' && raw.headers.host === undefined) throw problems.malformedHttp()
    if (raw.headers.host !== undefined && !HOST.test(raw.headers.host)) throw problems.malformedHttp()
    if (repeatsSingle(raw.rawHeaders)) throw problems.malformedHttp()
    // RFC 9112, section 6.1: the framing is invalid, so the bytes after it are no request.
    if (raw.httpVersion === '1.0' && raw.headers['transfer-encoding'] !== undefined) {
      reply.header('connection', 'close')
      throw problems.malformedHttp()
    }
  })
})

/** `fields` are the raw headers: names and values alternate. */
function repeatsSingle(fields: string[]): boolean {
  const seen = new Set<string>()
  return fields.some((field, i) => {
    const name = i % 2 === 0 ? field.toLowerCase() : ''
    return SINGLE.has(name) && seen.size === seen.add(name).size
  })
}

/** A name has at most 255 bytes. The router concatenates the characters one by one, and V8 keeps 32 bytes for each. */
const MOST_ENCODED_BYTES = 765
/** No operation has more than ten. Thousands of names would use ten times their bytes while the request runs. */
const MOST_PARAMETERS = 100

/**
 * Whether a target has no fragment (RFC 9112, section 3.2), a path with not too many encoded bytes, and a query of percent-encoded
 * UTF-8 with not too many parameters. The router would cut off a fragment, and the request would name another file.
 */
export function isReadableTarget(target: string): boolean {
  if (target.includes('#')) return false
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  if (path.split('%', MOST_ENCODED_BYTES + 2).length > MOST_ENCODED_BYTES + 1) return false
  if (query < 0) return true
  if (target.split('&', MOST_PARAMETERS + 1).length > MOST_PARAMETERS) return false
  try {
    decodeURIComponent(target.slice(query))
    return true
  } catch {
    return false
  }
}
