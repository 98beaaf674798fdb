/**
 * Headers that every answer carries unless its route says otherwise: nothing here is for a cache, for guessing, or for a
 * page of somebody else. They are those of helmet; what never changes is not computed for each request.
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

/** Only where the client came over TLS (RFC 6797, section 7.2), and for this host alone: others of its domain are not ours. */
const OVER_TLS = { ...SAFE_DEFAULTS, 'strict-transport-security': 'max-age=31536000' }

export function setSafeDefaults({ protocol }: FastifyRequest, reply: FastifyReply): void {
  reply.headers(protocol === 'https' ? OVER_TLS : SAFE_DEFAULTS)
}

/** The same for an answer that is written without the framework. */
export function safeDefaultsOn(socket: Socket): Record<string, string> {
  return 'encrypted' in socket ? OVER_TLS : SAFE_DEFAULTS
}

export const safeDefaults = fastifyPlugin(async (app) => {
  app.addHook('onRequest', (request, reply, done) => {
    setSafeDefaults(request, reply)
    done()
  })
})
