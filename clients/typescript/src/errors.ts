/** Every way in which a call of the client fails, but for an abort: that throws the signal's reason. */
import type { components } from './generated.ts'

export type Problem = components['schemas']['Problem']

/** The codes of the server (docs/problems.md), and those that the client adds. The server may send newer ones: use `status`. */
export type ErrorCode =
  | Problem['code']
  /** No response: the connection could not be made, or broke. `cause` has the platform's error. */
  | 'network-error'
  /** No response in time. */
  | 'timeout'
  /** The bytes of a download do not have the digest that the server announced. */
  | 'damaged-download'
  /** The file became shorter while it was read for an upload. */
  | 'file-changed'
  /** A response that no server of this API sends, for example of a proxy. */
  | 'unexpected-response'
  /** The text is no pairing text of this server. */
  | 'invalid-pairing'

export class VaultError extends Error {
  override readonly name = 'VaultError'
  readonly code: ErrorCode
  /** The HTTP status; `null` without a response. */
  readonly status: number | null
  /** The reason, as text for a person. */
  readonly detail: string
  /** With `invalid-request`: every invalid value. */
  readonly errors: readonly { path: string; message: string }[]
  /** Is in the server's log. */
  readonly requestId: string | null
  /** Seconds after which the server may be asked again. */
  readonly retryAfter: number | null

  constructor(
    code: ErrorCode,
    detail: string,
    {
      status = null,
      errors = [],
      requestId = null,
      retryAfter = null,
      cause,
    }: Partial<Pick<VaultError, 'status' | 'errors' | 'requestId' | 'retryAfter'>> & { cause?: unknown } = {},
  ) {
    super(`${code}: ${detail}`, cause === undefined ? {} : { cause })
    this.code = code
    this.status = status
    this.detail = detail
    this.errors = errors
    this.requestId = requestId
    this.retryAfter = retryAfter
  }
}

export function isVaultError<Code extends ErrorCode>(
  error: unknown,
  code: Code,
): error is VaultError & { readonly code: Code } {
  return error instanceof VaultError && error.code === code
}

/** Reads a refusal. A proxy's is no problem document. */
export async function refusalOf(response: Response): Promise<VaultError> {
  const { status, headers } = response
  const known = { status, requestId: headers.get('x-request-id'), retryAfter: secondsIn(headers.get('retry-after')) }
  const text = await response.text().catch(() => '')
  const problem = parsed(text)
  if (problem === null) {
    // A refusal of HEAD has no body.
    const code = text === '' ? BY_STATUS[status] : undefined
    return new VaultError(code ?? 'unexpected-response', `The response is ${status}.`, known)
  }
  const { code, title, detail, errors = [] } = problem
  return new VaultError(code, detail ?? title ?? '', { ...known, errors })
}

const BY_STATUS: Record<number, ErrorCode> = {
  401: 'unauthorized',
  404: 'not-found',
  429: 'too-many-requests',
  503: 'not-ready',
}

function parsed(text: string): Problem | null {
  try {
    const problem = JSON.parse(text) as Problem
    return typeof problem?.code === 'string' ? problem : null
  } catch {
    return null
  }
}

/** `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). */
function secondsIn(field: string | null): number | null {
  if (field === null) return null
  if (/^\d+$/.test(field)) return Number(field)
  const date = Date.parse(field)
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}
