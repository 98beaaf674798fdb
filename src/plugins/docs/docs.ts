/**
 * The OpenAPI document at `/docs/json` and `/docs/yaml`, and Swagger UI at `/docs`. The packages for them are loaded at the first
 * request: they took a third of the start, and of the memory of a server without readers.
 */
import type { RouteOptions } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { ProblemSchema } from '../../schemas/common.ts'

/** The pages and scripts are below `/docs/static/`. */
const PATHS = ['/docs', '/docs/', '/docs/json', '/docs/yaml', '/docs/static/*']

/** The maximum of memory for a page or a script while its client does not read. */
const PAGE_BYTES = 256 * 1024

export const docs = fastifyPlugin(async function docs(app) {
  const described: RouteOptions[] = []
  let opened: ReturnType<typeof open> | undefined
  app.addSchema(ProblemSchema)
  for (const url of PATHS) {
    app.get(
      url,
      { schema: { hide: true, security: [] }, config: { memoryBytes: () => PAGE_BYTES } },
      async (request, reply) => {
        opened ??= open(described)
        const pages = await opened
        const { raw, method } = request
        // A range is only for GET (RFC 9110, section 14.2). @fastify/send would also cut the response to a HEAD.
        if (method === 'HEAD') delete raw.headers.range
        raw.headers['x-request-id'] = request.id
        reply.hijack()
        for (const [name, value] of Object.entries(reply.getHeaders())) {
          if (value !== undefined) reply.raw.setHeader(name, value)
        }
        pages.routing(raw, reply.raw)
      },
    )
  }
  app.addHook('onRoute', (route) => {
    const hasGet = described.some(({ url, method }) => url === route.url && method === 'GET')
    // The framework adds it after the GET, in the app for the document as well.
    const isImplied = route.method === 'HEAD' && hasGet
    if (!isImplied) described.push(route)
  })
  app.addHook('onClose', async () => void (await (await opened)?.close()))
})

async function open(described: RouteOptions[]) {
  const { docsApp } = await import('./docs-app.ts')
  return docsApp(described)
}
