import type { FastifyRequest } from 'fastify'
import type { Caller } from '../ports/accounts.ts'
import type { Session } from '../ports/sign-in.ts'

const USER_AGENT_CHARACTERS = 256

/** The client of a request, as the activity list of an account records it. */
export function callerOf({ ip, headers, id, session }: FastifyRequest): Caller {
  const userAgent = (headers['user-agent'] ?? '').slice(0, USER_AGENT_CHARACTERS)
  // A connection that was reset before it was accepted has no address.
  return { address: ip ?? '', userAgent, requestId: id, session: session ?? undefined }
}

/** The session of a request in the members' scope, which `plugins/auth.ts` has authenticated. */
export function sessionOf({ session }: FastifyRequest): Session {
  if (!session) throw new Error('the route is outside the members’ scope, so the request has no session')
  return session
}
