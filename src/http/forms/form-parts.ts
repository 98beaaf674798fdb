/**
 * Reads a form with @fastify/multipart, but parses the headers of its parts here. The parser of the package uses the first of
 * `filename` and `filename*`, drops spaces from unquoted names, skips parts whose headers it cannot read, and does not accept
 * padding after a boundary (RFC 2046, section 5.1.1). So the headers of each part are replaced by simple ones, with the number
 * of the part as its name.
 */
import { Readable } from 'node:stream'
import type { Multipart } from '@fastify/multipart'
import type { FastifyRequest } from 'fastify'
import { problems } from '../../problems.ts'
import { type PartHead, partHeadOf } from './part-heads.ts'

/** The maximum of parts of one form. */
const MAX_PARTS = 16
/** A name of 255 bytes in both of its forms takes 1 KiB. */
const MAX_HEAD_BYTES = 4 * 1024
/** The maximum of white space after a boundary. */
const MAX_PADDING_BYTES = 1024

const BOUNDARY =
  /;[ \t]*boundary[ \t]*=[ \t]*(?:"([\x20\x21\x23-\x5b\x5d-\x7e]{1,200})"|([\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]{1,200}))[ \t]*(?:;|$)/i
const CRLF = Buffer.from('\r\n')
const END_OF_HEAD = Buffer.from('\r\n\r\n')

/** Options of @fastify/multipart. */
export const FORM_LIMITS = {
  // Larger than one chunk: a part that busboy skips would block it for ever if it filled this buffer.
  fileHwm: 128 * 1024,
  // The vault counts the bytes of a file itself. Busboy would truncate it without an error.
  limits: { fileSize: Number.POSITIVE_INFINITY, fieldSize: 1024 },
}

/** The bytes of a form, and the Content-Type with their boundary. */
export interface FormBytes {
  contentType: string
  bytes: AsyncIterable<Buffer>
}

export interface FormPart {
  head: PartHead
  part: Multipart
}

/** Throws `malformed-multipart` for a Content-Type without a boundary. */
export function boundaryOf(contentType: string): string {
  const [, quoted, plain] = BOUNDARY.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (boundary === undefined) throw problems.malformedMultipart('The Content-Type has no boundary that can be read.')
  return boundary
}

/**
 * The parts in order. A part called `file` and every part with a file name are files. The others are fields. The request only
 * lends its parser.
 */
export async function* formParts(request: FastifyRequest, { contentType, bytes }: FormBytes): AsyncGenerator<FormPart> {
  const boundary = boundaryOf(contentType)
  const heads: PartHead[] = []
  const body = rewritten(bytes, boundary, heads)
  const raw = Object.assign(Readable.from(body), {
    headers: { 'content-type': `multipart/form-data; boundary="${boundary}"` },
  })
  try {
    const rewrittenRequest = Object.create(request, {
      raw: { value: raw },
      isMultipart: { value: () => true },
    }) as FastifyRequest
    for await (const part of rewrittenRequest.parts()) yield { head: heads[Number(part.fieldname)] as PartHead, part }
  } finally {
    // Releases the connection without destroying it: a refusal may have to be sent.
    raw.destroy()
  }
}

