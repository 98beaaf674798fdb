/** Bodies are taken as they are: a coded one is refused, not stored or parsed in its coded form (RFC 9110, 15.5.16). */
import type { IncomingMessage } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'

export const identityOnly = fastifyPlugin(async (app) => {
  // After authentication, before the body.
  app.addHook('preParsing', async (request) => {
    const { 'transfer-encoding': transferCoding, 'content-encoding': coding } = request.headers
    if (transferCoding !== undefined && transferCoding.trim().toLowerCase() !== 'chunked') {
      throw problems.unsupportedTransferCoding()
    }
    // Of these no body is read, whatever is announced.
    if (request.method === 'GET' || request.method === 'HEAD') return
    // Nothing was coded in an empty body (RFC 9110, section 8.4). An empty upload is a file, whose coding would be lost.
    if (hasNoBody(request.raw) && !request.routeOptions.schema?.consumes) return
    if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') throw problems.unsupportedEncoding()
  })
})

/** An empty one counts as none. Whether one in chunks is empty is known at its end only. */
export function hasNoBody({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) === 0 && headers['transfer-encoding'] === undefined
}
