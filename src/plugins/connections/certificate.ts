/** Reads the server's certificate again at an interval, so a renewed certificate needs no restart. */
import { constants } from 'node:crypto'
import type { Server } from 'node:https'
import fastifyPlugin from 'fastify-plugin'

export interface Certificate {
  /** PEM: the server's certificate and its intermediate certificates. */
  cert: string
  /** PEM, without a passphrase. */
  key: string
}

export interface TlsRules {
  /** Throws if there is no usable pair of certificate and key. */
  read(): Certificate
  /** How often the files are read again. */
  rereadMs: number
}

/** TLS 1.3, and the suites of TLS 1.2 with forward secrecy and authenticated encryption (RFC 9325, section 4.2). */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].flatMap((cipher) => [
    `ECDHE-ECDSA-${cipher}`,
    `ECDHE-RSA-${cipher}`,
  ]),
].join(':')

/**
 * The groups of the key exchange. Without a list, OpenSSL also takes finite fields in TLS 1.3, and a client chooses the group: one
 * ClientHello with `ffdhe8192` costs the server 90 ms, and its sender nothing.
 */
const GROUPS = 'X25519:P-256:P-384'

export const secured = (certificate: Certificate) => ({
  ...certificate,
  minVersion: 'TLSv1.2' as const,
  ciphers: CIPHERS,
  ecdhCurve: GROUPS,
  // No client of HTTP needs a second handshake, and it would not have the limits of the first one. TLS 1.3 has none.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
})

export const certificateRenewal = fastifyPlugin<TlsRules & { first: Certificate }>(
  async function certificateRenewal(app, options) {
    let { cert, key } = options.first
    const timer = setInterval(() => {
      try {
        const found = options.read()
        if (found.cert === cert && found.key === key) return
        ;(app.server as unknown as Server).setSecureContext(secured(found))
        ;({ cert, key } = found)
        app.log.info('using a new certificate')
      } catch (err) {
        // The two files are not replaced at the same moment, so for a while they may not match.
        app.log.error({ err }, 'reading the certificate again failed: the previous one stays in use')
      }
    }, options.rereadMs)
    app.addHook('onClose', async () => clearInterval(timer))
  },
)
