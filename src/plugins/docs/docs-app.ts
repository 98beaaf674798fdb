/** The app for the paths under `/docs`: the OpenAPI 3.1 document of other routes, and Swagger UI. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import fastify, { type RouteOptions } from 'fastify'
import { knownPaths } from '../../http/known-paths.ts'
import { ProblemSchema } from '../../schemas/common.ts'
import { errors } from '../errors.ts'
import { mayChange } from '../read-only.ts'
import { requestIdOf } from '../trace/request-id.ts'
import { ABOUT } from './about.ts'
import { credentials, narrowScreens, withViewport } from './docs-page.ts'
import { finished, withEveryRefusal } from './document.ts'

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
    openapi: ABOUT,
    refResolver: { buildLocalReference: (schema, _base, _fragment, i) => String(schema.$id ?? `def-${i}`) },
    transform: ({ schema, url, route }) => ({
      url,
      schema: schema.hide
        ? schema
        : withEveryRefusal(schema, url, String(route.method), mayChange(String(route.method), route.config ?? {})),
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
