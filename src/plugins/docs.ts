/** The OpenAPI 3.1 document at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastifyPlugin from 'fastify-plugin'
import { Problem, type ProblemCode } from '../problems.ts'
import { ProblemSchema } from '../schemas/common.ts'
import { File } from '../schemas/files.ts'
import { PROBLEM_JSON } from './errors.ts'

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
  app.addSchema(File)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'minikeepsafe',
        version: '1.0.0',
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
    transformObject: (document) => ('openapiObject' in document ? finished(document.openapiObject) : {}),
  })

  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    theme: { title: 'minikeepsafe' },
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
  description: string
  headers?: Record<string, unknown>
  content?: Record<string, { schema: unknown; examples?: Record<string, { value: unknown }> }>
}

interface Parameter {
  in: string
  name: string
  required?: boolean
  example?: unknown
  schema: Record<string, unknown>
}

/** The generated document, with what the generator leaves undone. */
function finished<Document extends { paths?: object }>(generated: Document): Document {
  const document: Document = JSON.parse(JSON.stringify(generated, plain))
  for (const path of Object.values(document.paths ?? {}) as Record<string, Operation>[]) {
    for (const [method, operation] of Object.entries(path)) {
      operation.parameters?.forEach(finishParameter)
      const headers = referencesTo(operation.responses[429] ? [...EVERY_HEADER, ...LIMIT_HEADERS] : EVERY_HEADER)
      for (const response of Object.values(operation.responses)) finishResponse(response, headers)
      if (method === 'head') finishHead(operation)
    }
  }
  return document
}

/** Leaves out the marks for this server's own plugins, and tells a choice of words in the way that gives a menu. */
function plain(key: string, value: unknown): unknown {
  if (key.startsWith('x-')) return undefined
  const { anyOf, ...rest } = (value ?? {}) as { anyOf?: { enum?: string[] }[] }
  return anyOf?.every((choice) => choice.enum)
    ? { ...rest, type: 'string', enum: anyOf.flatMap((choice) => choice.enum) }
    : value
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

/** Every response has the headers, and a refusal an example for each code that its description lists. */
function finishResponse(response: Response, headers: Record<string, unknown>) {
  response.headers = { ...response.headers, ...headers }
  const refusal = response.content?.[PROBLEM_JSON]
  if (!refusal) return
  const codes = [...response.description.matchAll(/`([a-z-]+)`/g)].map(([, code]) => code as ProblemCode)
  refusal.examples = Object.fromEntries(codes.map((code) => [code, { value: exampleOf(code) }]))
}

function exampleOf(code: ProblemCode) {
  return new Problem(code, 'What exactly was wrong, in a sentence.').toDocument('V1StGXR8_Z5jdHi6B-myT')
}

/** No answer to HEAD has a body; and its id needs no suffix, since GET has another. */
function finishHead(operation: Operation) {
  operation.operationId = operation.operationId.replace(/-head$/, '')
  for (const response of Object.values(operation.responses)) delete response.content
}
