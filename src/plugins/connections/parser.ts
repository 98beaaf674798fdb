/** Node's parser of requests (`_http_common.js`). Its members are undocumented. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/** `HTTPParser.kOnHeaders`: called for every 32 fields of a long head, or of long trailers. */
export const ON_HEADERS = 1
/** `HTTPParser.kOnBody`: called for bytes of a body. */
export const ON_BODY = 3

export interface Parser {
  socket: Socket | null
  incoming: IncomingMessage | null
  /** The fields of an unfinished head. */
  _headers: string[]
  /** Called for each head. */
  onIncoming: (request: IncomingMessage, keepsAlive: boolean) => number
  [ON_HEADERS]: (this: Parser, fields: string[], target: string) => void
  [ON_BODY]: ((bytes: Buffer) => void) | null
}

/** `null` if the connection is closed: Node gives the parser to another one. */
export function parserOf(socket: Socket): Parser | null {
  return (socket as Socket & { parser?: Parser | null }).parser ?? null
}
