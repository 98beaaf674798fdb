/** Which changes of the OpenAPI document break a client of an older one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { breakingChanges } from './support/api-changes.ts'

const document = () => ({
  security: [{ bearer: [] }],
  paths: {
    '/v1/files/{name}': {
      get: {
        operationId: 'getFile',
        security: [] as object[],
        parameters: [
          { in: 'path', name: 'name', required: true, schema: { type: 'string' } },
          { in: 'query', name: 'sort', schema: { type: 'string', enum: ['name', 'size'] } },
        ] as object[],
        responses: {
          200: {
            headers: { ETag: {} } as object,
            content: { 'application/json': { schema: { $ref: '#/components/schemas/File' } as object } } as object,
          } as object,
          404: {},
        } as object,
      },
      patch: {
        operationId: 'renameFile',
        requestBody: {
          required: false,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Name' } } },
        },
        responses: { 200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/File' } } } } },
      } as object,
    },
  } as Record<string, Record<string, object>>,
  components: {
    schemas: {
      File: {
        type: 'object',
        required: ['name', 'size', 'state'],
        properties: {
          name: { type: 'string' },
          size: { type: 'integer', minimum: 0 },
          state: { type: 'string', enum: ['live', 'trash'] },
          code: { type: 'string', enum: ['a'], description: 'New codes may be added.' },
          tags: { type: 'array', items: { type: 'string' } },
        },
      },
      Name: {
        type: 'object',
        required: ['name'],
        properties: { name: { type: 'string', maxLength: 255 }, note: { type: 'string' } },
      },
    },
  },
})

type Document = ReturnType<typeof document>
type Change = (now: Document) => void

const get = (now: Document) => now.paths['/v1/files/{name}']?.get as ReturnType<typeof operation>
const operation = () => ({
  operationId: '',
  security: [] as object[],
  parameters: [] as object[],
  responses: {} as Record<string, Response>,
})
type Response = { headers: Record<string, object>; content: Record<string, object> }
const file = (now: Document) => now.components.schemas.File as unknown as Schema
const name = (now: Document) => now.components.schemas.Name as unknown as Schema
type Schema = { required: string[]; properties: Record<string, Record<string, unknown>> }
const sort = (now: Document) => (get(now).parameters[1] as { schema: { enum: string[] } }).schema

function changed(change: Change): string[] {
  const now = document()
  change(now)
  return breakingChanges(document(), now)
}

describe('a client breaks if', () => {
  it.each<[string, Change, string]>([
    ['a path is gone', (now) => delete now.paths['/v1/files/{name}'], 'GET /v1/files/{name}: is gone'],
    ['an operation is gone', (now) => delete now.paths['/v1/files/{name}']?.patch, 'PATCH /v1/files/{name}: is gone'],
    [
      'an operation has another id',
      (now) => {
        get(now).operationId = 'fetchFile'
      },
      'GET /v1/files/{name}: operationId getFile is fetchFile now',
    ],
    [
      'an operation needs a session',
      (now) => {
        get(now).security = [{ bearer: [] }]
      },
      'GET /v1/files/{name}: needs a session now',
    ],
    ['a parameter is gone', (now) => get(now).parameters.pop(), 'GET /v1/files/{name}: query sort is gone'],
    [
      'a parameter is required',
      (now) => Object.assign(get(now).parameters[1] as object, { required: true }),
      'GET /v1/files/{name}: query sort is required now',
    ],
    [
      'there is a new required parameter',
      (now) => get(now).parameters.push({ in: 'query', name: 'v', required: true }),
      'GET /v1/files/{name}: query v is new and required',
    ],
    ['a value is refused', (now) => sort(now).enum.pop(), 'GET /v1/files/{name} query sort: size is refused now'],
    [
      'a bound is stricter',
      (now) => Object.assign(name(now).properties.name as object, { maxLength: 100 }),
      'request Name.name: another maxLength',
    ],
    [
      'a pattern is new',
      (now) => Object.assign(name(now).properties.name as object, { pattern: '^a' }),
      'request Name.name: another pattern',
    ],
    [
      'a field of a request is required',
      (now) => name(now).required.push('note'),
      'request Name: note is required now',
    ],
    ['a field of a request is gone', (now) => delete name(now).properties.note, 'request Name: note is gone'],
    ['a status is gone', (now) => delete get(now).responses[200], 'GET /v1/files/{name} 200: is gone'],
    [
      'a media type is gone',
      (now) => {
        ;(get(now).responses[200] as Response).content = {}
      },
      'GET /v1/files/{name} 200: application/json is gone',
    ],
    [
      'a header is gone',
      (now) => {
        ;(get(now).responses[200] as Response).headers = {}
      },
      'GET /v1/files/{name} 200: header ETag is gone',
    ],
    ['a field of a response is gone', (now) => delete file(now).properties.size, 'response File: size is gone'],
    [
      'a field of a response may be missing',
      (now) => file(now).required.shift(),
      'response File: name may be missing now',
    ],
    [
      'a field may be null',
      (now) => Object.assign(file(now).properties.size as object, { type: ['integer', 'null'] }),
      'response File.size: the type null may come now',
    ],
    [
      'there is a new value',
      (now) => (file(now).properties.state as { enum: string[] }).enum.push('gone'),
      'response File.state: gone may come now',
    ],
    [
      'a bound of a response is looser',
      (now) => delete file(now).properties.size?.minimum,
      'response File.size: another minimum',
    ],
    [
      'an entry has another type',
      (now) => Object.assign(file(now).properties.tags as object, { items: { type: 'integer' } }),
      'response File.tags[]: the type integer may come now',
    ],
  ])('%s', (_what, change, line) => {
    expect(changed(change)).toContain(line)
  })
})

describe('a client does not break if', () => {
  it.each<[string, Change]>([
    ['nothing changes', () => {}],
    [
      'there is a new path',
      (now) => {
        now.paths['/v1/changes'] = { get: {} }
      },
    ],
    ['there is a new optional parameter', (now) => get(now).parameters.push({ in: 'query', name: 'v' })],
    ['a value is accepted', (now) => sort(now).enum.push('takenAt')],
    ['a bound is looser', (now) => Object.assign(name(now).properties.name as object, { maxLength: 300 })],
    [
      'a request has a new optional field',
      (now) => Object.assign(name(now).properties, { takenAt: { type: 'string' } }),
    ],
    [
      'a response has a new field',
      (now) => {
        Object.assign(file(now).properties, { takenAt: { type: 'string' } })
        file(now).required.push('takenAt')
      },
    ],
    ['a refusal is gone', (now) => delete get(now).responses[404]],
    ['an open list of values grows', (now) => (file(now).properties.code as { enum: string[] }).enum.push('b')],
  ])('%s', (_what, change) => {
    expect(changed(change)).toEqual([])
  })
})

it('the released document does not break itself', () => {
  const released = JSON.parse(readFileSync(join(import.meta.dirname, '../docs/openapi/v1.json'), 'utf8'))
  expect(breakingChanges(released, released)).toEqual([])
})
