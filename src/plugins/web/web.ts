/**
 * The web vault at `/`. Each file of the build is a route, so no path of a request reaches the disk. Without the files `/` is a
 * short page.
 */
import { readFile } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { evaluateUndated, quotedTag } from '../../http/conditions.ts'
import { problems } from '../../problems.ts'
import { chosenVariant } from './content-codings.ts'
import { disabledPage, missingPage } from './short-page.ts'
import { type Variant, type WebFile, webFilesIn } from './web-files.ts'

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
  for (const file of files) {
    const { path, contentType, variants } = file
    const mostBytes = Math.max(...variants.map(({ sizeBytes }) => sizeBytes))
    app.route({
      method: ['GET', 'HEAD'],
      url: path,
      schema: { hide: true, security: [] },
      config: { memoryBytes: () => mostBytes, oneOfMany: path !== '/' },
      handler: async (request, reply) => {
        const chosen = chosenVariant(request.headers['accept-encoding'], variants)
        const verdict = evaluateUndated(request.headers, chosen.tag)
        if (verdict === 'failed') throw problems.preconditionFailed('')
        const bytes = verdict === 'not-modified' ? null : await bytesOf(chosen)
        const vary = [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', ')
        reply.headers({ ...headersOf(file, chosen), vary })
        if (!bytes) return reply.code(304).send()
        if (chosen.coding !== 'identity') reply.header('content-encoding', chosen.coding)
        reply.header('content-type', contentType).header('content-length', chosen.sizeBytes)
        return reply.send(request.method === 'HEAD' ? null : bytes)
      },
    })
  }
}

/** A new build may have removed it. */
async function bytesOf({ file }: Variant): Promise<Buffer> {
  return readFile(file).catch((error) => {
    throw error.code === 'ENOENT' ? problems.notFound() : error
  })
}

function headersOf({ path, cacheControl }: WebFile, { tag }: { tag: string }): Record<string, string> {
  return {
    'cache-control': cacheControl,
    etag: quotedTag(tag),
    ...(path === '/' ? PAGE : { 'content-security-policy': CONTENT_SECURITY_POLICY }),
  }
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
