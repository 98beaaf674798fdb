/** Limits the trailer fields of a request. Nothing reads them (RFC 9110, section 6.5.1), and there may be thousands. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** The maximum of names and values together. */
const MOST = 200

/** Node's parser. 0: no maximum. Beyond the maximum, Node 20 drops fields, and later versions refuse the request. */
interface Parser {
  maxHeaderPairs: number
}

/** Call it when the head was parsed. At the end of the request the parser has its former limit, for the next head. */
export function limitTrailers(request: IncomingMessage): void {
  const { parser } = request.socket as Socket & { parser?: Parser | null }
  if (!parser) return
  const before = parser.maxHeaderPairs
  parser.maxHeaderPairs = MOST
  const push = request.push.bind(request)
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) parser.maxHeaderPairs = before
    return push(chunk)
  }
}
