/**
 * Shapes that several routes share. A response schema is an allow-list: what is not in it never leaves. Under its `x-name` the
 * document has a schema as a component.
 */
import { type TSchema, Type } from '@sinclair/typebox'
import { Problem, type ProblemCode, problemCodes, type StatusOf } from '../problems.ts'

export const Id = Type.String({ description: 'A nanoid.', examples: ['V1StGXR8_Z5jdHi6B-myT'] })

/** More than the fields of a request or a JSON body can have: a bound for readers of the document, which refuses nothing. */
export const MOST_CHARACTERS = 16 * 1024

/** RFC 3339 in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T08:30:00.000Z'] })

export const timestamp = (ms: number): string => new Date(ms).toISOString()

/** An answer without a body. */
export const nothing = (description: string) => Type.Null({ description })

const Fault = Type.Object(
  {
    path: Type.String({ description: 'JSON Pointer to the value at fault (RFC 6901).', examples: ['/email'] }),
    message: Type.String({ examples: ['is required'] }),
  },
  { 'x-name': 'Fault' },
)

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
    code: Type.Unsafe<ProblemCode>({
      type: 'string',
      enum: problemCodes,
      description: 'Stable: switch on this. There will be more codes: treat one that you do not know by its status.',
      examples: ['file-not-found'],
    }),
    requestId: Type.String({ description: 'As in X-Request-Id.', examples: ['V1StGXR8_Z5jdHi6B-myT'] }),
    errors: Type.Optional(
      Type.Array(Fault, {
        description: 'With `invalid-request`: every fault of a request that does not fit its schema.',
      }),
    ),
  },
  { $id: 'Problem', description: 'A refusal (RFC 9457).' },
)

/** The refusals of a route by their status. `plugins/docs/docs.ts` adds those that do not depend on what the route does. */
export function failures<Code extends ProblemCode>(...codes: Code[]) {
  const byStatus: Record<number, ProblemCode[]> = {}
  for (const code of codes) {
    const { status } = exampleOf(code)
    byStatus[status] = [...(byStatus[status] ?? []), code]
  }
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, some]) => [status, refusal(Number(status), some)]),
  ) as Record<StatusOf<Code>, TSchema>
}

const exampleOf = (code: ProblemCode) =>
  new Problem(code, 'What exactly was wrong, in a sentence.').toDocument('V1StGXR8_Z5jdHi6B-myT')

const text = (description: string) => ({ type: 'string', description })

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

/** The media type of every refusal (RFC 9457). */
export const PROBLEM_JSON = 'application/problem+json'

/** Has an example for each code, by which `codesIn` knows them. */
function refusal(status: number, codes: ProblemCode[]) {
  const examples = Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]))
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: REFUSAL_HEADERS[status],
    content: { [PROBLEM_JSON]: { schema: Type.Ref('Problem'), examples } },
  } as unknown as TSchema
}

/** The codes of all refusals among the responses of a route. */
export function codesIn(responses: object): ProblemCode[] {
  return Object.values(responses).flatMap(
    ({ content }) => Object.keys(content?.[PROBLEM_JSON]?.examples ?? {}) as ProblemCode[],
  )
}

/**
 * A body that the route reads as a stream. It is documented by `schema`, and not validated: `plugins/intake/validation.ts`
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
