/** The headers of a part of a form: RFC 7578, section 4, with RFC 2183 and RFC 8187. Ambiguous headers are refused. */
import { problems } from '../../problems.ts'

export interface PartHead {
  /** Empty if the part has none. */
  name: string
  /** `null` if the part has none. */
  fileName: string | null
  /** As it was sent. */
  contentType: string | undefined
}

const HEADER = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/
const CONTROL = /[^\t\x20-\x7e\x80-\xff]/
/**
 * An unquoted value ends at a character that RFC 2045 requires quotes for. An extended value (RFC 8187) may also have the
 * characters that `encodeURIComponent` of JavaScript does not encode.
 */
const PARAMETER =
  /[ \t]*;[ \t]*(?:([!#$%&'+.^_`|~\w-]+)(\*?)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|((?<=\*[ \t]*=[ \t]*)[^\s";,\\]+|[^\s"(),/:;<=>?@[\\\]]+))[ \t]*(?=;|$))?/y
const EXTENDED = /^(utf-8|iso-8859-1)'[\w-]*'((?:[\x21-\x24\x26-\x7e]|%[\da-f]{2})*)$/i
/** RFC 2047. .NET sends this by default, instead of `filename*`. */
const ENCODED_WORD = /^=\?[^?]+\?[bq]\?[^?]*\?=$/i
const IDENTITY = /^(?:7bit|8bit|binary)$/i

/**
 * Parses a block of headers in latin1, without the empty line after it. Throws `malformed-multipart`, or `invalid-name` for a
 * file name that is not UTF-8.
 */
export function partHeadOf(block: string): PartHead {
  const headers = new Map<string, string>()
  // A line that begins with white space continues the one before it (RFC 5322, section 2.2.3).
  for (const line of block.replaceAll(/\r\n(?=[ \t])/g, '').split('\r\n')) {
    const [, name, value] = HEADER.exec(line) ?? []
    if (name === undefined || value === undefined) throw malformed('has a line that is not a header')
    const field = name.toLowerCase()
    if (field.startsWith('content-') && headers.has(field)) throw malformed(`has two headers ${name}`)
    headers.set(field, value)
  }
  if (!IDENTITY.test(headers.get('content-transfer-encoding') ?? 'binary')) {
    throw malformed('has a Content-Transfer-Encoding, which RFC 7578 does not allow')
  }
  const disposition = headers.get('content-disposition')
  if (disposition === undefined) throw malformed('has no Content-Disposition')
  const parameters = parametersOf(disposition)
  return {
    name: Buffer.from(parameters.get('name') ?? '', 'latin1').toString(),
    fileName: fileNameOf(parameters),
    contentType: headers.get('content-type'),
  }
}

/** RFC 6266, section 4.3: `filename*` takes precedence. */
function fileNameOf(parameters: Map<string, string>): string | null {
  const extended = parameters.get('filename*')
  if (extended !== undefined) return extendedValue(extended)
  const plain = parameters.get('filename')
  if (plain === undefined) return null
  if (ENCODED_WORD.test(plain)) {
    throw malformed('has a filename in RFC 2047 encoding. Send it in UTF-8, or in filename* (RFC 8187)')
  }
  // Browsers encode a quote as %22 (HTML, section "multipart form data"). They encode line breaks, too, but no name has those.
  return utf8(plain.replaceAll('%22', '"'))
}

function parametersOf(disposition: string): Map<string, string> {
  if (!/^form-data[ \t]*(?:;|$)/i.test(disposition)) throw malformed('has a Content-Disposition that is not form-data')
  if (CONTROL.test(disposition)) throw malformed('has a Content-Disposition with control characters')
  const parameters = new Map<string, string>()
  PARAMETER.lastIndex = 'form-data'.length
  while (PARAMETER.lastIndex < disposition.length) {
    const found = PARAMETER.exec(disposition)
    if (!found) throw malformed('has a Content-Disposition that cannot be read. Quote its values')
    const [, name, star, quoted, token] = found
    if (name === undefined) continue
    const key = `${name}${star}`.toLowerCase()
    if (parameters.has(key)) throw malformed('has a Content-Disposition with a parameter twice')
    // Browsers do not escape a backslash, so one that escapes nothing is kept.
    parameters.set(key, token ?? (quoted as string).replaceAll(/\\(["\\])/g, '$1'))
  }
  return parameters
}

/** RFC 8187, section 3.2. */
function extendedValue(value: string): string {
  const [, charset = '', encoded] = EXTENDED.exec(value) ?? []
  if (encoded === undefined) throw malformed('has a filename* that cannot be read (RFC 8187)')
  const bytes = encoded.replaceAll(/%(..)/g, (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return charset.toLowerCase() === 'utf-8' ? utf8(bytes) : bytes
}

function utf8(latin1: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'))
  } catch (cause) {
    throw problems.invalidName('The file name is not well-formed UTF-8.', cause)
  }
}

const malformed = (what: string) => problems.malformedMultipart(`A part of the form ${what}.`)
