/**
 * Every way a request can be refused: code, status, title. Refusals are thrown and become
 * `application/problem+json` (RFC 9457) in `plugins/errors.ts`. Codes are stable: clients switch on them.
 */
export interface Fault {
  /** JSON Pointer (RFC 6901) to the invalid value. */
  path: string
  message: string
}

const catalogue = {
  'invalid-request': [400, 'The request does not fit its schema'],
  'malformed-http': [400, 'The request is not valid HTTP'],
  'malformed-json': [400, 'The body is not valid JSON'],
  'malformed-multipart': [400, 'The body is not a form with one file'],
  'malformed-url': [400, 'The URL cannot be decoded'],
  'incomplete-body': [400, 'The body broke off'],
  'invalid-name': [400, 'The file name cannot be used'],
  'invalid-cursor': [400, 'The cursor does not belong to this list'],
  'invalid-digest': [400, 'The digest field cannot be read'],
  'digest-mismatch': [400, 'The bytes do not match their digest'],
  'inconsistent-upload-length': [400, 'The lengths of the upload contradict each other'],
  'range-not-allowed': [400, 'A partial upload is not possible here'],
  unauthorized: [401, 'A valid session token is needed'],
  'invalid-pin': [401, 'The PIN does not open a session'],
  'cross-site-request': [403, 'The cookie does not count in a request of another site'],
  'final-upload': [403, 'A concatenation takes no bytes'],
  'not-found': [404, 'There is nothing at this path'],
  'file-not-found': [404, 'There is no such file'],
  'thumbnail-not-found': [404, 'The file has no thumbnail'],
  'upload-not-found': [404, 'There is no such upload'],
  'session-not-found': [404, 'There is no such session'],
  'method-not-allowed': [405, 'The path does not take this method'],
  'request-timeout': [408, 'The request took too long to arrive'],
  'email-taken': [409, 'The address belongs to a user'],
  'file-exists': [409, 'The name is taken by another file'],
  'mismatching-upload-offset': [409, 'The upload goes on at another offset'],
  'upload-in-use': [409, 'The upload has continued elsewhere'],
  'cursor-expired': [410, 'The cursor is too old'],
  'precondition-failed': [412, 'A precondition does not hold'],
  'body-too-large': [413, 'The body is too large'],
  'file-too-large': [413, 'The file is too large'],
  'unsupported-media-type': [415, 'The media type is not taken here'],
  'unsupported-encoding': [415, 'The content encoding is not taken here'],
  'range-not-satisfiable': [416, 'The file has no such range'],
  'checksum-mismatch': [460, 'The bytes do not match their checksum'],
  'too-many-requests': [429, 'Too many requests'],
  'headers-too-large': [431, 'The header fields are too large'],
  'internal-error': [500, 'Something went wrong on the server'],
  'unsupported-transfer-coding': [501, 'The transfer coding is not known here'],
  'not-ready': [503, 'The server cannot do its work at the moment'],
  'outcome-unknown': [503, 'The change may have been made or not'],
  'read-only': [503, 'Nothing can be changed at the moment'],
  'insufficient-storage': [507, 'The server has no room left'],
  'quota-exceeded': [507, 'Your files would be more than your quota allows'],
} as const satisfies Record<string, readonly [status: number, title: string]>

/** The codes whose types draft-ietf-httpbis-resumable-upload registers with IANA. */
const registered: string[] = ['mismatching-upload-offset', 'inconsistent-upload-length']

const typeOf = (code: string) =>
  registered.includes(code)
    ? `https://iana.org/assignments/http-problem-types#${code}`
    : `urn:problem-type:minikeepsafe:${code}`

export type ProblemCode = keyof typeof catalogue
/** The status of a code. */
export type StatusOf<Code extends ProblemCode> = (typeof catalogue)[Code][0]

export const problemCodes = Object.keys(catalogue) as ProblemCode[]

export interface ProblemExtras {
  headers?: Record<string, string>
  errors?: Fault[]
  /** Extension members of the document. */
  members?: Record<string, number>
  cause?: unknown
}

/** A refusal, thrown as an error. `message` is the `detail` of the response. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly status: number
  readonly title: string
  readonly headers: Record<string, string>
  readonly errors: Fault[] | undefined
  readonly members: Record<string, number>

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail, { cause: extras.cause })
    this.name = 'Problem'
    this.code = code
    ;[this.status, this.title] = catalogue[code]
    this.headers = extras.headers ?? {}
    this.errors = extras.errors
    this.members = extras.members ?? {}
  }

  /** The document of RFC 9457, section 3.1, with `code` and `requestId` as extension members. */
  toDocument(requestId: string) {
    return {
      type: typeOf(this.code),
      title: this.title,
      status: this.status,
      detail: this.message,
      code: this.code,
      requestId,
      ...(this.errors && { errors: this.errors }),
      ...this.members,
    }
  }
}

