/** Sends the bytes of a download to a client. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ContentReader } from '../vault/crypto/content.ts'
import { recordDamage } from './damage.ts'
import { logOf } from './request-logs.ts'

/** The maximum of memory for a download: bytes that were read, the same bytes opened, and bytes being sent. */
export const DOWNLOAD_BYTES = 3 * 512 * 1024

/**
 * Sends the bytes with the status and headers of the reply, and closes the reader. An error before the first byte is thrown.
 * After the first byte an error destroys the connection, so that no client takes a part for the whole file. `sizeBytes` is
 * `null` if it is not known.
 */
export async function sendBytes(
  reply: FastifyReply,
  bytes: ContentReader,
  sizeBytes: number | null,
): Promise<FastifyReply> {
  try {
    const first = await bytes.next()
    if (first?.length === 1 && first[0]?.length === sizeBytes) return sendWhole(reply, first[0])
    // Without the framework: its pipe waits for the socket to drain, which costs a third of the throughput.
    reply.hijack()
    const { raw, request, statusCode } = reply
    raw.writeHead(statusCode, reply.getHeaders() as OutgoingHttpHeaders)
    const { vault } = request.server
    const owner = request.session?.userId ?? ''
    await pump(first, bytes, raw, () => vault.sendingTurn(owner)).catch((err: unknown) => {
      logOf(request).error({ err }, 'a download was aborted by an error')
      raw.destroy()
      return recordDamage(request, reply, err)
    })
    return reply
  } finally {
    await bytes.close()
  }
}

/** Sends a whole response without the framework, which would replace a content type that is no media type. */
export function sendWhole(reply: FastifyReply, bytes: Buffer | undefined): FastifyReply {
  reply.hijack()
  reply.raw.writeHead(reply.statusCode, reply.getHeaders() as OutgoingHttpHeaders).end(bytes)
  return reply
}

/** Reads the next batch while the previous one is sent. Returns without an error if the client leaves. */
async function pump(
  first: Buffer[] | null,
  bytes: ContentReader,
  response: ServerResponse,
  turn: () => Promise<void>,
): Promise<void> {
  // A connection that is already closed emits no `close` any more.
  if (response.destroyed || response.socket?.destroyed) return
  const gone = new Promise<false>((resolve) => response.once('close', () => resolve(false)))
  for (let batch = first; batch; ) {
    await turn()
    const [next, sent] = await Promise.all([bytes.next(), Promise.race([written(response, batch), gone])])
    if (!sent || response.destroyed) return
    batch = next
  }
  response.end()
}

/** True once the operating system has accepted the whole batch; false if the client is gone. */
function written(response: ServerResponse, batch: Buffer[]): Promise<boolean> {
  return new Promise((resolve) => {
    // Corked, so that the frames are sent in one write.
    response.cork()
    for (const bytes of batch.slice(0, -1)) response.write(bytes)
    response.write(batch.at(-1), (error) => resolve(!error))
    response.uncork()
  })
}
