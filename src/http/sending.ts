/** Bytes on their way to a client. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ContentReader } from '../vault/crypto/content.ts'
import { tellDamage } from './damage.ts'
import { logOf } from './request-logs.ts'

/** What a download may hold of the memory: bytes that were read, the same opened, and those on their way to the client. */
export const DOWNLOAD_BYTES = 3 * 512 * 1024

/**
 * Sends the bytes under the status and headers that the reply has, and lets go of them. What goes wrong before the
 * first byte is thrown; after it the connection breaks, so that no client takes a part for the whole. `sizeBytes` is how many
 * there are, where that is known.
 */
export async function sendBytes(
  reply: FastifyReply,
  bytes: ContentReader,
  sizeBytes: number | null,
): Promise<FastifyReply> {
  try {
    const first = await bytes.next()
    if (first?.length === 1 && first[0]?.length === sizeBytes) return reply.send(first[0])
    // Past the framework, whose pipe waits for the socket to drain: that costs a third of the rate.
    reply.hijack()
    const { raw, request, statusCode } = reply
    raw.writeHead(statusCode, reply.getHeaders() as OutgoingHttpHeaders)
    await pump(first, bytes, raw).catch((err: unknown) => {
      logOf(request).error({ err }, 'a download broke off')
      raw.destroy()
      return tellDamage(request, reply, err)
    })
    return reply
  } finally {
    await bytes.close()
  }
}

/** Fetches the next bytes while the last ones are on their way. Ends quietly where the client goes away. */
async function pump(first: Buffer[] | null, bytes: ContentReader, response: ServerResponse): Promise<void> {
  // Of a connection that is dead already, nothing is heard any more.
  if (response.destroyed || response.socket?.destroyed) return
  const gone = new Promise<false>((resolve) => response.once('close', () => resolve(false)))
  for (let batch = first; batch; ) {
    const [next, sent] = await Promise.all([bytes.next(), Promise.race([written(response, batch), gone])])
    if (!sent || response.destroyed) return
    batch = next
  }
  response.end()
}

/** True once the system has taken all of the batch; false where the client is gone. */
function written(response: ServerResponse, batch: Buffer[]): Promise<boolean> {
  return new Promise((resolve) => {
    // Corked, the frames leave in one write.
    response.cork()
    for (const bytes of batch.slice(0, -1)) response.write(bytes)
    response.write(batch.at(-1), (error) => resolve(!error))
    response.uncork()
  })
}
