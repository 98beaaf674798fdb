/**
 * Schemas that several routes share. A response schema is an allow-list: other fields are never sent. `x-name` is the name of
 * the schema as a component of the OpenAPI document.
 */
import { type SchemaOptions, type Static, type TSchema, Type } from '@sinclair/typebox'
import { Problem, type ProblemCode, problemCodes, type StatusOf } from '../problems.ts'

export const Id = Type.String({ description: 'A nanoid.', examples: ['V1StGXR8_Z5jdHi6B-myT'] })

/** A `maxLength` for readers of the document. It refuses nothing, because header fields and JSON bodies are shorter. */
export const MOST_CHARACTERS = 16 * 1024

/** RFC 3339 in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T08:30:00.000Z'] })

export const timestamp = (ms: number): string => new Date(ms).toISOString()

/**
 * A value or `null`, as two types of one schema. For a union of two schemas the serializer would compile a validator at the
 * first response, which takes 50 ms, and would call it for each value.
 */
export function nullable<Value extends TSchema & { type: string }>(value: Value, options: SchemaOptions = {}) {
  return Type.Unsafe<Static<Value> | null>({ ...value, type: [value.type, 'null'], ...options })
}

/** An answer without a body. */
export const nothing = (description: string) => Type.Null({ description })

const Fault = Type.Object(
  {
    path: Type.String({ description: 'JSON Pointer to the invalid value (RFC 6901).', examples: ['/email'] }),
    message: Type.String({ examples: ['is required'] }),
  },
  { 'x-name': 'Fault' },
)

export const ProblemSchema = Type.Object(
  {
    type: Type.String({
      format: 'uri',
      description: 'Derived from the code.',
      examples: ['urn:problem-type:minikeepsafe:file-not-found'],
    }),
    title: Type.String({ description: 'The same for each use of the code.', examples: ['There is no such file'] }),
    status: Type.Integer({ description: 'The HTTP status.', examples: [404] }),
    detail: Type.String({
      description: 'The reason, as text for a person.',
      examples: ['You have no file of this name.'],
    }),
    code: Type.Unsafe<ProblemCode>({
      type: 'string',
      enum: problemCodes,
      description: 'Stable: switch on this. New codes may be added: handle an unknown code by its status.',
      examples: ['file-not-found'],
    }),
    requestId: Type.String({ description: 'As in X-Request-Id.', examples: ['V1StGXR8_Z5jdHi6B-myT'] }),
    errors: Type.Optional(
      Type.Array(Fault, {
        description: 'With `invalid-request`: every violation of the schema of the request.',
      }),
    ),
    'expected-offset': Type.Optional(
      Type.Integer({ description: 'With `mismatching-upload-offset`: where the upload goes on.' }),
    ),
    'provided-offset': Type.Optional(Type.Integer({ description: 'With it: the offset of the request.' })),
  },
  { $id: 'Problem', description: 'A refusal (RFC 9457).' },
)

/** The refusals of a route by status. `plugins/docs/document.ts` adds the refusals that every route can send. */
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

const newExample = (code: ProblemCode) =>
  new Problem(code, 'The exact reason, in a sentence.').toDocument('V1StGXR8_Z5jdHi6B-myT')

/** Made once for each code: the routes have hundreds of them, and each error captures its stack. */
const EXAMPLES = new Map(problemCodes.map((code) => [code, newExample(code)] as const))
const exampleOf = (code: ProblemCode) => EXAMPLES.get(code) as ReturnType<typeof newExample>

const text = (description: string) => ({ type: 'string', description })

/** The headers of a refusal by status. */
const REFUSAL_HEADERS: Record<number, Record<string, unknown>> = {
  401: { 'WWW-Authenticate': text('`Bearer` (RFC 9110, section 11.6.1).') },
  415: {
    Accept: text('The accepted media type, if the media type was refused. Absent if no body is taken.'),
    'Accept-Encoding': text('`identity`, if the content encoding was refused.'),
  },
  416: { 'Content-Range': text('`bytes */N` for a file of N bytes.') },
  429: { 'Retry-After': text('Seconds.') },
  503: { 'Retry-After': text('Seconds.') },
}

/** The media type of every refusal (RFC 9457). */
export const PROBLEM_JSON = 'application/problem+json'

/** Has an example for each code. `codesIn` reads the codes from the examples. */
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
 * A body that the route reads as a stream. `schema` only documents it: `plugins/intake/validation.ts` does not validate it.
 */
export const streamed = (schema: TSchema) => Type.Unsafe<unknown>({ ...schema, 'x-streamed': true })

/** The maximum of entries of a page. */
export const MOST_OF_A_PAGE = 1000

export const Paging = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MOST_OF_A_PAGE,
      default: 50,
      description: 'The maximum number of entries of a page.',
    }),
  ),
  cursor: Type.Optional(Type.String({ maxLength: 2048, description: '`nextCursor` of the previous page.' })),
}

export const NextCursor = nullable(Type.String(), { description: '`null` on the last page.' })

/** Bytes of any kind. Swagger UI shows a file picker for this format. */
export const Bytes = Type.String({ format: 'binary' })
