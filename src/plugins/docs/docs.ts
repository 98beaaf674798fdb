/** The OpenAPI 3.1 document at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { ProblemCode } from '../../problems.ts'
import { codesIn, failures, PROBLEM_JSON, ProblemSchema } from '../../schemas/common.ts'
import { VERSION } from '../../version.ts'
import { narrowScreens, withViewport } from './docs-page.ts'

const description = `A private vault behind four steps:

1. **POST /v1/users** with a name, an address and a device id: a four-digit PIN is on its way.
2. **POST /v1/sessions** with the device id and the PIN: a session token. Press **Authorize** and paste it.
3. **POST /v1/files** with a file, or **PUT /v1/files/{name}** with its bytes: stored.
4. **GET /v1/files/{name}**: the bytes again.

Refusals are \`application/problem+json\` (RFC 9457); their \`code\` is stable, and each status lists the codes that it can
carry. A refusal given before the body was read ends the connection (\`Connection: close\`). An unknown path is a 404
\`not-found\`, another method of a known path a 405 \`method-not-allowed\` with \`Allow\`. Who asks too often gets a 429
\`too-many-requests\` with \`Retry-After\`; before it comes to that, \`RateLimit\` tells how much is left.`

/** What Swagger UI needs, and no more: its pictures are data URLs, its downloads are blobs, its styles are inline. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The headers of every response, and those of the responses of a route that is limited. */
const EVERY_HEADER = ['X-Request-Id']
const LIMIT_HEADERS = ['RateLimit-Policy', 'RateLimit']

/** What a page or a script may hold of the memory while its client does not read. */
const PAGE_BYTES = 256 * 1024

export const docs = fastifyPlugin(async (app) => {
  app.addHook('onRoute', (route) => {
    if (/^\/docs(\/|$)/.test(route.url)) route.config = { ...route.config, holds: () => PAGE_BYTES }
  })
  app.addSchema(ProblemSchema)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'minikeepsafe',
        version: VERSION,
        description,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      // The document is read from the server that it describes.
      servers: [{ url: '/' }],
      security: [{ session: [] }],
      tags: [
        { name: 'register', description: 'A user, and a PIN on its way.' },
        { name: 'sessions', description: 'From a PIN to a session, and out again.' },
        { name: 'files', description: 'Bytes in and out.' },
        { name: 'trash', description: 'Deleted files, to be restored for a while.' },
        { name: 'account', description: 'Who is signed in, what it uses, what happened, and its end.' },
        { name: 'health', description: 'For whoever watches the server.' },
      ],
      components: {
        headers: {
          'X-Request-Id': {
            description: 'The id of this request, as in the log: the one that it brought, or a new one.',
            schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
            example: 'V1StGXR8_Z5jdHi6B-myT',
          },
          'RateLimit-Policy': {
            description:
              'The limits of this request by name: how many (`q`), in how many seconds (`w`) or at once (`qu`). Absent where the server has none.',
            schema: { type: 'string' },
            example: '"sign-in";q=10;w=60',
          },
          RateLimit: {
            description: 'How many of each are left (`r`), and for how many seconds (`t`).',
            schema: { type: 'string' },
            example: '"sign-in";r=9;t=42',
          },
        },
        securitySchemes: {
          session: { type: 'http', scheme: 'bearer', description: 'The `token` of POST /v1/sessions.' },
        },
      },
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `def-${i}`) },
    transform: ({ schema, url, route }) => ({
      url,
      schema: schema.hide ? schema : withEveryRefusal(schema, url, !/^(GET|HEAD)$/.test(String(route.method))),
    }),
    transformObject: (document) => ('openapiObject' in document ? finished(document.openapiObject) : {}),
  })

  withViewport(app)
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    theme: { title: 'minikeepsafe', css: [{ filename: 'narrow-screens.css', content: narrowScreens }] },
    uiConfig: {
      // Without a bar that offers other documents.
      layout: 'BaseLayout',
      tryItOutEnabled: true,
      displayRequestDuration: true,
      docExpansion: 'list',
      validatorUrl: null,
      requestInterceptor: withoutEmptyName,
    },
  })
})

/**
 * Runs in the page: a name that nobody filled in is left out of the form. The page would send it, and no file has an
 * empty name.
 */
function withoutEmptyName<Sent extends { body?: unknown }>(request: Sent): Sent {
  if (request.body instanceof FormData && request.body.get('name') === '') request.body.delete('name')
  return request
}

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

/** What any request can be refused for, whatever it asks for. */
const EVERYWHERE: ProblemCode[] = [
  ...(['malformed-http', 'malformed-url', 'incomplete-body', 'request-timeout', 'headers-too-large'] as const),
  ...(['unsupported-transfer-coding', 'not-ready'] as const),
]

/** The refusals of the route itself, and those that come from what is in force across routes. */
function withEveryRefusal(schema: FastifySchema, url: string, changes: boolean): FastifySchema {
  const response = schema.response as object
  const codes = [
    ...codesIn(response),
    ...(schema.security?.length === 0 ? [] : (['unauthorized'] as const)),
    ...(changes ? (['unsupported-encoding', 'read-only'] as const) : []),
    ...(changes && !schema.consumes ? (['malformed-json', 'body-too-large', 'unsupported-media-type'] as const) : []),
    ...EVERYWHERE,
    // Of these nothing is asked that could fail otherwise.
    ...(url.startsWith('/health/') ? [] : (['internal-error'] as const)),
  ]
  return { ...schema, response: { ...response, ...failures(...new Set(codes)) } }
}

/** The generated document, with what the generator leaves undone. */
function finished<Document extends { paths?: object; components?: Components }>(generated: Document): Document {
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

/** The examples of a refusal are the same in all its operations. */
function shareExamples({ content }: Response, shared: Record<string, unknown>) {
  const examples = content?.[PROBLEM_JSON]?.examples ?? {}
  for (const [code, example] of Object.entries(examples)) {
    shared[code] = example
    examples[code] = { $ref: `#/components/examples/${code}` }
  }
}

/** Each schema with an `x-name` becomes a component; other marks for this server's own plugins are left out. */
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

/** Tells a choice of words in the way that gives a menu. */
function menuOf(schema: Record<string, unknown>): Record<string, unknown> {
  const { anyOf, ...rest } = schema as { anyOf?: { enum?: string[] }[] }
  return anyOf?.every((choice) => choice.enum)
    ? { ...rest, type: 'string', enum: anyOf.flatMap((choice) => choice.enum) }
    : schema
}

/** A page fills an `example` in: good for a path, but nobody wants to send every optional header. */
function finishParameter(parameter: Parameter) {
  if (parameter.in === 'header') parameter.name = parameter.name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase())
  if (parameter.required || parameter.example === undefined) return
  parameter.schema.examples = [parameter.example]
  delete parameter.example
}

function referencesTo(headers: string[]) {
  return Object.fromEntries(headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]))
}

/** No answer to HEAD has a body; and its id needs no suffix, since GET has another. */
function finishHead(operation: Operation) {
  operation.operationId = operation.operationId.replace(/-head$/, '')
  for (const response of Object.values(operation.responses)) delete response.content
}
