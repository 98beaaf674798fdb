/** The server's own OpenAPI document, as the fuzzer reads it: what may be asked, and what may be answered. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { deviceNameFault } from '../../src/vault/sign-in/device-name.ts'
import { mailAddressFault } from '../../src/vault/sign-in/mail-address.ts'

export interface Schema {
  $ref?: string
  type?: string
  format?: string
  pattern?: string
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  properties?: Record<string, Schema>
  required?: string[]
  minProperties?: number
  items?: Schema
  examples?: unknown[]
  minimum?: number
  maximum?: number
}

export interface Parameter {
  in: 'path' | 'query' | 'header'
  name: string
  required?: boolean
  schema: Schema
}

interface Response {
  description: string
  headers?: Record<string, unknown>
  content?: Record<string, { schema: Schema; examples?: Record<string, unknown> }>
}

export interface Operation {
  id: string
  method: string
  path: string
  /** A session must be there, may be there, or means nothing. */
  session: 'needed' | 'optional' | 'none'
  parameters: Parameter[]
  body: { mediaType: string; schema: Schema } | null
  responses: Record<string, Response>
}

export interface OpenApi {
  paths: Record<string, Record<string, Record<string, unknown>>>
  components?: { schemas?: Record<string, Schema> }
  security?: Record<string, unknown>[]
}

export interface Route {
  operation: Operation
  params: Record<string, string>
}

export type Document = ReturnType<typeof documentOf>

export function documentOf(api: OpenApi) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => operationOf(api, path, method, operation)),
  )
  const requests = validators(api)
  // What a client is not told of must not leave either.
  const answers = validators(closed(api))
  return {
    operations,

    /** Where a request goes; `methods` are those of the path where it takes others. Nowhere with a query that cannot be decoded. */
    route(method: string, target: string): { route: Route | null; methods: string[] } {
      if (decoded(target.split('?').slice(1).join('?')) === null) return { route: null, methods: [] }
      const path = target.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] as string
      const found = operations
        .map((operation) => ({ operation, params: match(operation.path, path) }))
        .filter((candidate): candidate is Route => candidate.params !== null)
        .sort((a, b) => Object.keys(a.params).length - Object.keys(b.params).length)
      const wanted = [method, ...(method === 'HEAD' ? ['GET'] : [])]
      const route = wanted.flatMap((one) => found.filter(({ operation }) => operation.method === one))[0] ?? null
      return { route, methods: found.map(({ operation }) => operation.method) }
    },

    /** Whether a JSON body is one that the operation says it takes. */
    takes({ path, method, body }: Operation, value: unknown): boolean {
      const check = requests([
        'paths',
        path,
        method.toLowerCase(),
        'requestBody',
        'content',
        body?.mediaType ?? '',
        'schema',
      ])
      return check(value) === true
    },

    /** What is wrong with a body of the media type; `null` where it is as documented. */
    faultIn({ path, method }: Operation, status: number, mediaType: string, value: unknown): string | null {
      const check = answers([
        'paths',
        path,
        method.toLowerCase(),
        'responses',
        `${status}`,
        'content',
        mediaType,
        'schema',
      ])
      return check(value) ? null : JSON.stringify(check.errors)
    },

    /** The schema behind a reference. */
    resolve(schema: Schema): Schema {
      const name = schema.$ref?.split('/').at(-1)
      return name ? (api.components?.schemas?.[name] ?? {}) : schema
    },
  }
}

/** The codes that a refusal may carry: it has an example for each. */
export function codesOf({ responses }: Operation, status: number): string[] {
  return Object.keys(responses[status]?.content?.['application/problem+json']?.examples ?? {})
}

function operationOf(api: OpenApi, path: string, method: string, operation: Record<string, unknown>): Operation {
  const security = (operation.security ?? api.security ?? []) as Record<string, unknown>[]
  const content = (operation.requestBody as { content: Record<string, { schema: Schema }> } | undefined)?.content
  const [body] = Object.entries(content ?? {})
  const open = security.filter((way) => Object.keys(way).length === 0).length
  return {
    id: String(operation.operationId),
    method: method.toUpperCase(),
    path,
    session: security.length === 0 ? 'none' : open > 0 ? 'optional' : 'needed',
    parameters: (operation.parameters ?? []) as Parameter[],
    body: body ? { mediaType: body[0], schema: body[1].schema } : null,
    responses: operation.responses as Record<string, Response>,
  }
}

/** The decoded parameters of a path that fits the template; `null` for any other. */
function match(template: string, path: string): Record<string, string> | null {
  const wanted = template.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [i, part] of wanted.entries()) {
    const name = /^\{(\w+)\}$/.exec(part)?.[1]
    const text = decoded(given[i] as string)
    // The last one may be empty.
    const empty = text === '' && part !== '' && !(name && i === wanted.length - 1)
    if (text === null || empty) {
      return null
    } else if (name) params[name] = text
    else if (text !== part) return null
  }
  return params
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment)
  } catch {
    return null
  }
}

function validators(api: OpenApi) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  formats.default(ajv)
  ajv.addFormat('idn-email', (text) => mailAddressFault(text) === null)
  ajv.addFormat('device-name', (text) => deviceNameFault(text) === null)
  ajv.addSchema(api, 'api')
  const known = new Map<string, ValidateFunction>()
  return (pointer: string[]): ValidateFunction => {
    const tokens = pointer.map((token) => encodeURIComponent(token.replaceAll('~', '~0').replaceAll('/', '~1')))
    const $ref = `api#/${tokens.join('/')}`
    const check = known.get($ref) ?? ajv.compile({ $ref })
    known.set($ref, check)
    return check
  }
}

/** The same, but no object has a member that is not named. */
function closed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(closed) as T
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, closed(one)]))
  return (copy.type === 'object' && copy.properties ? { additionalProperties: false, ...copy } : copy) as T
}
