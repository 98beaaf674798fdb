/**
 * What requests hold while they are under way, shared out: a place for each, and memory for those whose bodies or responses are
 * large. Each network and each user has a share of both, so nobody can use up all of it. These bounds protect the process, and
 * hold whatever the rate limits are.
 */
import type { FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../../problems.ts'
import { memoryPool } from './memory-pool.ts'
import { networkOf } from './network.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * How much memory the request may hold at a time, in bytes: its body on the way in, or its response while the client does
     * not read. `uploadBytes` is what the store of blobs holds of an upload. Absent where that is next to nothing.
     */
    holds?: (request: FastifyRequest, uploadBytes: number) => number | Promise<number>
  }
}

export interface ShareRules {
  /** Requests under way at a time: of one network, of one user. In all there are as many as connections. */
  mostOfNetwork: number
  mostOfUser: number
  memory: {
    totalBytes: number
    networkBytes: number
    userBytes: number
    /** What one upload may hold. */
    uploadBytes: number
    /** How long a request waits for memory before it is refused. */
    waitMs: number
  }
}

const RETRY_SECONDS = 5

export const shares = fastifyPlugin<ShareRules>(async (app, { mostOfNetwork, mostOfUser, memory }) => {
  const ofNetwork = places(mostOfNetwork)
  const ofUser = places(mostOfUser)
  const pool = memoryPool(memory)

  app.addHook('onRequest', (request, reply, done) => {
    // Whoever watches the server is to get in when others do not.
    if (request.routeOptions.url?.startsWith('/health/')) return done()
    ofNetwork.take(networkOf(request.ip), 'requests of one network', reply)
    done()
  })

  // Every hook that finds the session has run, and no body is read yet.
  app.addHook('preParsing', async (request, reply) => {
    const user = request.session?.userId ?? null
    if (user !== null) ofUser.take(user, 'requests of one user', reply)
    const { holds } = request.routeOptions.config
    if (!holds) return
    const bytes = await holds(request, memory.uploadBytes)
    if (!isOver(reply)) await pool.hold({ bytes, network: networkOf(request.ip), user }, reply.raw)
  })
})

function places(most: number) {
  const taken = new Map<string, number>()
  return {
    take(client: string, what: string, reply: FastifyReply) {
      const before = taken.get(client) ?? 0
      if (before >= most) throw problems.tooManyRequests(what, RETRY_SECONDS)
      if (isOver(reply)) return
      taken.set(client, before + 1)
      reply.raw.once('close', () => {
        const others = (taken.get(client) ?? 1) - 1
        if (others > 0) taken.set(client, others)
        else taken.delete(client)
      })
    },
  }
}

/** The client has left, and nothing would be heard of the end of the response any more. */
function isOver({ raw }: FastifyReply): boolean {
  return raw.destroyed || raw.socket?.destroyed !== false
}
