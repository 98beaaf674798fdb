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

1. **POST /v1/users** with a name, an address and a device id sends a four-digit PIN.
2. **POST /v1/sessions** with the device id and the PIN returns a session token. Press **Authorize** and paste it.
3. **POST /v1/files** with a file, or **PUT /v1/files/{name}** with its bytes, stores the file.
4. **GET /v1/files/{name}** returns the bytes.

Refusals are \`application/problem+json\` (RFC 9457); their \`code\` is stable, and each status lists the codes that it can
carry. A refusal that is sent before the body was read ends the connection (\`Connection: close\`). An unknown path is a 404
\`not-found\`, another method of a known path a 405 \`method-not-allowed\` with \`Allow\`. Too many requests are a 429
\`too-many-requests\` with \`Retry-After\`. \`RateLimit\` in every response of such a route says how much is left.`

/** Only what Swagger UI needs: its pictures are data URLs, its downloads are blobs, its styles are inline. */
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

/** The headers of every response, and those of a route with rate limits. */
const EVERY_HEADER = ['X-Request-Id']
const LIMIT_HEADERS = ['RateLimit-Policy', 'RateLimit']

/** The maximum of memory for a page or a script while its client does not read. */
const PAGE_BYTES = 256 * 1024

export const docs = fastifyPlugin(async (app) => {
  app.addHook('onRoute', (route) => {
    if (/^\/docs(\/|$)/.test(route.url)) route.config = { ...route.config, memoryBytes: () => PAGE_BYTES }
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
        { name: 'register', description: 'Create a user, and request a PIN.' },
        { name: 'sessions', description: 'Sign in with a PIN, list sessions, sign out.' },
        { name: 'files', description: 'Upload, download, list, rename and delete files.' },
        { name: 'trash', description: 'List, restore and purge deleted files.' },
        { name: 'account', description: 'The signed-in user: profile, usage, activity, export and deletion.' },
        { name: 'health', description: 'For monitoring.' },
      ],
      components: {
        headers: {
          'X-Request-Id': {
            description: 'The id of this request, as in the log: the X-Request-Id of the request, or a new id.',
            schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
            example: 'V1StGXR8_Z5jdHi6B-myT',
          },
          'RateLimit-Policy': {
            description:
              'The limits of this request by name: how many (`q`), in how many seconds (`w`) or at once (`qu`). Absent if the server has no limits.',
            schema: { type: 'string' },
            example: '"sign-in";q=10;w=60',
          },
          RateLimit: {
            description: 'How many requests each limit still allows (`r`), and for how many seconds (`t`).',
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
      // This layout has no bar for loading other documents.
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
 * Runs in the page. Removes an empty name from the form: the page would send it, and an empty name is refused.
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

/** The refusals that any request can get. */
const EVERYWHERE: ProblemCode[] = [
  ...(['malformed-http', 'malformed-url', 'incomplete-body', 'request-timeout', 'headers-too-large'] as const),
  ...(['unsupported-transfer-coding', 'not-ready'] as const),
]

/** Adds the refusals that plugins send on any route to those of the route itself. */
function withEveryRefusal(schema: FastifySchema, url: string, changes: boolean): FastifySchema {
  const response = schema.response as object
  const codes = [
    ...codesIn(response),
    ...(schema.security?.length === 0 ? [] : (['unauthorized'] as const)),
    ...(changes ? (['unsupported-encoding', 'read-only'] as const) : []),
    ...(changes && !schema.consumes ? (['malformed-json', 'body-too-large', 'unsupported-media-type'] as const) : []),
    ...EVERYWHERE,
    // The health routes have no other way to fail.
    ...(url.startsWith('/health/') ? [] : (['internal-error'] as const)),
  ]
  return { ...schema, response: { ...response, ...failures(...new Set(codes)) } }
}

/** Completes the generated document: parameters, headers, shared examples and named schemas. */
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
