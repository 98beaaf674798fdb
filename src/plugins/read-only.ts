/** With READ_ONLY=on, every request that could change something is refused before its body is read. */
import type { FastifyContextConfig } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route changes nothing, though its method is neither GET nor HEAD. */
    changesNothing?: true
  }
}

export const mayChange = (method: string, { changesNothing }: FastifyContextConfig): boolean =>
  method !== 'GET' && method !== 'HEAD' && !changesNothing

export const readOnly = fastifyPlugin(async function readOnly(app) {
  app.addHook('onRequest', async ({ method, routeOptions }) => {
    if (mayChange(method, routeOptions.config)) throw problems.readOnly()
  })
})
