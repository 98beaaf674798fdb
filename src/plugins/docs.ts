/** The OpenAPI 3.1 document at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastifyPlugin from 'fastify-plugin'
import { ProblemSchema } from '../schemas/common.ts'
import { File } from '../schemas/files.ts'

const description = `A private vault behind four steps:

1. **POST /v1/users** with a name, an address and a device id: a four-digit PIN is on its way.
2. **POST /v1/sessions** with the device id and the PIN: a session token. Press **Authorize** and paste it.
3. **POST /v1/files** with a file, or **PUT /v1/files/{name}** with its bytes: stored.
4. **GET /v1/files/{name}**: the bytes again.

Refusals are \`application/problem+json\` (RFC 9457); their \`code\` is stable. Every answer carries \`X-Request-Id\`.`

/** What Swagger UI needs, and no more: its pictures are data URLs, its downloads are blobs, its styles are inline. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "style-src 'self' 'unsafe-inline'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const docs = fastifyPlugin(async (app) => {
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
        { name: 'health', description: 'For whoever watches the server.' },
      ],
      components: {
        securitySchemes: {
          session: { type: 'http', scheme: 'bearer', description: 'The `token` of POST /v1/sessions.' },
        },
      },
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `def-${i}`) },
    transformObject: (document) => ('openapiObject' in document ? withoutMarkers(document.openapiObject) : {}),
  })

  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { tryItOutEnabled: true, displayRequestDuration: true, docExpansion: 'list', validatorUrl: null },
  })
})

/** The document without the marks that are for this server's own plugins. */
function withoutMarkers<Document extends object>(document: Document): Document {
  return JSON.parse(JSON.stringify(document, (key, value) => (key.startsWith('x-') ? undefined : value)))
}
