/** Completes the OpenAPI document that @fastify/swagger generates from the schemas of the routes. */
import type { FastifySchema } from 'fastify'
import type { ProblemCode } from '../../problems.ts'
import { codesIn, failures, PROBLEM_JSON } from '../../schemas/common.ts'

/** The headers of every response, and those of a route with rate limits. */
const EVERY_HEADER = ['X-Request-Id']
const LIMIT_HEADERS = ['RateLimit-Policy', 'RateLimit']

interface Operation {
  operationId: string
  parameters?: Parameter[]
  responses: Record<string, Response>
}

interface Response {
  headers?: Record<string, unknown>
  content?: Record<string, { examples?: Record<string, unknown> }>
}

interface Components {
  schemas?: object
  examples?: object
}

interface Parameter {
  in: string
  name: string
  required?: boolean
  example?: unknown
  schema: Record<string, unknown>
}

/** The refusals that any request can get. */
const EVERYWHERE: ProblemCode[] = [
  ...(['malformed-http', 'malformed-url', 'incomplete-body', 'request-timeout', 'headers-too-large'] as const),
  ...(['unsupported-transfer-coding', 'not-ready'] as const),
]

/** Adds the refusals that plugins send on any route to those of the route itself. */
export function withEveryRefusal(schema: FastifySchema, url: string, method: string, changes: boolean): FastifySchema {
  const takesBody = method !== 'GET' && method !== 'HEAD'
  const response = schema.response as object
  const codes = [
    ...codesIn(response),
    ...(schema.security?.length === 0 ? [] : (['unauthorized'] as const)),
    ...(takesBody ? (['cross-site-request'] as const) : []),
    ...(takesBody ? (['unsupported-encoding'] as const) : []),
    ...(changes ? (['read-only', 'outcome-unknown'] as const) : []),
    ...(takesBody && !schema.consumes ? (['malformed-json', 'body-too-large', 'unsupported-media-type'] as const) : []),
    ...EVERYWHERE,
    // The health routes have no other way to fail.
    ...(url.startsWith('/health/') ? [] : (['internal-error'] as const)),
  ]
  return { ...schema, response: { ...response, ...failures(...new Set(codes)) } }
}

/** Completes the generated document: parameters, headers, shared examples and named schemas. */
export function finished<Document extends { paths?: object; components?: Components }>(generated: Document): Document {
  const document: Document = JSON.parse(JSON.stringify(generated))
  const examples = {}
  for (const path of Object.values(document.paths ?? {}) as Record<string, Operation>[]) {
    for (const [method, operation] of Object.entries(path)) {
      operation.parameters?.forEach(finishParameter)
      const headers = referencesTo(operation.responses[429] ? [...EVERY_HEADER, ...LIMIT_HEADERS] : EVERY_HEADER)
      for (const response of Object.values(operation.responses)) {
        response.headers = { ...response.headers, ...headers }
        shareExamples(response, examples)
      }
      if (method === 'head') finishHead(operation)
    }
  }
  return withSchemas({ ...document, components: { ...document.components, examples } })
}

/** Moves the examples of refusals to the components: they are the same in all operations. */
function shareExamples({ content }: Response, shared: Record<string, unknown>) {
  const examples = content?.[PROBLEM_JSON]?.examples ?? {}
  for (const [code, example] of Object.entries(examples)) {
    shared[code] = example
    examples[code] = { $ref: `#/components/examples/${code}` }
  }
}

/** Each schema with an `x-name` becomes a component. Other `x-` keys are for this server's plugins, and are removed. */
function withSchemas<Document extends { components?: Components }>(document: Document): Document {
  const named: Record<string, unknown> = {}
  const rest = plain(document) as Document
  return { ...rest, components: { ...rest.components, schemas: { ...rest.components?.schemas, ...named } } }

  function plain(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(plain)
    if (typeof value !== 'object' || value === null) return value
    const { 'x-name': name, ...members } = value as Record<string, unknown>
    const kept = Object.entries(members).filter(([key]) => !key.startsWith('x-'))
    const copy = menuOf(Object.fromEntries(kept.map(([key, member]) => [key, plain(member)])))
    if (typeof name !== 'string') return copy
    named[name] = copy
    return { $ref: `#/components/schemas/${name}` }
  }
}

/** Writes a choice of words as one `enum`, because Swagger UI shows a menu only for that. */
function menuOf(schema: Record<string, unknown>): Record<string, unknown> {
  const { anyOf, ...rest } = schema as { anyOf?: { enum?: string[] }[] }
  return anyOf?.every((choice) => choice.enum)
    ? { ...rest, type: 'string', enum: anyOf.flatMap((choice) => choice.enum) }
    : schema
}

/** Swagger UI sends the `example` of every parameter. For an optional one `examples` is used, which is only shown. */
function finishParameter(parameter: Parameter) {
  if (parameter.in === 'header') parameter.name = parameter.name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
  if (parameter.required || parameter.example === undefined) return
  parameter.schema.examples = [parameter.example]
  delete parameter.example
}

function referencesTo(headers: string[]) {
  return Object.fromEntries(headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** A response to HEAD has no body. Its operation id needs no suffix, because GET has another id. */
function finishHead(operation: Operation) {
  operation.operationId = operation.operationId.replace(/-head$/, '')
  for (const response of Object.values(operation.responses)) delete response.content
}
