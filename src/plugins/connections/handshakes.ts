/**
 * Closes connections that bring much before their TLS handshake is done. OpenSSL keeps a ClientHello of up to 128 KiB until it is
 * whole, and for that it uses 230 KiB: a quarter of a GiB for 1,000 connections.
 */
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

/** The hello of a browser has about 2 KiB, and one with post-quantum keys a few more. */
const MOST_BYTES = 16 * 1024
const CHECK_EVERY_MS = 250

export const handshakes = fastifyPlugin(async function handshakes(app) {
  /** By the address and port of the client: `secureConnection` has another socket of the connection. */
  const open = new Map<string, Socket>()

  app.server.on('connection', (socket: Socket) => {
    const key = keyOf(socket)
    open.set(key, socket)
    socket.once('close', () => {
      if (open.get(key) === socket) open.delete(key)
    })
  })
  app.server.on('secureConnection', (socket: Socket) => open.delete(keyOf(socket)))

  const timer = setInterval(() => {
    for (const socket of open.values()) if (socket.bytesRead > MOST_BYTES) socket.destroy()
  }, CHECK_EVERY_MS)
  app.addHook('onClose', async () => clearInterval(timer))
})

const keyOf = ({ remoteAddress, remotePort }: Socket) => `${remoteAddress} ${remotePort}`
