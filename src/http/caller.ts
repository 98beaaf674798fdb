import type { FastifyRequest } from 'fastify'
import type { Caller } from '../ports/accounts.ts'

const USER_AGENT_CHARACTERS = 256

/** Who sent the request, for the list of what happened to an account. */
export function callerOf({ ip, headers, id, session }: FastifyRequest): Caller {
  const userAgent = (headers['user-agent'] ?? '').slice(0, USER_AGENT_CHARACTERS)
  // A connection that was reset before it was accepted has no address.
  return { address: ip ?? '', userAgent, requestId: id, session }
}
