/**
 * Each connection costs memory, and is one of the files that a process may have open. So many are taken that there is room
 * for all of them, and for a file of each; one more is told so and closed, where the system would close it without a word.
 */
import { readdirSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../problems.ts'
import { respondRaw } from './errors.ts'

/** For what opens a file now and then: a folder to sync, a page of the documentation. */
const SPARE = 8

export const crowding = fastifyPlugin<{ mostConnections: number }>(async (app, { mostConnections }) => {
  let most = Number.POSITIVE_INFINITY
  let taken = 0
  let told = false
  app.server.once('listening', () => {
    most = Math.min(mostConnections, connectionsAtMost())
    // Without a listener, a connection that the system could not hand over would end the process.
    app.server.on('error', (err) => app.log.error({ err }, 'taking a connection failed'))
  })
  app.server.on('connection', (socket: Socket) => {
    taken += 1
    socket.once('close', () => {
      taken -= 1
      if (taken < most / 2) told = false
    })
    if (taken <= most) return
    // A line for each would fill the disk as well.
    if (!told) app.log.warn(`more than ${most} connections: new ones are refused`)
    told = true
    respondRaw(socket, problems.notReady('The server has too many connections at the moment.'))
    // At once: of those that come together each would hold its place until the next turn.
    socket.destroy()
  })
})

/** Half of what the process may still open. Only Linux says how much that is; elsewhere connections are not counted. */
function connectionsAtMost(): number {
  try {
    const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    const free = Number(limit ?? Number.POSITIVE_INFINITY) - readdirSync('/proc/self/fd').length - SPARE
    return Math.max(1, Math.floor(free / 2))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
