/** Long responses over TLS. */
import { readFileSync } from 'node:fs'
import { createServer, get } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect, it, onTestFinished } from 'vitest'
import { splitWrites, WRITE_BYTES } from '../../src/plugins/connections/tls-writes.ts'

const pem = (name: string) => readFileSync(join(import.meta.dirname, '..', 'support', `tls-${name}.pem`))
const certificate = { cert: pem('cert'), key: pem('key') }

type Pieces = { chunk: Buffer | string }[]

/** The bytes that a client gets of these chunks in one response, and the length of each write to the connection. */
async function sent(chunks: (Buffer | string)[]) {
  const writes: number[] = []
  const server = createServer(certificate, (_request, response) => {
    response.cork()
    for (const chunk of chunks) response.write(chunk)
    response.end()
    response.uncork()
  })
  onTestFinished(() => void server.close())
  server.on('secureConnection', (socket: Socket) => {
    const [write, writev] = [socket._write.bind(socket), socket._writev?.bind(socket)]
    socket._write = (chunk, ...rest) => {
      writes.push(chunk.length)
      write(chunk, ...rest)
    }
    socket._writev = (pieces: Pieces, done) => {
      writes.push(pieces.reduce((sum, { chunk }) => sum + chunk.length, 0))
      writev?.(pieces as never, done)
    }
    splitWrites(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const received = await new Promise<Buffer>((resolve, reject) => {
    const request = get({ port, host: '127.0.0.1', rejectUnauthorized: false, agent: false }, (response) => {
      buffer(response).then(resolve, reject)
    })
    request.once('error', reject)
  })
  return { received, writes }
}

it.each([
  ['bytes', [Buffer.alloc(5 * WRITE_BYTES + 1, 'sand')]],
  ['text', ['ü'.repeat(WRITE_BYTES)]],
  ['several chunks', [Buffer.alloc(WRITE_BYTES, 'a'), 'b', Buffer.alloc(2 * WRITE_BYTES, 'c'), 'd']],
])('are written in pieces, and arrive whole: %s', async (_what, chunks) => {
  const { received, writes } = await sent(chunks)
  expect(received.equals(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))))).toBe(true)
  expect(Math.max(...writes)).toBeLessThanOrEqual(WRITE_BYTES)
})

it('do not make several writes of short ones', async () => {
  const { received, writes } = await sent(['a', Buffer.from('b'), 'c'])
  expect([received.toString(), writes.length]).toEqual(['abc', 1])
})
