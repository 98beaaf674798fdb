/** `toBeProblem(status, code)`: a complete RFC 9457 problem of this server, without unknown members. */
import { expect } from 'vitest'
import type { Answer } from './http.ts'

declare module 'vitest' {
  interface Matchers<T> {
    toBeProblem(status: number, code: string): T
  }
}

const MEMBERS = ['code', 'detail', 'errors', 'requestId', 'status', 'title', 'type']
const OFFSETS = ['expected-offset', 'provided-offset']
/** Types that draft-ietf-httpbis-resumable-upload registers. */
const REGISTERED = ['mismatching-upload-offset', 'inconsistent-upload-length']

expect.extend({
  toBeProblem(answer: Answer, status: number, code: string) {
    const document = typeof answer.body === 'object' ? (answer.body as Record<string, unknown>) : {}
    const pass =
      answer.status === status &&
      answer.headers['content-type'] === 'application/problem+json' &&
      document.status === status &&
      document.code === code &&
      document.type === typeOf(code) &&
      document.requestId === answer.headers['x-request-id'] &&
      [document.title, document.detail, document.requestId].every((text) => typeof text === 'string' && text !== '') &&
      Object.keys(document).every((member) => MEMBERS.includes(member) || OFFSETS.includes(member))
    return {
      pass,
      message: () => `expected a problem ${status} ${code}, got ${answer.status} ${JSON.stringify(answer.body)}`,
      actual: { status: answer.status, headers: answer.headers, body: answer.body },
      expected: { status, code },
    }
  },
})

function typeOf(code: string): string {
  return REGISTERED.includes(code)
    ? `https://iana.org/assignments/http-problem-types#${code}`
    : `urn:problem-type:minikeepsafe:${code}`
}
