/** With READ_ONLY=on, every request that could change something is refused before its body is read. */
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../problems.ts'

export const readOnly = fastifyPlugin(async function readOnly(app) {
  app.addHook('onRequest', async ({ method }) => {
    if (method !== 'GET' && method !== 'HEAD') throw problems.readOnly()
  })
})
