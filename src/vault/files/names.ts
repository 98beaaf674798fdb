/** Valid file names, and the numbered names for a taken name. */
import { extname } from 'node:path/posix'
import { problems } from '../../problems.ts'

/** Also sent by clients that do not know the type. */
export const ANY_BYTES = 'application/octet-stream'

const MAX_NAME_BYTES = 255
/**
 * NFC does not shorten UTF-8 to less than a quarter. So a longer name is too long in any form. It is not converted: the time for that
 * grows with the square of the number of combining marks.
 */
const MAX_TYPED_BYTES = 4 * MAX_NAME_BYTES
const TOO_LONG = `has at most ${MAX_NAME_BYTES} bytes of UTF-8`

let mimeTypes: typeof import('mime-types') | null = null

/** The greatest number in a numbered name. */
export const MOST_NUMBER = 999_999_999

/**
 * Returns the name as it is stored: in Unicode normalization form C (phones and Macs send NFD). Throws `invalid-name`
 * unless it is one path segment, 1–255 bytes of UTF-8 in NFC, without `/`, `\` and control characters, and neither `.`
 * nor `..`.
 */
export function fileName(name: string): string {
  if (Buffer.byteLength(name) > MAX_TYPED_BYTES) throw problems.invalidName(`A file name ${TOO_LONG}.`)
  const normal = name.normalize('NFC')
  const brokenRule = brokenRuleOf(normal)
  if (brokenRule) throw problems.invalidName(`A file name ${brokenRule}.`)
  return normal
}

/** The media type for the extension of a name; `ANY_BYTES` if the extension has none. */
export async function typeOfName(name: string): Promise<string> {
  // Reading the table of types would be a twentieth of the server's start.
  mimeTypes ??= (await import('mime-types')).default
  return mimeTypes.lookup(extname(name)) || ANY_BYTES
}

function brokenRuleOf(name: string): string | null {
  if (name === '') return 'has at least one character'
  if (name === '.' || name === '..') return 'is neither . nor ..'
  if (/[/\\]/.test(name)) return 'is one path segment, without / and \\'
  if (/\p{Cc}/u.test(name)) return 'has no control characters'
  if (/\p{Cs}/u.test(name)) return 'is well-formed Unicode'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return TOO_LONG
  return null
}

/** The n-th numbered name: `IMG_1 (2).jpg` for `IMG_1.jpg`. The stem is cut if the name would be too long. */
export function numberedName(name: string, n: number): string {
  const [stem, extension] = split(name)
  const tail = ` (${n})${extension}`
  return cut(stem, MAX_NAME_BYTES - Buffer.byteLength(tail)) + tail
}

/** The number of the candidate as a numbered name of `name`, from 1; `null` if it is none. */
export function numberIn(name: string, candidate: string): number | null {
  const [, extension] = split(name)
  if (!candidate.endsWith(extension)) return null
  const stem = candidate.slice(0, candidate.length - extension.length)
  const n = Number(/ \(([1-9]\d{0,8})\)$/.exec(stem)?.[1] ?? Number.NaN)
  return n && numberedName(name, n) === candidate ? n : null
}

/** The common prefix of all numbered names of `name`. */
export function numberedPrefix(name: string): string {
  const [stem, extension] = split(name)
  const tail = ` (${MOST_NUMBER})${extension}`
  const kept = numberedName(name, MOST_NUMBER).slice(0, -tail.length)
  return kept === stem ? `${stem} (` : kept
}

function split(name: string): [stem: string, extension: string] {
  const extension = extname(name)
  // If nearly the whole name is an extension, the number is at its end.
  if (Buffer.byteLength(extension) > 64) return [name, '']
  return [name.slice(0, name.length - extension.length), extension]
}

/** The longest prefix of at most so many bytes that ends between two code points and stays in NFC. */
function cut(text: string, maxBytes: number): string {
  let kept = ''
  let bytes = 0
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > maxBytes) break
    kept += character
  }
  return kept
}
