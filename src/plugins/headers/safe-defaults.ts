/**
 * The headers of every response, unless its route sets others. They forbid caching, content sniffing, and use by pages of other
 * origins. They are the headers of helmet, as constants: helmet computes them for each request.
 */
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

const SAFE_DEFAULTS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

/** Only over TLS (RFC 6797, section 7.2). Without includeSubDomains: other hosts of the domain are not ours. */
const OVER_TLS = { ...SAFE_DEFAULTS, 'strict-transport-security': 'max-age=31536000' }

export function setSafeDefaults({ protocol }: FastifyRequest, reply: FastifyReply): void {
  reply.headers(protocol === 'https' ? OVER_TLS : SAFE_DEFAULTS)
}

/** The same headers for a response that is written without the framework. */
export function safeDefaultsOn(socket: Socket): Record<string, string> {
  return 'encrypted' in socket ? OVER_TLS : SAFE_DEFAULTS
}

export const safeDefaults = fastifyPlugin(async function safeDefaults(app) {
  app.addHook('onRequest', (request, reply, done) => {
    setSafeDefaults(request, reply)
    done()
  })
})
