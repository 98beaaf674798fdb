/**
 * A refusal that is sent before the body was read ends the connection. The rest of the body is drained for a limited time first:
 * closing at once would reset the connection, and the client would lose the refusal.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { PassThrough, type Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'

const DRAIN_BYTES = 1024 * 1024
const DRAIN_MS = 2000

/** Requests whose client still waits for a 100 before it sends the body (RFC 9110, section 10.1.1). */
const awaitingContinue = new WeakSet<IncomingMessage>()

/** Sends the refusal. If the body is not read to its end, the refusal is the last response of its connection. */
export function sendRefusal(reply: FastifyReply, refusal: Buffer): void {
  const { raw } = reply.request
  if (!hasUnreadBody(raw)) return void reply.send(refusal)
  reply.header('connection', 'close')
  if (awaitingContinue.has(raw)) return void reply.send(refusal)
  reply.header('content-length', refusal.length).send(thenDrain(refusal, raw))
}

export const lateContinue = fastifyPlugin(async function lateContinue(app) {
  // Node would send the 100 at once. Here it is sent when the body is first read, so a refusal can replace it.
  app.server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    awaitingContinue.add(request)
    request.on('newListener', (event) => {
      if ((event === 'data' || event === 'readable') && awaitingContinue.delete(request)) response.writeContinue()
    })
    app.server.emit('request', request, response)
  })

  // Any other expectation may be ignored.
  app.server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    app.server.emit('request', request, response)
  })
})

function hasUnreadBody({ headers, readableEnded, destroyed }: IncomingMessage): boolean {
  const announced = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  return announced && !readableEnded && !destroyed
}

/**
 * Sends the whole refusal, and ends the response when the client has stopped sending or the time is over. Closing sooner would
 * reset the connection, and a fast client or a proxy would lose a response that it had not read yet.
 */
function thenDrain(refusal: Buffer, request: IncomingMessage): Readable {
  const response = new PassThrough()
  response.write(refusal)
  let drained = 0
  const timer = setTimeout(stop, DRAIN_MS)
  request.unpipe()
  request.on('data', count)
  request.on('end', stop)
  request.on('close', stop)
  // A stream that was piped before does not flow by itself.
  request.resume()
  return response

  function count(chunk: Buffer) {
    drained += chunk.length
    if (drained > DRAIN_BYTES) request.off('data', count).pause()
  }

  function stop() {
    clearTimeout(timer)
    request.off('data', count)
    request.pause()
    response.end()
  }
}