/** Rewrites the headers of every part. Throws `malformed-multipart` for a form that is ambiguous. */
async function* rewritten(chunks: AsyncIterable<Buffer>, boundary: string, heads: PartHead[]): AsyncGenerator<Buffer> {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  let within: 'preamble' | 'delimiter' | 'end' | 'head' | 'bytes' | 'epilogue' = 'preamble'
  // The CRLF before the first delimiter is missing if the form begins with it.
  let left: Buffer = CRLF
  let hasBytes = false
  for await (const chunk of chunks) {
    if (within === 'epilogue') continue
    left = left.length > 0 ? Buffer.concat([left, chunk]) : chunk
    for (let enough = true; enough; ) {
      if (within === 'preamble' || within === 'bytes') {
        const at = left.indexOf(delimiter)
        const end = at >= 0 ? at : left.length - beginningAtEnd(left, delimiter)
        if (within === 'bytes' && end > 0) yield left.subarray(0, end)
        // The headers of an empty part may end directly at the delimiter's CRLF (RFC 2046, section 5.1.1).
        if (within === 'bytes' && at === 0 && !hasBytes) yield CRLF
        hasBytes ||= end > 0
        left = left.subarray(at >= 0 ? at + delimiter.length : end)
        enough = at >= 0
        if (enough) within = 'delimiter'
      } else if (within === 'delimiter') {
        enough = left.length >= 2
        if (!enough) continue
        if (left[0] === 0x2d && left[1] === 0x2d) {
          left = left.subarray(2)
          within = 'end'
          continue
        }
        const end = left.indexOf(CRLF)
        if (!isPadding(left, end))
          throw problems.malformedMultipart('A boundary of the form is followed by other characters.')
        enough = end >= 0
        if (!enough) continue
        yield delimiter
        left = left.subarray(end)
        within = 'head'
      } else if (within === 'head') {
        const end = left.indexOf(END_OF_HEAD)
        if (end > MAX_HEAD_BYTES || (end < 0 && left.length > MAX_HEAD_BYTES)) {
          throw problems.malformedMultipart(`The headers of a part may have at most ${MAX_HEAD_BYTES} bytes.`)
        }
        enough = end >= 0
        if (!enough) continue
        if (heads.length === MAX_PARTS) throw problems.malformedMultipart(`A form may have at most ${MAX_PARTS} parts.`)
        const head = partHeadOf(left.toString('latin1', CRLF.length, end))
        yield Buffer.from(`\r\n${plainHead(head, heads.length)}\r\n`)
        heads.push(head)
        left = left.subarray(end + CRLF.length)
        hasBytes = false
        within = 'bytes'
      } else {
        const end = left.indexOf(CRLF)
        if (!isPadding(left, end))
          throw problems.malformedMultipart('The last boundary is followed by other characters.')
        enough = false
        if (end >= 0) within = 'epilogue'
      }
    }
  }
  if (within !== 'end' && within !== 'epilogue') {
    throw problems.malformedMultipart('The form ends before its last boundary.')
  }
  yield Buffer.concat([delimiter, Buffer.from('--\r\n')])
}

/** The number of bytes at the end that may begin the delimiter. The delimiter begins with its only CR. */
function beginningAtEnd(bytes: Buffer, delimiter: Buffer): number {
  const tail = bytes.subarray(Math.max(0, bytes.length - delimiter.length + 1))
  const at = tail.lastIndexOf(0x0d)
  return at >= 0 && delimiter.indexOf(tail.subarray(at)) === 0 ? tail.length - at : 0
}

/** Checks the bytes before `end`. If `end` is not found yet, checks all bytes; they may end with the CR. */
function isPadding(bytes: Buffer, end: number): boolean {
  const text = bytes.toString('latin1', 0, end >= 0 ? end : Math.min(bytes.length, MAX_PADDING_BYTES + 1))
  return text.length <= MAX_PADDING_BYTES && /^[ \t]*\r?$/.test(text)
}

/** Fields are declared as latin1, so that every byte is kept. */
function plainHead({ name, fileName }: PartHead, number: number): string {
  const disposition = `Content-Disposition: form-data; name="${number}"`
  if (name === 'file' || fileName !== null) return `${disposition}; filename="file"`
  return `${disposition}\r\nContent-Type: text/plain; charset=latin1`
}

/** The charsets of a field. Others are refused, because Node decodes some of them in another way than browsers do. */
const CHARSETS: Record<string, (bytes: Buffer) => string> = {
  'utf-8': (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes),
  'us-ascii': (bytes) => {
    if (bytes.some((byte) => byte > 0x7f)) throw new TypeError('a byte above 0x7f')
    return bytes.toString('latin1')
  },
  'iso-8859-1': (bytes) => bytes.toString('latin1'),
}

/** Decodes the value of a field from latin1. Throws `invalid-name`, because the only field that is read is a name. */
export function fieldText(value: unknown, { contentType = '' }: PartHead): string {
  const [, named = 'utf-8'] = /;[ \t]*charset[ \t]*=[ \t]*"?([\w-]+)"?[ \t]*(?:;|$)/i.exec(contentType) ?? []
  const charset = named.toLowerCase()
  const decode = Object.hasOwn(CHARSETS, charset) ? CHARSETS[charset] : undefined
  if (!decode) {
    throw problems.malformedMultipart(
      `A field of the form has another charset than ${Object.keys(CHARSETS).join(', ')}.`,
    )
  }
  try {
    return decode(Buffer.from(String(value), 'latin1'))
  } catch (cause) {
    throw problems.invalidName(`The file name is not well-formed ${charset.toUpperCase()}.`, cause)
  }
}