/** Every 401 carries a challenge (RFC 9110, section 11.6.1). */
const challenge = { 'www-authenticate': 'Bearer' }

export const problems = {
  invalidRequest: (errors: Fault[]) =>
    new Problem('invalid-request', errors.map(({ path, message }) => `${path || '/'}: ${message}`).join('; '), {
      errors,
    }),
  malformedHttp: () => new Problem('malformed-http', 'The bytes received are not a valid HTTP request.'),
  malformedJson: (cause?: unknown) =>
    new Problem('malformed-json', 'The body must be one JSON document in UTF-8.', { cause }),
  malformedMultipart: (detail: string, cause?: unknown) => new Problem('malformed-multipart', detail, { cause }),
  malformedUrl: () =>
    new Problem(
      'malformed-url',
      'The path and the query must be valid percent-encoded UTF-8, without a raw #. The path has at most 765 encoded bytes, the query at most 100 parameters.',
    ),
  incompleteBody: (cause?: unknown) =>
    new Problem('incomplete-body', 'The connection was closed before the body was complete. Nothing was stored.', {
      cause,
    }),
  invalidName: (detail: string, cause?: unknown) => new Problem('invalid-name', detail, { cause }),
  cursorExpired: () =>
    new Problem('cursor-expired', 'Some changes since then are not known any more. Start again without a cursor.'),
  invalidCursor: () => new Problem('invalid-cursor', 'Use nextCursor unchanged, with the same prefix, sort and order.'),
  invalidDigest: (field: string) =>
    new Problem('invalid-digest', `${field} must be a dictionary such as sha-256=:…base64…: (RFC 9530).`),
  digestMismatch: (field: string) =>
    new Problem('digest-mismatch', `The bytes received do not match ${field}. Nothing was stored.`),
  rangeNotAllowed: () =>
    new Problem('range-not-allowed', 'Content-Range is not supported on PUT: send the whole file (RFC 9110, 14.5).'),
  unauthorized: () =>
    new Problem('unauthorized', 'Send the header Authorization: Bearer <token> with a token from POST /v1/sessions.', {
      headers: challenge,
    }),
  invalidPin: () =>
    new Problem('invalid-pin', 'The PIN is wrong, expired or used, or was issued for another device.', {
      headers: challenge,
    }),
  crossSiteRequest: () =>
    new Problem(
      'cross-site-request',
      'The cookie counts only in requests of pages of this server. Other clients send the token in Authorization.',
    ),
  tooManyUploads: (most: number) =>
    new Problem(
      'quota-exceeded',
      `You have ${most} uploads that are not complete. Finish or delete some. Nothing was stored.`,
    ),
  checksumMismatch: () =>
    new Problem('checksum-mismatch', 'The bytes received do not match Upload-Checksum. None of them was stored.'),
  unsupportedTusVersion: (version: string) =>
    new Problem('precondition-failed', `This server speaks tus ${version}.`, { headers: { 'tus-version': version } }),
  tooManyParts: (most: number) =>
    new Problem(
      'inconsistent-upload-length',
      `The upload has very many short appends. It may have at most ${most}. Send longer ones.`,
    ),
  uploadInUse: (offset?: number) =>
    new Problem(
      'upload-in-use',
      'Another request continues this upload. Ask for its offset (HEAD), then go on there.',
      {
        headers: offset === undefined ? {} : { 'upload-offset': String(offset) },
      },
    ),
  mismatchingOffset: (expected: number, provided: number) =>
    new Problem('mismatching-upload-offset', `The upload goes on at byte ${expected}, not at ${provided}.`, {
      headers: { 'upload-offset': String(expected) },
      members: { 'expected-offset': expected, 'provided-offset': provided },
    }),
  finalUpload: () => new Problem('final-upload', 'This upload was made of others, and takes no more bytes.'),
  inconsistentLength: () => new Problem('inconsistent-upload-length', 'The bytes do not fit the length of the upload.'),
  notFound: () => new Problem('not-found', 'This server has no resource at this path. /docs lists the paths.'),
  fileNotFound: (which = 'of this name') => new Problem('file-not-found', `You have no file ${which}.`),
  thumbnailNotFound: () => new Problem('thumbnail-not-found', 'The file has no thumbnail.'),
  uploadNotFound: () => new Problem('upload-not-found', 'You have no upload of this id. It may have expired.'),
  sessionNotFound: () => new Problem('session-not-found', 'You have no active session with this id.'),
  methodNotAllowed: (allowed: string[]) =>
    new Problem('method-not-allowed', `This path supports ${allowed.join(', ')}.`, {
      headers: { allow: allowed.join(', ') },
    }),
  requestTimeout: () =>
    new Problem('request-timeout', 'The request took too long: its header was incomplete, or its body was too slow.'),
  emailTaken: () =>
    new Problem(
      'email-taken',
      'A user has confirmed this address. To sign in on this device, get a PIN from a signed-in device (POST /v1/pins) or from the operator of this server.',
    ),
  fileExists: (orElse = ', or send ?onConflict=rename') =>
    new Problem('file-exists', `Another file has this name. Choose another${orElse}.`),
  preconditionFailed: (effect = ' Nothing was changed.') =>
    new Problem('precondition-failed', `The file does not meet the preconditions of the request.${effect}`),
  bodyTooLarge: (limit: number) => new Problem('body-too-large', `A body may have at most ${limit} bytes here.`),
  tooManyMembers: (limit: number) =>
    new Problem('body-too-large', `A body may have at most ${limit} objects, arrays and members.`),
  fileTooLarge: (limit: number) =>
    new Problem('file-too-large', `A file may have at most ${limit} bytes.`, {
      // draft-ietf-httpbis-resumable-upload, for a refusal by a limit.
      headers: { 'upload-limit': `max-size=${limit}` },
    }),
  /** The storage itself has a limit, such as FAT32 with 4 GiB for each file. */
  tooLargeForStorage: (cause: unknown) =>
    new Problem(
      'file-too-large',
      'The storage of the server takes no file of this size in one piece. A resumable upload in smaller pieces may work.',
      { cause },
    ),
  /** `accepted` is empty if the operation takes no body at all. */
  unsupportedMediaType: (accepted: string) =>
    accepted === ''
      ? new Problem('unsupported-media-type', 'This operation takes no body.')
      : new Problem('unsupported-media-type', `This resource accepts ${accepted}.`, { headers: { accept: accepted } }),
  unsupportedEncoding: () =>
    new Problem('unsupported-encoding', 'Send the body without a Content-Encoding.', {
      headers: { 'accept-encoding': 'identity' },
    }),
  rangeNotSatisfiable: (sizeBytes: number) =>
    new Problem('range-not-satisfiable', `The file has ${sizeBytes} bytes.`, {
      headers: { 'content-range': `bytes */${sizeBytes}` },
    }),
  tooManyRequests: (limit: string, waitSeconds: number) =>
    new Problem('too-many-requests', `The limit "${limit}" is exceeded. Wait ${waitSeconds} seconds.`, {
      headers: { 'retry-after': String(waitSeconds) },
    }),
  headersTooLarge: () =>
    new Problem('headers-too-large', 'The header fields are more, or larger, than this server accepts.'),
  internalError: (cause?: unknown) =>
    new Problem('internal-error', 'The log of the server has the cause under this requestId.', { cause }),
  unsupportedTransferCoding: () =>
    new Problem('unsupported-transfer-coding', 'Send the body with a Content-Length or in chunks (RFC 9112, 6.1).'),
  quotaExceeded: (most: number, what: 'bytes' | 'files', { keepsReplaced = false, isUpload = false } = {}) =>
    new Problem(
      'quota-exceeded',
      [
        what === 'files'
          ? `You may have ${most} files, including those in the trash.`
          : `Your files, trash, thumbnails and uploads that are not complete may have ${most} bytes together.`,
        keepsReplaced
          ? 'The replaced version counts, too, because it goes to the trash. ?replaced=discard avoids this.'
          : '',
        isUpload ? 'The upload keeps the bytes that it has.' : 'Nothing was stored.',
      ]
        .filter((sentence) => sentence !== '')
        .join(' '),
    ),
  notReady: (detail: string, cause?: unknown) =>
    new Problem('not-ready', detail, { headers: { 'retry-after': '5' }, cause }),
  outcomeUnknown: (cause?: unknown) =>
    new Problem(
      'outcome-unknown',
      'The connection to the storage broke before it answered. Check whether the change was made before you repeat the request.',
      { headers: { 'retry-after': '5' }, cause },
    ),
  readOnly: () =>
    new Problem('read-only', 'The vault is read-only until its operator ends the maintenance.', {
      headers: { 'retry-after': '60' },
    }),
  insufficientStorage: (cause?: unknown) =>
    new Problem('insufficient-storage', 'The disk of the server is full. Nothing was changed.', { cause }),
}

/** The catalogue as rows, for the documentation and its test. */
export const problemCatalogue = Object.entries(catalogue).map(([code, [status, title]]) => ({ code, status, title }))
