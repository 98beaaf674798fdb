/**
 * The web vault at `/`. Each file of the build is a route, so no path of a request reaches the disk. Without the files `/` is a
 * short page.
 */
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { evaluateUndated, quotedTag } from '../../http/conditions.ts'
import { problems } from '../../problems.ts'
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

/** They are the server's to check: it alone knows the tags. @fastify/send would compare them with its own. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']

/** `folder` has the built files; `null` for none. */
export const web = fastifyPlugin<{ folder: string | null }>(async function web(app, { folder }) {
  const files = folder === null ? [] : await webFilesIn(folder)
  if (folder !== null && files.some(({ path }) => path === '/')) {
    await app.register(async (scope) => serve(scope, folder, files))
  } else {
    sendAtRoot(app, folder === null ? disabledPage : missingPage)
  }
})

/** A `Range` is ignored, as RFC 9110, section 14.2 allows. */
async function serve(app: FastifyInstance, root: string, files: WebFile[]) {
  const headers = new Map(files.flatMap((file) => file.variants.map((one) => [one.file, headersOf(file, one)])))
  await app.register(fastifyStatic, {
    root,
    serve: false,
    preCompressed: true,
    ...{ acceptRanges: false, cacheControl: false, etag: false, lastModified: false },
    // Only for a file that is there: another response must not be cached.
    setHeaders: (reply, file) => void reply.headers(headers.get(file) ?? {}),
  })
  for (const file of files) {
    const { name, path, variants } = file
    app.route({
      method: ['GET', 'HEAD'],
      url: path,
      schema: { hide: true, security: [] },
      config: { memoryBytes: () => FILE_BYTES, oneOfMany: path !== '/' },
      handler: (request, reply) => {
        const chosen = chosenVariant(request.headers['accept-encoding'], variants)
        const verdict = evaluateUndated(request.headers, chosen.tag)
        if (verdict === 'failed') throw problems.preconditionFailed('')
        if (verdict === 'not-modified') {
          const vary = [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', ')
          return reply
            .code(304)
            .headers({ ...headersOf(file, chosen), vary })
            .send()
        }
        prepare(request, chosen.coding)
        return reply.sendFile(name)
      },
    })
  }
}

/** Leaves nothing to decide for @fastify/static. */
function prepare({ raw }: FastifyRequest, coding: string) {
  for (const name of CONDITIONS) delete raw.headers[name]
  raw.headers['accept-encoding'] = coding
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
