/** What Node lets pass and the standard does not, since two readers of such a request could take it for two things. */
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'

/** Fields with one value (RFC 9110, section 5.3). Of several Node takes the first, or puts them together. */
const SINGLE = new Set([
  ...['host', 'origin', 'authorization', 'content-type', 'content-range', 'range', 'if-range'],
  ...['if-modified-since', 'if-unmodified-since'],
])

export const strictHttp = fastifyPlugin(async (app) => {
  app.addHook('onRequest', async ({ raw }, reply) => {
    // RFC 9112, section 3.2. Node would refuse this without a word.
    if (raw.httpVersion === '1.1' && raw.headers.host === undefined) throw problems.malformedHttp()
    if (repeatsSingle(raw.rawHeaders)) throw problems.malformedHttp()
    // RFC 9112, section 6.1: its framing is faulty, so nothing that follows it on this connection is a request.
    if (raw.httpVersion === '1.0' && raw.headers['transfer-encoding'] !== undefined) {
      reply.header('connection', 'close')
      throw problems.malformedHttp()
    }
  })
})

/** `fields` are names and values in turn, as they came. */
function repeatsSingle(fields: string[]): boolean {
  const seen = new Set<string>()
  return fields.some((field, i) => {
    const name = i % 2 === 0 ? field.toLowerCase() : ''
    return SINGLE.has(name) && seen.size === seen.add(name).size
  })
}

/**
 * Whether a target has no fragment (RFC 9112, section 3.2) and a query of percent-encoded UTF-8. The router would cut a fragment
 * off, and the request would be about another file. It would take the `%FF` of a query for three characters.
 */
export function isReadableTarget(target: string): boolean {
  if (target.includes('#')) return false
  const query = target.indexOf('?')
  if (query < 0 || !target.includes('%', query)) return true
  try {
    decodeURIComponent(target.slice(query))
    return true
  } catch {
    return false
  }
}
