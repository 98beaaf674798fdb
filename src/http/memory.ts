import type { FastifyReply, FastifyRequest } from 'fastify'

/** Reserves memory until the response closes. Throws if there is none, or if the client has left. */
export type ClaimMemory = (request: FastifyRequest, reply: FastifyReply, bytes: number) => Promise<void>
