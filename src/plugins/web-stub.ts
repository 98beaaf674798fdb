/** Serves the web vault. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import fastifyPlugin from 'fastify-plugin'

const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const web = fastifyPlugin(async function web(app) {
  const root = join(import.meta.dirname, '..', '..', 'web', 'dist')
  if (!existsSync(root)) return
  app.addHook('onRoute', (route) => {
    if (!/^\/(v1|docs|health)/.test(route.url)) route.schema = { ...route.schema, hide: true }
  })
  await app.register(fastifyStatic, {
    root,
    wildcard: false,
    decorateReply: false,
    setHeaders: (reply) => {
      reply.header('content-security-policy', PAGE_POLICY)
    },
  })
})
