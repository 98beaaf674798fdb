import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from './caller.ts'

/** Tells the owner of a file that it was found damaged; a hook for whatever fails before the first byte goes out. */
export async function tellDamage(request: FastifyRequest, _reply: FastifyReply, error: unknown): Promise<void> {
  request.server.vault.activity.noteDamage(error, callerOf(request))
}
