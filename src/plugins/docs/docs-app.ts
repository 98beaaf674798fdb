/** The app for the paths under `/docs`: the OpenAPI 3.1 document of other routes, and Swagger UI. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastify, { type RouteOptions } from 'fastify'
import { knownPaths } from '../../http/known-paths.ts'
import { ProblemSchema } from '../../schemas/common.ts'
import { VERSION } from '../../version.ts'
import { errors } from '../errors.ts'
import { requestIdOf } from '../trace/request-id.ts'
import { credentials, narrowScreens, withViewport } from './docs-page.ts'
import { finished, withEveryRefusal } from './document.ts'

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

/** Describes these routes, and answers requests that the main app has checked. It does not listen. */
export async function docsApp(described: RouteOptions[]) {
  const app = fastify({ genReqId: requestIdOf })
  // No described route is called here, and the document needs no schema of its own.
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.addHook('onRoute', (route) => {
    if (route.url === '/docs/yaml') route.onSend = async (_request, _reply, yaml) => withTextTimes(String(yaml))
  })
  app.addSchema(ProblemSchema)
  await app.register(errors, { paths: knownPaths() })

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
      security: [{ session: [] }, { cookie: [] }],
      tags: [
        { name: 'register', description: 'Create a user, and request a PIN.' },
        { name: 'sessions', description: 'Sign in with a PIN, list sessions, sign out.' },
        { name: 'files', description: 'Upload, download, list, rename and delete files.' },
        { name: 'uploads', description: 'Upload in several requests: begin, ask for the offset, append, cancel.' },
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
          cookie: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-minikeepsafe',
            description:
              'For pages of the origin of this server: POST /v1/sessions with `"cookie": true` sets it, and the browser sends it. Over plain HTTP its name is `minikeepsafe`. It counts only without `Authorization`. In a GET or HEAD it counts if `Sec-Fetch-Site` is `same-origin`, `none` or absent, and `Sec-Fetch-Dest` is `empty`, `document`, `image`, `audio`, `video`, `track` or absent; otherwise it is ignored. With any other method it counts if `Sec-Fetch-Site` is `same-origin`, or if that field is absent and `Origin` is the origin of this server; otherwise the answer is 403 `cross-site-request`. A 401 clears it. The cookie is of all tabs of the browser. So a request may say in `X-Vault-User` which user (`userId`) it is for. If another user is signed in by now, the answer is 401, and the cookie stays. The field counts beside `Authorization`, too.',
          },
        },
      },
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `def-${i}`) },
    transform: ({ schema, url, route }) => ({
      url,
      schema: schema.hide
        ? schema
        : withEveryRefusal(schema, url, !/^(GET|HEAD)$/.test(String(route.method)), !route.config?.changesNothing),
    }),
    transformObject: (document) => ('openapiObject' in document ? finished(document.openapiObject) : {}),
  })

  withViewport(app)
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    theme: {
      title: 'minikeepsafe',
      css: [
        { filename: 'narrow-screens.css', content: narrowScreens },
        { filename: 'credentials.css', content: credentials },
      ],
    },
    uiConfig: {
      // This layout has no bar for loading other documents.
      layout: 'BaseLayout',
      tryItOutEnabled: true,
      displayRequestDuration: true,
      docExpansion: 'list',
      validatorUrl: null,
      requestInterceptor: withoutEmptyFields,
    },
  })

  for (const { method, url, schema, config } of described) {
    app.route({ method, url, ...(schema && { schema }), ...(config && { config }), handler: async () => {} })
  }
  await app.ready()
  return app
}

/** Quotes times: readers of YAML 1.1 would take them for dates, not for strings. */
function withTextTimes(yaml: string): string {
  return yaml.replaceAll(/^([ -]*(?:[\w-]+: )?)(\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?)$/gm, '$1"$2"')
}

/**
 * Runs in the page. Removes empty fields from the form: the page would send them, and an empty name or date is refused.
 */
function withoutEmptyFields<Sent extends { body?: unknown }>(request: Sent): Sent {
  const { body } = request
  if (body instanceof FormData) for (const [name, value] of [...body]) if (value === '') body.delete(name)
  return request
}
