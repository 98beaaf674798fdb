/**
 * The web vault at `/`. Each file of the build is a route, so no path of a request reaches the disk. Without the files `/` is a
 * short page.
 */
import { extname } from 'node:path/posix'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { evaluateUndated, quotedTag } from '../../http/conditions.ts'
import { problems } from '../../problems.ts'
import { ANY_BYTES } from '../../vault/files/names.ts'
import { chosenVariant } from './content-codings.ts'
import { disabledPage, missingPage } from './short-page.ts'
import { type WebFile, webFilesIn } from './web-files.ts'

/** No inline script or style, and nothing of another server. A worker has the policy of its own file, so all files carry it. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "manifest-src 'self'",
  "worker-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** The page uses none of these features. A file input can open the camera without the permission. */
const PERMISSIONS_POLICY = [
  ...['accelerometer', 'camera', 'display-capture', 'encrypted-media', 'geolocation', 'gyroscope', 'hid'],
  ...['idle-detection', 'magnetometer', 'microphone', 'midi', 'payment', 'serial', 'usb', 'xr-spatial-tracking'],
]
  .map((feature) => `${feature}=()`)
  .join(', ')

const PAGE = { 'content-security-policy': CONTENT_SECURITY_POLICY, 'permissions-policy': PERMISSIONS_POLICY }

/** The maximum of memory for a file while its client does not read. */
const FILE_BYTES = 256 * 1024

/** `folder` has the built files; `null` for none. */
export const web = fastifyPlugin<{ folder: string | null }>(async function web(app, { folder }) {
  const files = folder === null ? [] : await webFilesIn(folder)
  if (folder !== null && files.some(({ path }) => path === '/')) {
    serve(app, files)
  } else {
    sendAtRoot(app, folder === null ? disabledPage : missingPage)
  }
})

/** A `Range` is ignored, as RFC 9110, section 14.2 allows. */
function serve(app: FastifyInstance, files: WebFile[]) {
  for (const { name, path, cacheControl, variants } of files) {
    app.route({
      method: ['GET', 'HEAD'],
      url: path,
      schema: { hide: true, security: [] },
      config: { memoryBytes: () => FILE_BYTES, oneOfMany: path !== '/' },
      handler: async (request, reply) => {
        const chosen = chosenVariant(request.headers['accept-encoding'], variants)
        const content = await chosen.content().catch(absent)
        if (content === null) return reply.callNotFound()
        const verdict = evaluateUndated(request.headers, content.tag)
        if (verdict === 'failed') throw problems.preconditionFailed('')
        reply.headers({
          'cache-control': cacheControl,
          etag: quotedTag(content.tag),
          vary: [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', '),
          ...(path === '/' ? PAGE : { 'content-security-policy': CONTENT_SECURITY_POLICY }),
        })
        if (verdict === 'not-modified') return reply.code(304).send()
        if (chosen.coding !== 'identity') reply.header('content-encoding', chosen.coding)
        return reply.type(await contentTypeOf(name)).send(content.bytes)
      },
    })
  }
}

/** Rethrows all errors but that of a file that is gone. */
function absent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null
  throw error
}

/** The type for the extension, with its `charset`. */
async function contentTypeOf(name: string): Promise<string> {
  const { default: types } = await import('mime-types')
  return types.contentType(extname(name)) || ANY_BYTES
}

function sendAtRoot(app: FastifyInstance, page: string) {
  app.route({
    method: ['GET', 'HEAD'],
    url: '/',
    schema: { hide: true, security: [] },
    handler: async (_request, reply: FastifyReply) =>
      reply
        .headers({ ...PAGE, 'cache-control': 'no-cache' })
        .type('text/html; charset=utf-8')
        .send(page),
  })
}
