/** Sweeps when the server starts and every five minutes. */
import fastifyPlugin from 'fastify-plugin'

const EVERY_MS = 5 * 60_000

export const sweeper = fastifyPlugin(async function sweeper(app) {
  const timer = setInterval(app.vault.sweep, EVERY_MS)
  app.addHook('onReady', async () => app.vault.sweep())
  app.addHook('onClose', async () => clearInterval(timer))
})
