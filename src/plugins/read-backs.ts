/** Reads stored files back, a few at a time, and records when files were read back. */
import fastifyPlugin from 'fastify-plugin'

const RECORD_EVERY_MS = 5000
const SCRUB_EVERY_MS = 60_000
/** If everything must be read back within hours, this is done more often. */
const SCRUBS = 1000
const LEAST_MS = 200

export const readBacks = fastifyPlugin(async function readBacks(app) {
  const { scrubMs, readOnly } = app.vault.rules
  if (readOnly) return
  const timers = [setInterval(app.vault.recordReadBacks, RECORD_EVERY_MS)]
  if (scrubMs > 0) {
    const everyMs = Math.min(SCRUB_EVERY_MS, Math.max(LEAST_MS, scrubMs / SCRUBS))
    timers.push(setInterval(app.vault.scrub, everyMs))
  }
  app.addHook('onClose', async () => timers.forEach(clearInterval))
})
