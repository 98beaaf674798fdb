/** A request that is being written: made from the document so that it is valid, then perhaps spoilt, then bytes. */
import type { Dice } from './chance.ts'
import { asCookie, asToken } from './credentials.ts'
import type { Document, Operation } from './document.ts'
import { type Form, validForm } from './forms.ts'
import type { Memory } from './memory.ts'
import { knownUpload, UPLOADS } from './uploads.ts'
import { type Values, values } from './values.ts'

export interface Draft {
  method: string
  /** Percent-encoded. */
  path: string
  query: [name: string, value: string][]
  headers: [name: string, value: string][]
  body: Buffer | null
  chunked: boolean
  /** The bytes of the file that a body brings, where that is certain. */
  content: Buffer | null
  /** As the document has it; what is done to it afterwards is listed. */
  spoilt: string[]
  /** The head or the framing is no good HTTP: refused before any route sees it. */
  noisy: boolean
  /** Our side ends behind it: the server may be waiting for more. */
  unfinished: boolean
}

export interface Author {
  document: Document
  dice: Dice
  memory: Memory
  /** The largest file to send. */
  mostBytes: number
}

/** The token is sent where the operation takes it. */
export function validDraft(author: Author, operation: Operation, token: string | null): Draft {
  const { dice, document, memory } = author
  const made = values(document, dice, memory)
  const draft: Draft = {
    method: operation.method,
    path: operation.path,
    query: [],
    headers: [['Host', '127.0.0.1']],
    body: null,
    chunked: dice.oneIn(4),
    content: null,
    spoilt: [],
    noisy: false,
    unfinished: false,
  }
  if (token && operation.session !== 'none') draft.headers.push(...(dice.oneIn(5) ? asCookie(token) : asToken(token)))
  // A page of the server may ask for a cookie. For anybody else that is refused.
  if (operation.id === 'signIn' && dice.oneIn(2)) draft.headers.push(['Sec-Fetch-Site', 'same-origin'])
  // The fields of uploads depend on each other.
  const independent = operation.parameters.filter(({ in: place }) => place !== 'header' || !UPLOADS[operation.id])
  for (const parameter of independent) addParameter(author, made, draft, parameter)
  if (operation.body) addBody(author, made, draft, operation.body)
  UPLOADS[operation.id]?.(draft, dice, memory)
  return draft
}

function addParameter(
  { dice, memory }: Author,
  made: Values,
  draft: Draft,
  parameter: Operation['parameters'][number],
) {
  const { in: place, name, required, schema } = parameter
  if (!required && !dice.oneIn(place === 'query' ? 3 : 4)) return
  const value =
    place === 'header'
      ? fieldOf(dice, memory, name, schema.examples)
      : (place === 'path' && entryOf(draft.path, dice, memory)) || String(made.valueFor(schema, name))
  if (place === 'header') draft.headers.push([name, value])
  else if (place === 'query') draft.query.push([name, encodeURIComponent(value)])
  else draft.path = draft.path.replace(`{${name}}`, encodeURIComponent(value))
}

/** The id of an entry of the trash, or of an upload, or the name of a file, where the path wants one: most ids that answers told are of something else. */
function entryOf(path: string, dice: Dice, memory: Memory): string | null {
  if (dice.oneIn(4)) return null
  if (path.startsWith('/v1/uploads/{id}')) return (knownUpload(dice, memory)?.id as string | undefined) ?? null
  if (path.endsWith('/thumbnail')) return nameOf(memory.records(['name', 'sha256']).at(-1))
  if (!path.startsWith('/v1/trash/{id}')) return null
  const known = memory.records(['id', 'deletedAt']).slice(-6)
  return known.length > 0 ? String(dice.pick(known).id) : null
}

const nameOf = (file: Record<string, unknown> | undefined) => (file ? String(file.name) : null)

/** Conditions are about what answers told. */
function fieldOf(dice: Dice, memory: Memory, name: string, examples: unknown[] = []): string {
  const told = {
    'if-match': ['etag'],
    'if-none-match': ['etag'],
    'if-range': ['etag', 'last-modified'],
    'if-modified-since': ['last-modified'],
    'if-unmodified-since': ['last-modified'],
    'repr-digest': ['repr-digest'],
    'content-digest': ['repr-digest'],
  }[name.toLowerCase()]
  const known = (told ?? []).flatMap((field) => memory.fields(field).slice(-6))
  return known.length > 0 && !dice.oneIn(4)
    ? dice.pick(known)
    : String(dice.pick(examples.length > 0 ? examples : ['']))
}

function addBody(author: Author, made: Values, draft: Draft, { mediaType, schema }: NonNullable<Operation['body']>) {
  if (mediaType === 'multipart/form-data') return putForm(draft, validForm(author))
  draft.headers.push(['Content-Type', mediaType])
  if (mediaType.endsWith('json')) draft.body = Buffer.from(JSON.stringify(made.valueFor(schema, 'body')))
  else draft.content = draft.body = contentOf(author)
  // A thumbnail is a picture, and so not empty.
  if (mediaType.startsWith('image/') && draft.body?.length === 0) draft.content = draft.body = Buffer.from('x')
}

export function putForm(draft: Draft, form: Form) {
  draft.headers = draft.headers.filter(([name]) => name.toLowerCase() !== 'content-type')
  draft.headers.push(['Content-Type', form.contentType])
  draft.body = form.body
  draft.content = form.content
}

/** Sizes around those that matter to a vault of 64 KiB frames, and often bytes that were sent before. */
export function contentOf({ dice, mostBytes }: Pick<Author, 'dice' | 'mostBytes'>): Buffer {
  const size = dice.pick([0, 1, 7, 100, 1000, 2000, 4096, dice.below(5000), 65_535, 65_536, 65_537, 200_000])
  const most = Math.min(size, mostBytes + (dice.oneIn(8) ? 1 : 0))
  return dice.oneIn(3) ? Buffer.alloc(most, 'x') : Buffer.alloc(most, dice.bytes(16))
}

export function targetOf({ path, query }: Draft): string {
  return query.length === 0 ? path : `${path}?${query.map(([name, value]) => `${name}=${value}`).join('&')}`
}

/** Header fields are latin1, as they are on the wire. */
export function bytesOf(draft: Draft, dice: Dice): Buffer {
  const { method, headers, body, chunked } = draft
  const framing: [string, string][] =
    body === null || headers.some(([name]) => /^(content-length|transfer-encoding)$/i.test(name))
      ? []
      : [chunked ? ['Transfer-Encoding', 'chunked'] : ['Content-Length', String(body.length)]]
  const lines = [...headers, ...framing].map(([name, value]) => `${name}: ${value}\r\n`)
  const head = Buffer.from(`${method} ${targetOf(draft)} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1')
  const isChunked = chunked && framing.length > 0
  return Buffer.concat([head, body === null ? Buffer.alloc(0) : isChunked ? inChunks(body, dice) : body])
}

function inChunks(body: Buffer, dice: Dice): Buffer {
  const chunks: Buffer[] = []
  const size = Math.max(dice.pick([1, 10, 1000, 70_000]), Math.ceil(body.length / 500))
  for (let at = 0; at < body.length; at += size) {
    const chunk = body.subarray(at, at + size)
    const extension = dice.oneIn(20) ? ';a="b"' : ''
    chunks.push(Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk, Buffer.from('\r\n'))
  }
  return Buffer.concat([...chunks, Buffer.from(dice.oneIn(20) ? '0\r\nX-Trailer: t\r\n\r\n' : '0\r\n\r\n')])
}
