/**
 * Limits the number of running requests, and the memory of large bodies and responses. Each network and each user has a share
 * of both, so no single one can use up everything. These limits protect the process. They apply with RATE_LIMIT=off, too.
 */
import type { FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ClaimMemory } from '../../http/memory.ts'
import { problems } from '../../problems.ts'
import type { MemoryPool } from './memory-pool.ts'
import { networkOf } from './network.ts'
import { tally } from './tally.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The maximum of memory that the request uses at a time: for its body, or for its response while the client does not read.
     * `uploadBytes` is the memory of one upload in the blob store. Absent if the request uses almost none.
     */
    memoryBytes?: (request: FastifyRequest, uploadBytes: number) => number | Promise<number>
  }
}

export interface ShareRules {
  /** The maximum of running requests of one network and of one user. The total is limited by the number of connections. */
  mostOfNetwork: number
  mostOfUser: number
  /** The memory of one upload. */
  uploadBytes: number
  claim: ClaimMemory
}

export function memoryClaims(pool: MemoryPool): ClaimMemory {
  return async (request, reply, bytes, isMore = false) => {
    if (isOver(reply)) throw problems.incompleteBody()
    const user = request.session?.userId ?? null
    await pool.claim({ bytes, network: networkOf(request.ip), user, isMore }, reply.raw)
  }
}

const RETRY_SECONDS = 5

export const shares = fastifyPlugin<ShareRules>(async function shares(
  app,
  { mostOfNetwork, mostOfUser, uploadBytes, claim },
) {
  const ofNetwork = runningRequests(mostOfNetwork)
  const ofUser = runningRequests(mostOfUser)

  app.addHook('onRequest', (request, reply, done) => {
    // Monitoring must work when the server refuses other requests.
    if (request.routeOptions.url?.startsWith('/health/')) return done()
    ofNetwork.add(networkOf(request.ip), 'requests of one network', reply)
    done()
  })

  // At preParsing the session is known, and the body is not read yet.
  app.addHook('preParsing', async (request, reply) => {
    const user = request.session?.userId ?? null
    if (user !== null) {
      ofUser.add(user, 'requests of one user', reply)
      if (!isOver(reply)) reply.raw.once('close', app.vault.comesFrom(user, networkOf(request.ip)))
    }
    const { memoryBytes } = request.routeOptions.config
    if (!memoryBytes) return
    const bytes = await memoryBytes(request, uploadBytes)
    if (bytes > 0 && !isOver(reply)) await claim(request, reply, bytes)
  })
})

function runningRequests(most: number) {
  const running = tally()
  return {
    add(client: string, limit: string, reply: FastifyReply) {
      if (running.of(client) >= most) throw problems.tooManyRequests(limit, RETRY_SECONDS)
      if (isOver(reply)) return
      running.add(client, 1)
      reply.raw.once('close', () => running.add(client, -1))
    },
  }
}

/** The client has left: the response has emitted `close`, or never will. */
export function isOver({ raw }: FastifyReply): boolean {
  return raw.destroyed || raw.socket?.destroyed !== false
}
