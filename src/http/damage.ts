import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerOf } from './caller.ts'

/** Records damage of a file in the owner's activity list. An `onError` hook, for errors before the first byte is sent. */
export async function recordDamage(request: FastifyRequest, _reply: FastifyReply, error: unknown): Promise<void> {
  request.server.vault.activity.noteDamage(error, callerOf(request))
}
