import type { IncomingMessage } from 'node:http'
import fastifyPlugin from 'fastify-plugin'

/**
 * Keeps the address of whoever sent a request: Node forgets that of a closed connection which nobody has asked for before.
 * Who hangs up at once is not to go unnamed.
 */
export const peerAddress = fastifyPlugin(async (app) => {
  app.server.on('request', ({ socket }: IncomingMessage) => void socket.remoteAddress)
})
