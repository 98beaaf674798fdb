/** Shapes that several routes share. A response schema is an allow-list: what is not in it never leaves. */
import { type Static, type TSchema, Type } from '@sinclair/typebox'

export const Id = Type.String({ description: 'A nanoid.', examples: ['V1StGXR8_Z5jdHi6B-myT'] })

/** RFC 3339 in UTC with milliseconds. */
export const Timestamp = Type.String({ format: 'date-time', examples: ['2026-11-22T08:30:00.000Z'] })

export const timestamp = (ms: number): string => new Date(ms).toISOString()

/** An answer without a body. */
export const nothing = (description: string) => Type.Null({ description })

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ examples: ['urn:problem-type:minikeepsafe:file-not-found'] }),
    title: Type.String({ examples: ['There is no such file'] }),
    status: Type.Integer({ examples: [404] }),
    detail: Type.String({ examples: ['You have no file of this name.'] }),
    code: Type.String({ description: 'Stable, in kebab-case: switch on this.', examples: ['file-not-found'] }),
    requestId: Type.String({ description: 'As in X-Request-Id.', examples: ['V1StGXR8_Z5jdHi6B-myT'] }),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String({ examples: ['/email'] }), message: Type.String() }), {
        description: 'Every fault of a request that does not fit its schema.',
      }),
    ),
  },
  { $id: 'Problem', description: 'A refusal (RFC 9457).' },
)

type FailureStatus = 400 | 401 | 404 | 405 | 409 | 412 | 413 | 415 | 416 | 500 | 503

/** The refusals of a route: for each status the codes that it can carry. Any route can fail with a 500. */
export function failures<Codes extends Partial<Record<FailureStatus, string>>>(codes: Codes) {
  const documented: Partial<Record<FailureStatus, string>> = { ...codes, 500: 'internal-error' }
  return Object.fromEntries(Object.entries(documented).map(([status, list]) => [status, refusal(list)])) as Record<
    keyof Codes,
    TSchema
  >
}

function refusal(codes: string) {
  return {
    description: codes
      .split(' ')
      .map((code) => `\`${code}\``)
      .join(', '),
    headers: { 'X-Request-Id': { type: 'string', description: 'The id of this request, as in the log.' } },
    content: { 'application/problem+json': { schema: Type.Ref('Problem') } },
  } as unknown as TSchema
}

/**
 * A body that the route reads as a stream. It is documented by `schema`, and not validated: `plugins/validation.ts`
 * lets it pass.
 */
export const streamed = (schema: TSchema) => Type.Unsafe<unknown>({ ...schema, 'x-streamed': true })

/** Bytes of any kind; gives a page a file picker. */
export const Bytes = Type.String({ format: 'binary' })

export type ProblemDocument = Static<typeof ProblemSchema>
