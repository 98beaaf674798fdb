/** Bodies are JSON unless the route says otherwise: strictly UTF-8, and of a limited size. */
import type { FastifyRequest, FastifySchema } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type Problem, problems } from '../../problems.ts'
import { hasNoBody } from './identity-only.ts'

export const JSON_BODY_BYTES = 16 * 1024

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The `bodyLimit` of the route, if it has one of its own. */
    bodyBytes?: number
  }
}

export const jsonBodies = fastifyPlugin(async function jsonBodies(app) {
  // `remove` deletes `__proto__` and `constructor.prototype` at every depth: the server ignores unknown fields.
  const parse = app.getDefaultJsonParser('remove', 'remove')
  const utf8 = new TextDecoder('utf-8', { fatal: true })

  // An empty body has no media type to refuse. Upload routes keep the type of an empty file.
  app.addHook('preParsing', async ({ raw, routeOptions }) => {
    if (hasNoBody(raw) && !routeOptions.schema?.consumes) delete raw.headers['content-type']
  })

  app.removeAllContentTypeParsers()
  // A chunked body is empty if no bytes come before its end. Some proxies send requests without a body in chunks.
  app.addContentTypeParser('*', async ({ headers, raw, routeOptions }: FastifyRequest) => {
    if (headers['content-length'] !== undefined || (await hasBytes(raw))) {
      throw refusedMediaType(routeOptions.schema)
    }
  })
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer', bodyLimit: JSON_BODY_BYTES },
    (request, body, done) => {
      if (hasManyMembers(body)) return done(problems.tooManyMembers(MOST_MEMBERS))
      // Many clients send `Content-Type: application/json` with every request, even with a DELETE that has no body.
      if (body.length === 0) return done(null, undefined)
      try {
        return parse(request, utf8.decode(body), done)
      } catch (cause) {
        return done(problems.malformedJson(cause))
      }
    },
  )
})

/**
 * The maximum of objects, arrays and members of a body. The largest that an operation takes has ten. Each becomes an object or a key of
 * about 60 bytes, which thousands of requests would keep at the same time. Characters of strings count, too: a name may have 255.
 */
const MOST_MEMBERS = 600
const [OBJECT, ARRAY, MEMBER] = [...Buffer.from('{[:')]

function hasManyMembers(body: Buffer): boolean {
  if (body.length <= MOST_MEMBERS) return false
  let members = 0
  for (const byte of body) if (byte === OBJECT || byte === ARRAY || byte === MEMBER) members += 1
  return members > MOST_MEMBERS
}

/** The refusal of a body whose media type the operation does not take. */
export function refusedMediaType(schema: FastifySchema | undefined): Problem {
  const types = schema?.consumes ?? (schema?.body ? ['application/json'] : [])
  return problems.unsupportedMediaType(types.join(', '))
}

/** Does not destroy the stream, because the refusal must still be sent on the connection. */
async function hasBytes(body: FastifyRequest['raw']): Promise<boolean> {
  for await (const _chunk of body.iterator({ destroyOnReturn: false })) return true
  return false
}
