/** Headers that every answer carries unless its route says otherwise: nothing here is for a cache or for guessing. */
import fastifyPlugin from 'fastify-plugin'

export const SAFE_DEFAULTS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

export const safeDefaults = fastifyPlugin(async (app) => {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(SAFE_DEFAULTS)
    done()
  })
})
