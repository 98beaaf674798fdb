/** Drops trailer fields (RFC 9110, section 6.5.1 allows it). Nothing reads them, and a request may have thousands. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** Node's parser. It keeps no further fields once it has this number of names and values. 0: it keeps all. */
interface Parser {
  maxHeaderPairs: number
}

/** Call it when the head was parsed. At the end of the request the parser has its former limit, for the next head. */
export function dropTrailers(request: IncomingMessage): void {
  const { parser } = request.socket as Socket & { parser?: Parser | null }
  if (!parser) return
  const before = parser.maxHeaderPairs
  parser.maxHeaderPairs = 1
  const push = request.push.bind(request)
  request.push = (chunk: Buffer | null) => {
    if (chunk === null) parser.maxHeaderPairs = before
    return push(chunk)
  }
}
