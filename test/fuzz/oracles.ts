/** The rules for every response. Each error is a sentence; a right answer has none. */
import { createHash } from 'node:crypto'
import { problemCatalogue } from '../../src/problems.ts'
import { codesOf, type Document, type Operation, type Route } from './document.ts'
import type { Answer } from './line.ts'
import { jsonOf } from './memory.ts'

export interface Asked {
  method: string
  target: string
  /** Of a session that lives, of one that does not, none at all, or not known. */
  token: 'live' | 'dead' | 'none' | 'unknown'
  /** Nothing was done to it: it is just what the document describes. */
  asDocumented: boolean
  /** The head or the framing is no good HTTP. */
  noisy: boolean
  /** The bytes of the file in its body, where they are certain. */
  content: Buffer | null
  /** Its JSON, where there is some and it is certain that the server reads it so. */
  json?: unknown
}

/** What any server may say of a request that is no good HTTP, before it has looked at the path. */
const PROTOCOL = [
  'malformed-http',
  'request-timeout',
  'headers-too-large',
  'unsupported-transfer-coding',
  'incomplete-body',
]

const INTERNALS =
  /\\n\s+at |:\d+:\d+\)|node_modules|node:internal|\.[jt]s\b|SQLITE|SELECT |INSERT |UPDATE |no such table|EACCES|ENOENT/

export function faultsOf(document: Document, asked: Asked, answer: Answer): string[] {
  const { route, methods } = document.route(asked.method, asked.target)
  const faults = [...generalFaults(answer), ...refusalFaults(answer)]
  if (PROTOCOL.includes(codeOf(answer))) return asked.noisy ? faults : [...faults, `${codeOf(answer)} of good HTTP`]
  if (route) return [...faults, ...routeFaults(document, route, asked, answer)]
  // A slash too many is a path of its own, though a parameter may be empty. A refusal of bad HTTP comes before that of a
  // method, and the response to HEAD does not show its code.
  const exact = methods.length > 0 && !/\/(\?|$)/.test(asked.target) && !(asked.noisy && asked.method === 'HEAD')
  // The document does not have the OPTIONS that tell of resumable uploads.
  if (asked.method === 'OPTIONS' && [204, 415].includes(answer.status)) return faults
  const expected = exact ? [405] : [400, 404, 405]
  if (isOfTheApi(asked.target) && !expected.includes(answer.status))
    faults.push(`status ${answer.status} where nothing is`)
  if (answer.status === 405)
    faults.push(
      ...methods.filter((method) => !allowOf(answer).includes(method)).map((method) => `Allow without ${method}`),
    )
  return faults
}

/** The pages of the documentation are not in the document. */
const isOfTheApi = (target: string) => /^(https?:\/\/[^/]*)?\/(v1|health)\//.test(target)

const allowOf = ({ headers }: Answer) => (headers.allow ?? '').split(', ')

function generalFaults({ status, headers }: Answer): string[] {
  const faults = []
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(headers['x-request-id'] ?? '')) faults.push('no X-Request-Id')
  const excused = [501, 503, 507].includes(status)
  if (status >= 500 && !excused) faults.push(`status ${status}`)
  if (status === 503 && !/^\d+$/.test(headers['retry-after'] ?? '')) faults.push('503 without Retry-After')
  if (status === 405 && !headers.allow) faults.push('405 without Allow')
  return faults
}

/** RFC 9457, and nothing of the inside. */
function refusalFaults({ status, headers, body }: Answer): string[] {
  if (status < 400 || body.length === 0) return []
  if (headers['content-type'] !== 'application/problem+json') return [`a refusal as ${headers['content-type']}`]
  const problem = jsonOf(body) as Record<string, unknown> | undefined
  if (typeof problem !== 'object' || problem === null) return ['a refusal that is no JSON object']
  const faults = []
  if (problem.status !== status) faults.push(`status ${problem.status} in the body of a ${status}`)
  if (problem.requestId !== headers['x-request-id']) faults.push('another requestId in the body')
  const known = problemCatalogue.some(({ code, status: own }) => code === problem.code && own === status)
  if (!known) faults.push(`the code ${problem.code} with ${status}, which the catalogue does not have`)
  if (!['type', 'title', 'detail'].every((member) => typeof problem[member] === 'string')) faults.push('half a problem')
  if (INTERNALS.test(body.toString())) faults.push('internals in the body')
  return faults
}

const codeOf = ({ body }: Answer) => (jsonOf(body) as { code?: string } | undefined)?.code ?? ''

