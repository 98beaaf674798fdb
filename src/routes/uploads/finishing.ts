/** Runs an append of either protocol to its end: to the file, if the upload is complete with it. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sessionOf } from '../../http/caller.ts'
import type { Upload } from '../../ports/uploads.ts'
import type { Append, Appended } from '../../vault/uploads/uploads.ts'
import { whileAlive } from './interim.ts'
import type { UploadContext } from './requests.ts'

/** The server may have to read a large upload back at its end. Interim responses then tell the client that the request runs. */
export async function appendAndFinish(
  { vault, interim }: UploadContext,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
  append: (upload: Upload) => Append,
): Promise<Appended> {
  const { userId } = sessionOf(request)
  return whileAlive(reply, interim, () => vault.uploads.append(userId, id, append))
}
