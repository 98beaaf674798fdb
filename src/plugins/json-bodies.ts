/** JSON is what a body is, unless its route says otherwise: strictly UTF-8, and of a limited size. */
import type { FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../problems.ts'

export const JSON_BODY_BYTES = 16 * 1024

export const jsonBodies = fastifyPlugin(async (app) => {
  const parse = app.getDefaultJsonParser('error', 'error')
  const utf8 = new TextDecoder('utf-8', { fatal: true })

  // An empty body has no media type to refuse. What an upload without bytes is called is for its route.
  app.addHook('preParsing', async ({ raw, routeOptions }) => {
    const { 'content-length': length = '0', 'transfer-encoding': coding } = raw.headers
    if (Number(length) === 0 && coding === undefined && !routeOptions.schema?.consumes)
      delete raw.headers['content-type']
  })

  app.removeAllContentTypeParsers()
  // Whether chunks bring a body is known with the first of them: proxies send what has none in chunks, too.
  app.addContentTypeParser('*', async ({ headers, raw, routeOptions }: FastifyRequest) => {
    if (headers['content-length'] !== undefined || (await hasBytes(raw))) {
      throw problems.unsupportedMediaType((routeOptions.schema?.consumes ?? ['application/json']).join(', '))
    }
  })
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer', bodyLimit: JSON_BODY_BYTES },
    (request, body, done) => {
      // Many clients announce JSON with every request, also with a DELETE that has no body.
      if (body.length === 0) return done(null, undefined)
      try {
        return parse(request, utf8.decode(body), done)
      } catch (cause) {
        return done(problems.malformedJson(cause))
      }
    },
  )
})

/** The stream is not destroyed with a refusal: its connection has yet to carry the answer. */
async function hasBytes(body: FastifyRequest['raw']): Promise<boolean> {
  for await (const _chunk of body.iterator({ destroyOnReturn: false })) return true
  return false
}
