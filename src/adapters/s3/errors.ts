/** Maps errors of an S3 store to the codes that the port promises. */

/** The used fields of the SDK's errors. */
interface SdkError {
  name?: string
  code?: string
  message?: string
  $metadata?: { httpStatusCode?: number; attempts?: number; requestId?: string }
}

/** An error of the store or of the connection to it. Never contains the request or its key. */
export class StoreError extends Error {
  readonly code: 'EUNREACHABLE' | 'ENOSPC' | undefined
  /** The error code of the store, such as `NoSuchKey`, or of the system, such as `ECONNREFUSED`. */
  readonly reason: string
  readonly status: number | undefined
  /** Whether the request was retried. An earlier try may have succeeded although its response was lost. */
  readonly retried: boolean

  constructor(doing: string, error: unknown) {
    const { name = '', code, message = '', $metadata = {} } = (error ?? {}) as SdkError
    const { httpStatusCode: status, attempts = 1, requestId } = $metadata
    const reason = status === undefined ? (code ?? name) : name
    const answer = status === undefined ? `: ${message || reason}` : ` with ${status} ${reason}`
    super(`S3: ${doing} failed${answer}${requestId ? ` (request ${requestId})` : ''}`)
    this.name = 'StoreError'
    this.reason = reason
    this.status = status
    this.retried = attempts > 1
    this.code = codeOf(status, reason)
  }

  /** The object does not exist. A missing bucket is another error. */
  get isAbsence(): boolean {
    return this.status === 404 && this.reason !== 'NoSuchBucket'
  }
}

/** The error codes of different stores for full storage. */
const FULL = /quota|storage_?(full|cap)|nospace|insufficientstorage/i
/** Statuses that a client may retry later: the store is overloaded, or refuses the server at the moment. */
const TEMPORARY = [403, 408, 429]

function codeOf(status: number | undefined, reason: string): StoreError['code'] {
  if (status === 507 || FULL.test(reason)) return 'ENOSPC'
  if (status === undefined || status >= 500 || TEMPORARY.includes(status) || reason === 'NoSuchBucket') {
    return 'EUNREACHABLE'
  }
  return undefined
}
