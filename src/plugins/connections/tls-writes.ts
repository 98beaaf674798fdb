/**
 * Splits long writes to TLS connections. Node encrypts a write in one piece, and the connection keeps the memory of its longest write
 * until it is closed: 630 KiB after a write of half a MiB, 180 after one of 64 KiB.
 */
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'

/** The maximum of one write. */
export const WRITE_BYTES = 64 * 1024

type Done = (error?: Error | null) => void

interface Piece {
  chunk: Buffer | string
  encoding: BufferEncoding
}

export const tlsWrites = fastifyPlugin(async function tlsWrites(app) {
  app.server.on('secureConnection', splitWrites)
})

/** Replaces `_write` and `_writev`, by which Node's streams write to the socket. */
export function splitWrites(socket: Socket): void {
  const write = socket._write.bind(socket)
  const writev = socket._writev?.bind(socket)

  socket._write = (chunk: Buffer | string, encoding: BufferEncoding, done: Done) => {
    if (sizeOf({ chunk, encoding }) <= WRITE_BYTES) write(chunk, encoding, done)
    else inTurn(split([{ chunk, encoding }]), done)
  }

  socket._writev = (pieces: Piece[], done: Done) => {
    const isShort = pieces.reduce((sum, piece) => sum + sizeOf(piece), 0) <= WRITE_BYTES
    if (isShort && writev) writev(pieces, done)
    else inTurn(split(pieces), done)
  }

  function inTurn(pieces: Iterator<Buffer, undefined>, done: Done): void {
    const { value } = pieces.next()
    if (value === undefined) done()
    else write(value, 'buffer' as BufferEncoding, (error) => (error ? done(error) : inTurn(pieces, done)))
  }
}

function* split(pieces: Piece[]): Generator<Buffer, undefined> {
  for (const { chunk, encoding } of pieces) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
    for (let at = 0; at < bytes.length; at += WRITE_BYTES) yield bytes.subarray(at, at + WRITE_BYTES)
  }
}

function sizeOf({ chunk, encoding }: Piece): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length
}
