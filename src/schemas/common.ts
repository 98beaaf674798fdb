/** Shapes that several routes share. A response schema is an allow-list: what is not in it never leaves. */
import { type TSchema, Type } from '@sinclair/typebox'

export const Id = Type.String({ description: 'A nanoid.', examples: ['V1StGXR8_Z5jdHi6B-myT'] })

/** RFC 3339 in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T08:30:00.000Z'] })

export const timestamp = (ms: number): string => new Date(ms).toISOString()

/** An answer without a body. */
export const nothing = (description: string) => Type.Null({ description })

const Fault = Type.Object({
  path: Type.String({ description: 'JSON Pointer to the value at fault (RFC 6901).', examples: ['/email'] }),
  message: Type.String({ examples: ['is required'] }),
})

export const ProblemSchema = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'Made from the code.',
      examples: ['urn:problem-type:minikeepsafe:file-not-found'],
    }),
    title: Type.String({ description: 'One for each code.', examples: ['There is no such file'] }),
    status: Type.Integer({ description: 'The HTTP status.', examples: [404] }),
    detail: Type.String({ description: 'What is wrong, for a person.', examples: ['You have no file of this name.'] }),
    code: Type.String({ description: 'Stable, in kebab-case: switch on this.', examples: ['file-not-found'] }),
    requestId: Type.String({ description: 'As in X-Request-Id.', examples: ['V1StGXR8_Z5jdHi6B-myT'] }),
    errors: Type.Optional(
      Type.Array(Fault, {
        description: 'With `invalid-request`: every fault of a request that does not fit its schema.',
      }),
    ),
  },
  { $id: 'Problem', description: 'A refusal (RFC 9457).' },
)

type FailureStatus = 400 | 401 | 404 | 405 | 409 | 412 | 413 | 415 | 416 | 429 | 500 | 503 | 507

/** The refusals of a route: for each status the codes that it can carry. Any route can fail with a 500. */
export function failures<Codes extends Partial<Record<FailureStatus, string>>>(codes: Codes) {
  const documented: Partial<Record<FailureStatus, string>> = { ...codes, 500: 'internal-error' }
  return Object.fromEntries(
    Object.entries(documented).map(([status, list]) => [status, refusal(Number(status), list)]),
  ) as Record<keyof Codes, TSchema>
}

const text = (description: string) => ({ type: 'string', description })

/** What any request that changes something can be refused for, whatever it is about. */
export const CHANGE_REFUSALS = {
  401: 'unauthorized',
  413: 'body-too-large',
  415: 'unsupported-media-type unsupported-encoding',
  503: 'not-ready read-only',
  507: 'insufficient-storage',
} as const

/** What a refusal carries beside its problem. */
const REFUSAL_HEADERS: Record<number, Record<string, unknown>> = {
  401: { 'WWW-Authenticate': text('`Bearer` (RFC 9110, section 11.6.1).') },
  415: {
    Accept: text('The media type that is taken, where that was the trouble.'),
    'Accept-Encoding': text('`identity`, where a content encoding was the trouble.'),
  },
  416: { 'Content-Range': text('`bytes */N`, where the file has N bytes.') },
  429: { 'Retry-After': text('Seconds.') },
  503: { 'Retry-After': text('Seconds.') },
}

function refusal(status: number, codes: string) {
  return {
    description: codes
      .split(' ')
      .map((code) => `\`${code}\``)
      .join(', '),
    headers: REFUSAL_HEADERS[status],
    content: { 'application/problem+json': { schema: Type.Ref('Problem') } },
  } as unknown as TSchema
}

/**
 * A body that the route reads as a stream. It is documented by `schema`, and not validated: `plugins/validation.ts`
 * lets it pass.
 */
export const streamed = (schema: TSchema) => Type.Unsafe<unknown>({ ...schema, 'x-streamed': true })

/** What a list takes to be read page by page. */
export const MOST_OF_A_PAGE = 1000

export const Paging = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MOST_OF_A_PAGE,
      default: 50,
      description: 'How many entries a page has at most.',
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: '`nextCursor` of the page before.' })),
}

export const NextCursor = Type.Union([Type.String(), Type.Null()], { description: '`null` on the last page.' })

/** Bytes of any kind; gives a page a file picker. */
export const Bytes = Type.String({ format: 'binary' })
