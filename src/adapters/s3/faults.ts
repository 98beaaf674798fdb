/** What an S3 store says went wrong, in the words and codes of `ports.ts`. */

/** As much of the SDK's errors as is needed here. */
interface Answered {
  name?: string
  code?: string
  message?: string
  $metadata?: { httpStatusCode?: number; attempts?: number; requestId?: string }
}

/** A fault of the store or on the way to it. Never carries what was asked, nor with which key. */
export class StoreFault extends Error {
  readonly code: 'EUNREACHABLE' | 'ENOSPC' | undefined
  /** The store's own name for it, such as `NoSuchKey`, or the system's, such as `ECONNREFUSED`. */
  readonly reason: string
  readonly status: number | undefined
  /** Whether an earlier try of the same request may have been carried out without our hearing of it. */
  readonly retried: boolean

  constructor(doing: string, error: unknown) {
    const { name = '', code, message = '', $metadata = {} } = (error ?? {}) as Answered
    const { httpStatusCode: status, attempts = 1, requestId } = $metadata
    const reason = status === undefined ? (code ?? name) : name
    const answer = status === undefined ? `: ${message || reason}` : ` with ${status} ${reason}`
    super(`S3: ${doing} failed${answer}${requestId ? ` (request ${requestId})` : ''}`)
    this.name = 'StoreFault'
    this.reason = reason
    this.status = status
    this.retried = attempts > 1
    this.code = codeOf(status, reason)
  }

  /** The object is not there. A bucket that is gone is another matter. */
  get isAbsence(): boolean {
    return this.status === 404 && this.reason !== 'NoSuchBucket'
  }
}

/** Stores name what has run full in their own ways. */
const FULL = /quota|storage_?(full|cap)|nospace|insufficientstorage/i
/** What a client may try again later: the store is overloaded or failing, or does not let the server in at the moment. */
const PASSING = [403, 408, 429]

function codeOf(status: number | undefined, reason: string): StoreFault['code'] {
  if (status === 507 || FULL.test(reason)) return 'ENOSPC'
  if (status === undefined || status >= 500 || PASSING.includes(status) || reason === 'NoSuchBucket') {
    return 'EUNREACHABLE'
  }
  return undefined
}
