/** Refuses bodies with a content coding, so they are not stored or parsed in coded form (RFC 9110, section 15.5.16). */
import type { IncomingMessage } from 'node:http'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'

export const identityOnly = fastifyPlugin(async function identityOnly(app) {
  // After authentication, before the body.
  app.addHook('preParsing', async (request) => {
    const { 'transfer-encoding': transferCoding, 'content-encoding': coding } = request.headers
    if (transferCoding !== undefined && transferCoding.trim().toLowerCase() !== 'chunked') {
      throw problems.unsupportedTransferCoding()
    }
    // The body of a GET or HEAD is never read.
    if (request.method === 'GET' || request.method === 'HEAD') return
    // An empty body has no coding (RFC 9110, section 8.4). But an empty upload is a file, and its coding would be lost.
    if (hasNoBody(request.raw) && !request.routeOptions.schema?.consumes) return
    if (coding !== undefined && !isIdentity(coding)) throw problems.unsupportedEncoding()
  })
})

/** Whether a list of codings has none but `identity`. It may have empty members, or none at all (RFC 9110, section 5.6.1). */
function isIdentity(codings: string): boolean {
  return codings.split(',').every((coding) => ['', 'identity'].includes(coding.trim().toLowerCase()))
}

/** An empty body counts as none. A chunked body counts as one, since only its end shows whether it is empty. */
export function hasNoBody({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) === 0 && headers['transfer-encoding'] === undefined
}
