/**
 * Behind proxies that the operator trusts, the framework finds the client's address in what they append to
 * X-Forwarded-For. What a client wrote there itself stands left of it, and may be anything.
 */
import { isIP } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

/** Leaves of the field what can be read from its right end, so that an address of a client is always an address. */
export const proxies = fastifyPlugin(async (app) => {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const hops = [headers['x-forwarded-for'] ?? []].flat().join().split(',')
    const garbage = hops.findLastIndex((hop) => isIP(hop.trim()) === 0)
    if (garbage !== -1) headers['x-forwarded-for'] = hops.slice(garbage + 1).join()
    done()
  })
})
