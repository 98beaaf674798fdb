import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import { describe, expect, it, onTestFinished } from 'vitest'
import { problemCatalogue, problemCodes } from '../../src/problems.ts'
import { appForMany, member, testApp } from '../support/app.ts'

const sharedApp = appForMany()

type Content = Record<string, { schema: { $ref?: string }; examples?: Record<string, unknown> }>

interface Operation {
  requestBody?: { content: Content }
  operationId: string
  parameters?: { name: string }[]
  summary: string
  tags: string[]
  security?: unknown[]
  responses: Record<string, { description: string; headers: Record<string, unknown>; content?: Content }>
}

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

interface OpenApi {
  openapi: string
  tags: { name: string }[]
  security: unknown[]
  paths: Record<string, Record<string, Operation>>
  components: {
    securitySchemes: Record<string, unknown>
    schemas: Record<string, { properties: Record<string, { enum?: string[] }> }>
  }
}

describe('the page', () => {
  it('is Swagger UI, with scripts from this server alone', async () => {
    const app = await sharedApp()

    const page = await app.request('/docs')

    expect(page.status).toBe(200)
    expect(page.headers['content-type']).toMatch(/^text\/html/)
    const policy = String(page.headers['content-security-policy']).split('; ')
    expect(policy).toEqual(
      expect.arrayContaining(["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"]),
    )
    expect(page.body).toContain('swagger-ui-bundle.js')
  })

  it('gives the document as JSON', async () => {
    const app = await sharedApp()

    const json = await app.request('/docs/json')

    expect(json.headers['content-type']).toMatch(/^application\/json/)
    expect(json.body).toMatchObject({ openapi: '3.1.0', info: { title: 'minikeepsafe', version } })
  })

  it('gives the same document as YAML', async () => {
    const app = await sharedApp()
    const { paths } = (await app.request('/docs/json')).body as OpenApi

    const yaml = await app.request('/docs/yaml')

    expect(yaml.headers['content-type']).toMatch(/yaml/)
    expect(yaml.body).toMatch(/^openapi: 3\.1\.0$/m)
    expect(pathsOfYaml(yaml.body as string)).toEqual(Object.keys(paths))
    // YAML 1.1 has dates of its own, so a time without quotes would not be a string.
    const times = [...(yaml.body as string).matchAll(/^.* ("?)\d{4}-\d\d-\d\dT.*$/gm)]
    expect(times.filter(([, quote]) => quote === '"').length).toBeGreaterThan(10)
    expect(times.filter(([, quote]) => quote === '')).toEqual([])
  })
})

describe('the document', () => {
  it('has every route of the server, and no other', async () => {
    const { routes, operations } = await documentedApp()
    const documented = operations.map(({ route }) => route)

    expect(routes).toEqual(expect.arrayContaining(documented))
    // The framework answers HEAD wherever there is a GET.
    expect(documented).toEqual(expect.arrayContaining(routes.filter((route) => !route.startsWith('HEAD '))))
  })

  it('gives every operation an id of its own', async () => {
    const { operations } = await documentedApp()
    const ids = operations.map(({ operation }) => operation.operationId)

    expect(ids.every((id) => /^[a-z][A-Za-z]+$/.test(id))).toBe(true)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('sums every operation up, under a tag that it explains', async () => {
    const { document, operations } = await documentedApp()
    const tags = document.tags.map(({ name }) => name)

    for (const { route, operation } of operations) {
      expect(operation.summary, route).toMatch(/\S/)
      expect(operation.tags, route).toHaveLength(1)
      expect(tags, route).toEqual(expect.arrayContaining(operation.tags))
    }
  })

  it('tells of every refusal the codes that the catalogue has for its status', async () => {
    const { operations } = await documentedApp()
    const known = new Set(problemCatalogue.map(({ status, code }) => `${status} ${code}`))

    for (const { route, operation } of operations) {
      for (const [status, codes] of refusalsOf(operation)) {
        expect(codes, `${route} ${status}`).not.toHaveLength(0)
        for (const code of codes) expect(known, `${route}`).toContain(`${status} ${code}`)
      }
    }
  })

  it('shows every refusal as a problem, except to HEAD, which has no body to show', async () => {
    const { operations } = await documentedApp()

    for (const { route, operation } of operations) {
      for (const [status] of refusalsOf(operation)) {
        const types = Object.keys(operation.responses[status]?.content ?? {})
        expect(types, `${route} ${status}`).toEqual(route.startsWith('HEAD') ? [] : ['application/problem+json'])
      }
    }
  })

  it('has the refusals of a body wherever one is read', async () => {
    const { operations } = await documentedApp()
    const reading = operations.filter(({ route }) => !/^(GET|HEAD) /.test(route))

    expect(reading).not.toHaveLength(0)
    for (const { route, operation } of reading) {
      expect(Object.keys(operation.responses), route).toEqual(expect.arrayContaining(['400', '413', '415']))
    }
  })

  it('names the fields with which a plain upload can be resumed, and the refusals of a form that comes as an upload', async () => {
    const { document } = await documentedApp()
    const fieldsOf = (operation?: Operation) => (operation?.parameters ?? []).map(({ name }) => name)
    for (const operation of [document.paths['/v1/files']?.post, document.paths['/v1/files/{name}']?.put]) {
      expect(fieldsOf(operation)).toEqual(
        expect.arrayContaining(['Upload-Complete', 'Upload-Draft-Interop-Version', 'Upload-Length']),
      )
    }
    const patch = document.paths['/v1/uploads/{id}']?.patch
    expect(patch?.responses[400]?.description).toMatch(/`malformed-multipart`.*`invalid-name`/)
    expect(patch?.responses[403]?.description).toBe('`final-upload`, `cross-site-request`')
  })

  it('has a 503 for every operation', async () => {
    const { operations } = await documentedApp()

    for (const { route, operation } of operations) {
      expect(operation.responses[503]?.headers, route).toHaveProperty('Retry-After')
    }
  })

  it('has a 401 with its challenge wherever a session is needed', async () => {
    const { operations } = await documentedApp()
    const members = operations.filter(({ operation }) => operation.security === undefined)

    expect(members).not.toHaveLength(0)
    for (const { route, operation } of members) {
      expect(operation.responses[401]?.headers, route).toHaveProperty('WWW-Authenticate')
    }
  })

  it('takes a session by token or by cookie, with a 403 wherever a page of another origin could change something', async () => {
    const { document, operations } = await documentedApp()
    const refusing = operations.filter(({ operation }) => JSON.stringify(operation).includes('cross-site-request'))
    const changing = operations.filter(({ route }) => !/^(GET|HEAD) /.test(route))

    expect(document.security).toEqual([{ session: [] }, { cookie: [] }])
    expect(document.components.securitySchemes.cookie).toMatchObject({ in: 'cookie', name: '__Host-minikeepsafe' })
    expect(changing.length).toBeGreaterThan(10)
    expect(refusing).toEqual(changing)
  })

  it('tells of the limits of every operation but those about health', async () => {
    const { operations } = await documentedApp()
    const limited = operations.filter(({ operation }) => operation.tags[0] !== 'health')
    const others = operations.filter(({ operation }) => operation.tags[0] === 'health')

    for (const { route, operation } of limited) {
      expect(operation.responses[429]?.description, route).toBe('`too-many-requests`')
      expect(operation.responses[429]?.headers, route).toHaveProperty('Retry-After')
      for (const { headers } of Object.values(operation.responses)) {
        expect(headers, route).toMatchObject({ RateLimit: {}, 'RateLimit-Policy': {} })
      }
    }
    expect(others.flatMap(({ operation }) => Object.keys(operation.responses))).not.toContain('429')
    expect(JSON.stringify(others)).not.toContain('RateLimit')
  })

  it('tells of the id that every answer carries', async () => {
    const { operations } = await documentedApp()

    for (const { route, operation } of operations) {
      for (const [status, { headers }] of Object.entries(operation.responses)) {
        expect(headers, `${route} ${status}`).toHaveProperty('X-Request-Id')
      }
    }
  })

  it('names what routes share, and keeps its own marks to itself', async () => {
    const { document } = await documentedApp()

    // A client in a browser has a `File` already.
    expect(Object.keys(document.components.schemas)).not.toContain('File')
    expect(JSON.stringify(document)).not.toMatch(/"(?:x-[^"]*|\$id)":|def-\d/)
  })

  it('has a component for every JSON body but those of forms', async () => {
    const { document, operations } = await documentedApp()
    const bodies = operations.flatMap(({ operation: { requestBody, responses } }) =>
      [requestBody, ...Object.values(responses)].flatMap((one) =>
        Object.entries(one?.content ?? {}).flatMap(([type, { schema }]) =>
          type.endsWith('json') ? [schema.$ref] : [],
        ),
      ),
    )

    const names = bodies.map((reference) => reference?.replace('#/components/schemas/', ''))
    expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining([...new Set(names)]))
    expect(names).toEqual(expect.arrayContaining(['StoredFile', 'FileList', 'Account', 'OpenedSession', 'Problem']))
  })

  it('has the codes of the catalogue, for a client to switch on', async () => {
    const { document } = await documentedApp()

    expect(document.components.schemas.Problem?.properties.code?.enum).toEqual(problemCodes)
  })

  it('offers a file picker for both ways to upload', async () => {
    const { document } = await documentedApp()
    const bytes = { type: 'string', format: 'binary' }

    expect(document.paths['/v1/files']?.post).toMatchObject({
      requestBody: {
        content: { 'multipart/form-data': { schema: { required: ['file'], properties: { file: bytes } } } },
      },
    })
    expect(document.paths['/v1/files/{name}']?.put).toMatchObject({
      requestBody: { content: { 'application/octet-stream': { schema: bytes }, '*/*': { schema: {} } } },
    })
  })
})

describe('a refused media type', () => {
  it.each(['/v1/users', '/v1/sessions', '/v1/files'])('is told the type that the document has for %s', async (path) => {
    const app = await sharedApp()
    const { token } = await member(app)
    const { paths } = (await app.request('/docs/json')).body as OpenApi
    const [documented] = Object.keys(paths[path]?.post?.requestBody?.content ?? {})

    const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/html' }
    const answer = await app.request(path, { method: 'POST', headers, body: '<p>' })

    expect(answer).toBeProblem(415, 'unsupported-media-type')
    expect(answer.headers.accept).toBe(documented)
  })
})

/** The document of a server by its operations, and the routes that the server was built with, the page's own aside. */
async function documentedApp() {
  const routes = new Set<string>()
  const watch = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url, schema }) => {
      if (schema?.hide) return
      for (const one of [method].flat()) routes.add(`${one} ${url.replace(/:(\w+)/g, '{$1}')}`)
    })
  }
  subscribe('fastify.initialization', watch)
  onTestFinished(() => void unsubscribe('fastify.initialization', watch))

  const app = await testApp()
  const document = (await app.request('/docs/json')).body as OpenApi
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
  )
  return { routes: [...routes], document, operations }
}

/** Each status of a refusal, with the codes that stand in backticks in its description. */
function refusalsOf({ responses }: Operation): [status: string, codes: string[]][] {
  return Object.entries(responses)
    .filter(([status]) => Number(status) >= 400)
    .map(([status, { description }]) => [status, [...description.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '')])
}

function pathsOfYaml(yaml: string): string[] {
  const [, paths = ''] = yaml.split(/^paths:$/m)
  return [...paths.matchAll(/^ {2}(\/\S*):$/gm)].map(([, path]) => path ?? '')
}
