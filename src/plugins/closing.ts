/**
 * The end of the server: it is not ready any more, requests under way are finished, and connections are closed as soon
 * as they have nothing to do. Node closes the idle ones once, when the closing begins.
 */
import fastifyPlugin from 'fastify-plugin'

const EVERY_MS = 100

export const closing = fastifyPlugin(async (app) => {
  app.addHook('preClose', async () => {
    app.vault.drain()
    const timer = setInterval(() => app.server.closeIdleConnections(), EVERY_MS)
    app.server.once('close', () => clearInterval(timer))
  })
  app.addHook('onClose', () => app.vault.close())
})
