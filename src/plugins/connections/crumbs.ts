/**
 * Bodies that come in very small pieces: chunks (RFC 9112, section 7.1) or TLS records of a few bytes. Node makes a buffer of
 * several hundred bytes for each of them, and calls back for each. So they are gathered before anybody keeps them, and
 * connections that send too many at the same moment are closed.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { ON_BODY, parserOf } from './parser.ts'

const CRUMB_BYTES = 1024
/**
 * The crumbs of a body that pass as they come. Further crumbs are buffered up to `PIECE_BYTES`. If the connection breaks, this
 * buffer is lost.
 */
const PASSED = 64
const PIECE_BYTES = 4096
/**
 * The maximum of crumbs in one iteration of the event loop: about 30 ms of work, and more than two reads can have. After that, a
 * connection with more than `OF_CONNECTION` crumbs in this iteration is closed.
 */
const MOST_AT_ONCE = 30_000
const OF_CONNECTION = 64

let iteration = 0
let inIteration = 0

/**
 * Gathers the crumbs of the body of this request, and larger chunks between them: a piece with few bytes would use the memory of a
 * full one. Call it before the body is parsed. `worked` is called for each piece, but for crumbs once in an iteration of the event loop.
 */
export function gatherCrumbs(request: IncomingMessage, worked: () => void = () => {}): void {
  const push = request.push.bind(request)
  let [crumbs, piece, bytes] = [0, null as Buffer | null, 0]
  const own = { iteration: 0, crumbs: 0 }

  request.push = (chunk: Buffer | null) => {
    const isCrumb = chunk !== null && chunk.length < CRUMB_BYTES
    if (!isCrumb || own.iteration !== iteration) worked()
    if (isCrumb && isTooMany(own)) return close(request.socket)
    if (isCrumb) crumbs += 1
    if (chunk !== null && (piece || (isCrumb && crumbs > PASSED))) return gather(chunk)
    flush()
    return push(chunk)
  }

  /** False if nothing more should be read for now. */
  function gather(chunk: Buffer): boolean {
    piece ??= Buffer.allocUnsafeSlow(PIECE_BYTES)
    const copied = chunk.copy(piece, bytes)
    bytes += copied
    if (bytes < PIECE_BYTES) return true
    const goesOn = flush()
    const rest = chunk.subarray(copied)
    if (rest.length === 0) return goesOn
    return rest.length < PIECE_BYTES ? gather(rest) && goesOn : push(rest)
  }

  function flush(): boolean {
    const whole = piece?.subarray(0, bytes)
    piece = null
    bytes = 0
    return whole ? push(whole) : true
  }
}

function isTooMany(own: { iteration: number; crumbs: number }): boolean {
  if (inIteration === 0) setImmediate(endIteration)
  inIteration += 1
  if (own.iteration !== iteration) Object.assign(own, { iteration, crumbs: 0 })
  own.crumbs += 1
  return inIteration > MOST_AT_ONCE && own.crumbs > OF_CONNECTION
}

function endIteration() {
  iteration += 1
  inIteration = 0
}

/**
 * Destroying alone would not stop the parser, which may have read 64 KiB already. Without its callback, it skips the bytes. Node
 * gives the parser of a closed connection to another one, so the callback comes back.
 */
function close(socket: Socket): false {
  const parser = parserOf(socket)
  if (parser && !socket.destroyed) {
    const onBody = parser[ON_BODY]
    parser[ON_BODY] = null
    socket.once('close', () => {
      parser[ON_BODY] = onBody
    })
  }
  socket.destroy()
  return false
}
