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

/** TLS 1.2 or newer, with Node's choice of ciphers, which is forward secret and authenticated first. */
export const secured = (certificate: Certificate) => ({ ...certificate, minVersion: 'TLSv1.2' as const })

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
