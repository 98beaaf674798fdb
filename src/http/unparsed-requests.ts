/** Reads the target and some headers of a request that Node's parser refused, from the last packet of its bytes. */

/** The error of Node's parser. A timeout has only a code. */
export type ParseError = Error & {
  code?: string | undefined
  reason?: string | undefined
  bytesParsed?: number | undefined
  rawPacket?: unknown
}

export interface UnparsedRequest {
  /** The target of a request that is refused only for its method; `null` for every other request. */
  target: string | null
  headers: { origin: string | undefined; 'x-request-id': string | undefined }
}

const REQUEST_LINE = /^[!#$%&'*+.^_`|~\w-]+ (\/\S*|https?:\/\/\S+) HTTP\/1\.[01]\r\n/i

export function unparsedRequest({ reason = '', bytesParsed = 0, rawPacket }: ParseError): UnparsedRequest {
  const packet = Buffer.isBuffer(rawPacket) ? rawPacket.toString('latin1') : ''
  // Other requests may come before it in the packet.
  const before = packet.slice(0, bytesParsed).lastIndexOf('\r\n\r\n')
  const head = before < 0 ? packet : packet.slice(before + 4)
  return {
    target: (/\bmethod\b/i.test(reason) && REQUEST_LINE.exec(head)?.[1]) || null,
    headers: { origin: fieldIn(head, 'origin'), 'x-request-id': fieldIn(head, 'x-request-id') },
  }
}

function fieldIn(head: string, name: string): string | undefined {
  return new RegExp(`\r\n${name}:[ \t]*(\\S+)[ \t]*\r\n`, 'i').exec(head)?.[1]
}
