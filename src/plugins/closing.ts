/**
 * The end of the server: it is not ready any more, requests under way have a while to finish, and connections are closed
 * as soon as they have nothing to do. Node closes the idle ones once, when the closing begins.
 */
import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import fastifyPlugin from 'fastify-plugin'

const EVERY_MS = 100
/**
 * Behind a proxy, requests are still taken for so long, each as the last of its connection: an idle connection that is closed at
 * once may have a request on its way, which a proxy does not send again where it is a POST.
 */
export const LINGER_MS = 1000
/** Then transfers that are still under way are cut, so that the engines are let go of before the process must end. */
const PATIENCE_MS = 8000

export const closing = fastifyPlugin<{ lingerMs: number }>(async (app, { lingerMs }) => {
  // Of one whose TLS handshake is not done, the server itself knows nothing.
  const connections = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
  })
  app.addHook('preClose', async () => {
    app.vault.drain()
    await pause(lingerMs)
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
