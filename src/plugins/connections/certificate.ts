/** The server's certificate is read again and again, so that a renewed one is used without a new start. */
import type { Server } from 'node:https'
import fastifyPlugin from 'fastify-plugin'

export interface Certificate {
  /** PEM: the server's certificate, and those between it and one that clients know. */
  cert: string
  /** PEM, without a passphrase. */
  key: string
}

export interface TlsRules {
  /** Throws where there is no pair that can be used. */
  read(): Certificate
  lookAgainMs: number
}

/** TLS 1.2 and 1.3, and of 1.2 only what has forward secrecy and authenticated encryption (RFC 9325, section 4.2). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].flatMap((cipher) => [
    `ECDHE-ECDSA-${cipher}`,
    `ECDHE-RSA-${cipher}`,
  ]),
].join(':')

export const secured = (certificate: Certificate) => ({
  ...certificate,
  minVersion: 'TLSv1.2' as const,
  ciphers: CIPHERS,
})

export const certificateRenewal = fastifyPlugin<TlsRules & { first: Certificate }>(async (app, options) => {
  let { cert, key } = options.first
  const timer = setInterval(() => {
    try {
      const found = options.read()
      if (found.cert === cert && found.key === key) return
      ;(app.server as unknown as Server).setSecureContext(secured(found))
      ;({ cert, key } = found)
      app.log.info('using a new certificate')
    } catch (err) {
      // One of the two files may be written before the other.
      app.log.error({ err }, 'reading the certificate again failed: the former one stays in use')
    }
  }, options.lookAgainMs)
  app.addHook('onClose', async () => clearInterval(timer))
})
