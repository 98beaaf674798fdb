/** The headers of a part of a form: RFC 7578, section 4, with RFC 2183 and RFC 8187. Ambiguous headers are refused. */
import { problems } from '../../problems.ts'
import { fileNameOf, parametersOf } from '../content-disposition.ts'

export interface PartHead {
  /** Empty if the part has none. */
  name: string
  /** `null` if the part has none. */
  fileName: string | null
  /** As it was sent. */
  contentType: string | undefined
}

const HEADER = /^([!#$%&'*+.^_`|~\w-]+):(.*)$/
/** The maximum of headers. A part has two or three, with some proxies and libraries a few more. */
const MOST_HEADERS = 20
const IDENTITY = /^(?:7bit|8bit|binary)$/i

/**
 * Parses a block of headers in latin1, without the empty line after it. Throws `malformed-multipart`, or `invalid-name` for a
 * file name that is not UTF-8.
 */
export function partHeadOf(block: string): PartHead {
  const headers = new Map<string, string>()
  // A line that begins with white space continues the one before it (RFC 5322, section 2.2.3).
  const lines = block.replaceAll(/\r\n(?=[ \t])/g, '').split('\r\n', MOST_HEADERS + 1)
  if (lines.length > MOST_HEADERS) throw malformed(`has more than ${MOST_HEADERS} headers`)
  for (const line of lines) {
    const [, name, value] = HEADER.exec(line) ?? []
    if (name === undefined || value === undefined) throw malformed('has a line that is not a header')
    const field = name.toLowerCase()
    if (field.startsWith('content-') && headers.has(field)) throw malformed(`has two headers ${name}`)
    headers.set(field, withoutSpaces(value))
  }
  if (!IDENTITY.test(headers.get('content-transfer-encoding') ?? 'binary')) {
    throw malformed('has a Content-Transfer-Encoding, which RFC 7578 does not allow')
  }
  const disposition = headers.get('content-disposition')
  if (disposition === undefined) throw malformed('has no Content-Disposition')
  if (!/^form-data[ \t]*(?:;|$)/i.test(disposition)) throw malformed('has a Content-Disposition that is not form-data')
  const parameters = parametersOf(disposition, malformed)
  return {
    name: Buffer.from(parameters.get('name') ?? '', 'latin1').toString(),
    // Browsers encode a quote as %22 (HTML, section "multipart form data"). They encode line breaks, too, but no name has those.
    fileName: fileNameOf(parameters, malformed, (name) => name.replaceAll('%22', '"')),
    contentType: headers.get('content-type'),
  }
}

/** Without spaces and tabs around it. A pattern would take quadratic time for many of them in the middle. */
function withoutSpaces(value: string): string {
  let [start, end] = [0, value.length]
  while (isSpace(value[start])) start += 1
  while (end > start && isSpace(value[end - 1])) end -= 1
  return value.slice(start, end)
}

const isSpace = (character: string | undefined) => character === ' ' || character === '\t'

const malformed = (what: string) => problems.malformedMultipart(`A part of the form ${what}.`)