function routeFaults(document: Document, { operation }: Route, asked: Asked, answer: Answer): string[] {
  const { status, body } = answer
  const response = operation.responses[status]
  if (!response) return [`the status ${status} ${codeOf(answer)}, which is not documented`]
  const faults = [...headerFaults(operation, answer), ...sessionFaults(operation, asked, answer)]
  if (asked.method === 'HEAD' || !response.content) {
    if (body.length > 0) faults.push(`a body of ${body.length} bytes where none is documented`)
  } else faults.push(...bodyFaults(document, operation, answer))
  if (status >= 400 && body.length > 0 && !codesOf(operation, status).includes(codeOf(answer))) {
    faults.push(`the code ${codeOf(answer)}, which is not documented for ${status}`)
  }
  return [...faults, ...judgementFaults(document, operation, asked, answer), ...contentFaults(operation, asked, answer)]
}

/**
 * Each documented field is there, but for those of limits, which are off, and of cookies, which few clients have; of the two that a
 * 415 for a body may have, one.
 */
function headerFaults({ responses, body }: Operation, { status, headers }: Answer): string[] {
  const documented = Object.keys(responses[status]?.headers ?? {}).map((name) => name.toLowerCase())
  // A first part on PUT has the headers of an upload instead.
  if (isPartOfUpload(headers)) return []
  const missing = documented.filter((name) => headers[name] === undefined && !/^(ratelimit|set-cookie)/.test(name))
  if (status === 415) return missing.length < 2 || !body ? [] : ['a 415 that does not say what is taken']
  return missing.map((name) => `no ${name}, which is documented for ${status}`)
}

/** The response to an upload that is not complete has no body. That of tus never has one. */
function isPartOfUpload(headers: Answer['headers']): boolean {
  return headers['upload-offset'] !== undefined && headers.etag === undefined && headers['content-type'] === undefined
}

function bodyFaults(document: Document, operation: Operation, { status, headers, body }: Answer): string[] {
  const content = operation.responses[status]?.content ?? {}
  if (isPartOfUpload(headers)) return body.length === 0 ? [] : ['a body for an upload that is not complete']
  // Bytes come as what they were uploaded as.
  if (Object.values(content).some(({ schema }) => schema.format === 'binary')) return []
  const mediaType = (headers['content-type'] ?? '').split(';', 1)[0] as string
  if (!content[mediaType]) return [`the media type ${mediaType}, which is not documented for ${status}`]
  const fault = document.faultIn(operation, status, mediaType, jsonOf(body))
  return fault ? [`a body that its schema does not have: ${fault}`] : []
}

/** Who is not signed in hears of nothing else; who is, never that. */
function sessionFaults({ session, id }: Operation, { token, noisy }: Asked, answer: Answer): string[] {
  const refused = codeOf(answer) === 'unauthorized' || (answer.status === 401 && session === 'needed')
  const mustBe = (token === 'dead' && session !== 'none') || (token === 'none' && session === 'needed')
  if (mustBe && !refused && !noisy && codeOf(answer) !== 'malformed-url')
    return [`${answer.status} for ${id} without a session`]
  return token === 'live' && refused ? ['a live session is refused'] : []
}

/** A valid request is not refused as an invalid one, and the other way round. */
function judgementFaults(document: Document, operation: Operation, asked: Asked, answer: Answer): string[] {
  const code = codeOf(answer)
  const faults = []
  if (asked.asDocumented && /^(invalid-request|malformed-.*|unsupported-.*|body-too-large)$/.test(code)) {
    faults.push(`${code} for a request as documented`)
  }
  if (asked.json !== undefined && operation.body?.mediaType === 'application/json') {
    const fits = document.takes(operation, asked.json)
    if (!fits && answer.status < 400) faults.push('taken, though it does not fit its schema')
    if (fits && code === 'invalid-request') faults.push('refused, though it fits its schema')
  }
  return faults
}

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** An acknowledged upload is of the bytes that were sent. The answer to a thumbnail does not say what they were. */
function contentFaults({ id, body }: Operation, { content }: Asked, answer: Answer): string[] {
  if (!content || !body || body.mediaType === 'application/json' || answer.status >= 300) return []
  if (isPartOfUpload(answer.headers) || id === 'putThumbnail') return []
  const file = jsonOf(answer.body) as { sha256?: string; size?: number }
  return file.sha256 === sha256(content) && file.size === content.length
    ? []
    : ['other bytes acknowledged than were sent']
}
