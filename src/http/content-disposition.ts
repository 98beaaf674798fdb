/** The parameters of a Content-Disposition, for parts of forms and for uploads (RFC 2183, RFC 6266, RFC 8187). */
import { type Problem, problems } from '../problems.ts'

/** Makes the refusal of a header that cannot be read without a guess; `what` goes on after its subject. */
export type Refusal = (what: string) => Problem

const TYPE = /^[!#$%&'*+.^_`|~\w-]+[ \t]*(?=;|$)/
const CONTROL = /[^\t\x20-\x7e\x80-\xff]/
/**
 * An unquoted value ends at a character that RFC 2045 requires quotes for. An extended value (RFC 8187) may also have the
 * characters that `encodeURIComponent` of JavaScript does not encode. Each run of spaces has one reading, so the time is linear.
 */
const PARAMETER =
  /[ \t]*;[ \t]*(?:([!#$%&'+.^_`|~\w-]+)(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s"(),/:;<=>?@[\\\]]+))|(\*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s";,\\]+)))[ \t]*(?=;|$))?/y
const EXTENDED = /^(utf-8|iso-8859-1)'[\w-]*'((?:[\x21-\x24\x26-\x7e]|%[\da-f]{2})*)$/i
/** RFC 2047. .NET sends this by default, instead of `filename*`. */
const ENCODED_WORD = /^=\?[^?]+\?[bq]\?[^?]*\?=$/i

/** The maximum of parameters, empty ones included. A part has two or three. Each costs a microsecond, and a form has 16 parts. */
const MOST_PARAMETERS = 20

/** The parameters by their names in lower case, in latin1 as they came. */
export function parametersOf(disposition: string, refusal: Refusal): Map<string, string> {
  if (CONTROL.test(disposition)) throw refusal('has a Content-Disposition with control characters')
  const parameters = new Map<string, string>()
  PARAMETER.lastIndex = TYPE.exec(disposition)?.[0].length ?? 0
  for (let n = 0; PARAMETER.lastIndex < disposition.length; n += 1) {
    if (n === MOST_PARAMETERS) throw refusal(`has a Content-Disposition with more than ${n} parameters`)
    const found = PARAMETER.exec(disposition)
    if (!found) throw refusal('has a Content-Disposition that cannot be read. Quote its values')
    const [, name, quoted, token, star = '', quotedExtended, extended] = found
    if (name === undefined) continue
    const key = `${name}${star}`.toLowerCase()
    if (parameters.has(key)) throw refusal('has a Content-Disposition with a parameter twice')
    // Browsers do not escape a backslash, so one that escapes nothing is kept.
    const value = token ?? extended
    parameters.set(key, value ?? ((quoted ?? quotedExtended) as string).replaceAll(/\\(["\\])/g, '$1'))
  }
  return parameters
}

/**
 * The file name in latin1 bytes or in an extended value; `null` for none. `filename*` takes precedence (RFC 6266, section 4.3).
 * `plain` gets a `filename` as it came. Throws `invalid-name` for one that is not UTF-8.
 */
export function fileNameOf(
  parameters: Map<string, string>,
  refusal: Refusal,
  plain: (name: string) => string = (name) => name,
): string | null {
  const extended = parameters.get('filename*')
  if (extended !== undefined) return extendedValue(extended, refusal)
  const name = parameters.get('filename')
  if (name === undefined) return null
  if (ENCODED_WORD.test(name)) {
    throw refusal('has a filename in RFC 2047 encoding. Send it in UTF-8, or in filename* (RFC 8187)')
  }
  return utf8Name(Buffer.from(plain(name), 'latin1'))
}

/** RFC 8187, section 3.2. */
function extendedValue(value: string, refusal: Refusal): string {
  const [, charset = '', encoded] = EXTENDED.exec(value) ?? []
  if (encoded === undefined) throw refusal('has a filename* that cannot be read (RFC 8187)')
  const bytes = encoded.replaceAll(/%(..)/g, (_all, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return charset.toLowerCase() === 'utf-8' ? utf8Name(Buffer.from(bytes, 'latin1')) : bytes
}

/** Throws `invalid-name` for bytes that are not UTF-8. */
export function utf8Name(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw problems.invalidName('The file name is not well-formed UTF-8.', cause)
  }
}
