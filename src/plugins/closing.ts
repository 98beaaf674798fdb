/**
 * The end of the server: it is not ready any more, requests under way have a while to finish, and connections are closed
 * as soon as they have nothing to do. Node closes the idle ones once, when the closing begins.
 */
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

const EVERY_MS = 100
/** Then transfers that are still under way are cut, so that the engines are let go of before the process must end. */
const PATIENCE_MS = 8000

export const closing = fastifyPlugin(async (app) => {
  // Of one whose TLS handshake is not done, the server itself knows nothing.
  const connections = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  app.addHook('preClose', async () => {
    app.vault.drain()
    const timer = setInterval(() => app.server.closeIdleConnections(), EVERY_MS)
    const cut = setTimeout(() => {
      for (const socket of connections) socket.destroy()
    }, PATIENCE_MS)
    app.server.once('close', () => {
      clearInterval(timer)
      clearTimeout(cut)
    })
  })
  app.addHook('onClose', () => app.vault.close())
})
