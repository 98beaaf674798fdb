/** Bodies are taken as they are: a coded one is refused, not stored or parsed in its coded form (RFC 9110, 15.5.16). */
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
    if (coding !== undefined && coding.trim().toLowerCase() !== 'identity') throw problems.unsupportedEncoding()
  })
})
