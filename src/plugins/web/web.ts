/**
 * The web vault at `/`, from memory: each file of the build is a route, so no path of a request ever reaches the disk. Without
 * the files `/` is a short page.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { evaluateUndated, quotedTag } from '../../http/conditions.ts'
import { sendWhole } from '../../http/sending.ts'
import { problems } from '../../problems.ts'
import { chosenVariant } from './content-codings.ts'
import { disabledPage, missingPage } from './short-page.ts'
import { readWebFiles, type WebFile, webFile } from './web-files.ts'

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

/** What the page does not use. A file input may open the camera all the same. */
const PERMISSIONS_POLICY = [
  ...['accelerometer', 'bluetooth', 'camera', 'display-capture', 'encrypted-media', 'geolocation', 'gyroscope', 'hid'],
  ...['idle-detection', 'magnetometer', 'microphone', 'midi', 'payment', 'serial', 'usb', 'xr-spatial-tracking'],
]
  .map((feature) => `${feature}=()`)
  .join(', ')

/** `folder` has the built files; `null` for none. */
export const web = fastifyPlugin<{ folder: string | null }>(async function web(app, { folder }) {
  for (const file of await filesOf(folder)) {
    const { path, variants } = file
    // Over TLS a response is copied; without it the socket refers to the bytes in memory.
    const mostBytes = Math.max(...variants.map(({ bytes }) => bytes.length))
    app.route({
      method: ['GET', 'HEAD'],
      url: path,
      schema: { hide: true, security: [] },
      config: { memoryBytes: () => mostBytes, oneOfMany: path !== '/' },
      handler: async (request, reply) => send(file, request, reply),
    })
  }
})

async function filesOf(folder: string | null): Promise<WebFile[]> {
  if (folder === null) return [webFile('index.html', Buffer.from(disabledPage))]
  const files = await readWebFiles(folder)
  return files.some(({ path }) => path === '/') ? files : [webFile('index.html', Buffer.from(missingPage))]
}

/** A `Range` is ignored, as RFC 9110, section 14.2 allows. */
function send({ path, contentType, cacheControl, variants }: WebFile, request: FastifyRequest, reply: FastifyReply) {
  const { coding, bytes, tag } = chosenVariant(request.headers['accept-encoding'], variants)
  const verdict = evaluateUndated(request.headers, tag)
  if (verdict === 'failed') throw problems.preconditionFailed('')
  reply.headers({
    'cache-control': cacheControl,
    'content-security-policy': CONTENT_SECURITY_POLICY,
    etag: quotedTag(tag),
    ...(path === '/' && { 'permissions-policy': PERMISSIONS_POLICY }),
    ...(variants.length > 1 && { vary: [reply.getHeader('vary') ?? [], 'Accept-Encoding'].flat().join(', ') }),
  })
  if (verdict === 'not-modified') return sendWhole(reply.code(304), undefined)
  reply.headers({
    'content-type': contentType,
    'content-length': String(bytes.length),
    ...(coding !== 'identity' && { 'content-encoding': coding }),
  })
  return sendWhole(reply, request.method === 'HEAD' ? undefined : bytes)
}
