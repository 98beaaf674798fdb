/**
 * Trusted proxies append to X-Forwarded-For, and the framework takes the client's address from there. The entries on the left
 * were sent by the client and can be anything.
 */
import { isIP } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

/** Removes everything up to the last entry that is no IP address, so the client's address is always an IP address. */
export const proxies = fastifyPlugin(async function proxies(app) {
  app.addHook('onRequest', (request, _reply, done) => {
    const { headers } = request.raw
    const hops = [headers['x-forwarded-for'] ?? []].flat().join().split(',')
    const garbage = hops.findLastIndex((hop) => isIP(hop.trim()) === 0)
    if (garbage !== -1) headers['x-forwarded-for'] = hops.slice(garbage + 1).join()
    done()
  })
})
