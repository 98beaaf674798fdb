/** Records when files were read back. */
import fastifyPlugin from 'fastify-plugin'

const RECORD_EVERY_MS = 5000

export const readBacks = fastifyPlugin(async function readBacks(app) {
  if (app.vault.rules.readOnly) return
  const timer = setInterval(app.vault.recordReadBacks, RECORD_EVERY_MS)
  app.addHook('onClose', async () => clearInterval(timer))
})
