import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Reserves memory until the response closes. Throws if there is none, or if the client has left. `isMore`: the response has memory
 * already and needs more. Only the total limits this, since the first claim of a large response may be more than a share.
 */
export type ClaimMemory = (
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: number,
  isMore?: boolean,
) => Promise<void>
