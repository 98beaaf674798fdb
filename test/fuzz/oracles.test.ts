import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { audit } from './audit.ts'
import { crew } from './crew.ts'
import { documentOf, type OpenApi, type Route } from './document.ts'
import { fuzz, textOf } from './fuzz.ts'
import { type Answer, readAnswer } from './line.ts'
import { memory } from './memory.ts'
import { model } from './model.ts'
import { type Asked, faultsOf, sha256 } from './oracles.ts'

const thing = { type: 'object', required: ['size'], properties: { size: { type: 'integer' } } }
const problem = { type: 'object', required: ['code'], properties: {}, additionalProperties: true }
const refusedWith = (code: string) => ({
  description: '',
  content: { 'application/problem+json': { schema: problem, examples: { [code]: {} } } },
})

const api: OpenApi = {
  paths: {
    '/v1/things/{name}': {
      get: {
        operationId: 'getThing',
        security: [{ session: [] }],
        parameters: [{ in: 'path', name: 'name', required: true, schema: { type: 'string' } }],
        responses: {
          200: { description: '', headers: { ETag: {} }, content: { 'application/json': { schema: thing } } },
          401: refusedWith('unauthorized'),
          404: refusedWith('file-not-found'),
        },
      },
    },
  },
}

const asked: Asked = {
  method: 'GET',
  target: '/v1/things/a',
  token: 'live',
  asDocumented: true,
  noisy: false,
  content: null,
}

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  const usual = { 'content-type': type, 'x-request-id': 'id', etag: '"e"' }
  return { status, headers: { ...usual, ...headers }, body: Buffer.from(JSON.stringify(body)) }
}

const refusal = (status: number, code: string, more: object = {}) =>
  answer(status, { type: 't', title: 't', detail: 'd', status, code, requestId: 'id', ...more })

const faultsWith = (given: Answer, how: Partial<Asked> = {}) =>
  faultsOf(documentOf(api), { ...asked, ...how }, given).join('; ')

describe('an answer', () => {
  it('as documented is no fault', () => {
    expect(faultsWith(answer(200, { size: 1 }))).toBe('')
    expect(faultsWith(refusal(404, 'file-not-found'))).toBe('')
    expect(faultsWith(refusal(401, 'unauthorized'), { token: 'dead' })).toBe('')
  })

  it.each<[string, Answer, Partial<Asked>, RegExp]>([
    ['a status that is not documented', refusal(409, 'file-exists'), {}, /the status 409 file-exists/],
    ['a 500', refusal(500, 'internal-error'), {}, /^status 500/],
    ['a body of another shape', answer(200, { size: '1' }), {}, /its schema does not have.*must be integer/],
    ['a member that nobody documented', answer(200, { size: 1, path: '/srv' }), {}, /additional properties/],
    ['no body', { ...answer(200, {}), body: Buffer.alloc(0) }, {}, /its schema does not have/],
    ['another media type', answer(200, {}, { 'content-type': 'text/html' }), {}, /the media type text\/html/],
    [
      'a header field too few',
      (({ etag, ...rest }) => ({ ...answer(200, { size: 1 }), headers: rest }))(
        answer(200, {}).headers as Record<string, string> & { etag: string },
      ),
      {},
      /no etag/,
    ],
    ['no id', answer(200, { size: 1 }, { 'x-request-id': '' }), {}, /no X-Request-Id/],
    ['a code of another status', refusal(404, 'file-exists'), {}, /the code file-exists/],
    [
      'a code that is not documented there',
      refusal(404, 'not-found'),
      {},
      /the code not-found, which is not documented/,
    ],
    [
      'another status in the body',
      refusal(404, 'file-not-found', { status: 400 }),
      {},
      /status 400 in the body of a 404/,
    ],
    ['a stack', refusal(404, 'file-not-found', { detail: 'x\n    at f (/srv/app.js:1:2)' }), {}, /internals/],
    ['a refusal in HTML', answer(404, {}, { 'content-type': 'text/html' }), {}, /a refusal as text\/html/],
    ['a live session refused', refusal(401, 'unauthorized'), {}, /a live session is refused/],
    ['an ended session served', answer(200, { size: 1 }), { token: 'dead' }, /without a session/],
    ['nobody served', answer(200, { size: 1 }), { token: 'none' }, /without a session/],
    ['good HTTP called bad', refusal(400, 'malformed-http'), {}, /malformed-http of good HTTP/],
    ['something where nothing is', answer(200, {}), { target: '/v1/nothing' }, /status 200 where nothing is/],
    ['another method served', answer(200, {}), { method: 'PUT' }, /status 200 where nothing is/],
    ['a body to a HEAD', answer(200, { size: 1 }), { method: 'HEAD' }, /a body of 10 bytes/],
  ])('with %s is a fault', (_what, given, how, fault) => {
    expect(faultsWith(given, how)).toMatch(fault)
  })
})

describe('bytes that come back', () => {
  it.each([
    ['no status line', 'HELLO\r\n\r\n', /not a status line/],
    ['a broken header field', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n', /not a header field/],
    ['two kinds of length', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n', /both/],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /not a chunk/],
  ])('with %s are no answer', (_what, bytes, fault) => {
    expect(() => readAnswer(Buffer.from(bytes), 'GET', false)).toThrow(fault)
  })
})

describe('the model', () => {
  const route = (id: string, method: string): Route => ({
    operation: { id, method, path: '/v1/files/{name}', session: 'needed', parameters: [], body: null, responses: {} },
    params: { name: 'a' },
  })
  const file = { id: '1', name: 'a', size: 1, sha256: sha256(Buffer.from('a')) }
  const bytes = (text: string): Answer => ({
    ...answer(200, {}, { etag: `"${file.sha256}"` }),
    body: Buffer.from(text),
  })

  it.each<[string, Answer, string]>([
    ['that is lost', refusal(404, 'file-not-found'), '404 for a file that is there'],
    ['that comes back changed', bytes('b'), 'other bytes than were uploaded'],
  ])('misses a file %s', (_what, given, fault) => {
    const kept = model()
    kept.apply(route('putFile', 'PUT'), 'PUT', answer(201, file))

    expect(kept.apply(route('getFile', 'GET'), 'GET', bytes('a'))).toEqual([])
    expect(kept.apply(route('getFile', 'GET'), 'GET', given)).toEqual([fault])
  })

  it('and the vault at the end of a round must be the same', async () => {
    const users = crew(true)
    users.learn(answer(201, { token: 't', userId: 'u', deviceId: 'd' }), memory())
    users.modelOf('u')?.apply(route('putFile', 'PUT'), 'PUT', answer(201, file))
    const lying = async (target: string) =>
      target === '/v1/me'
        ? answer(200, { usage: { files: 1, trashFiles: 0, bytes: 7 } })
        : answer(200, { files: [], nextCursor: null })

    expect(await audit(users, lying)).toEqual([
      `audit: not among the live files: 1 a ${file.sha256}`,
      'audit: counted {"files":1,"trashFiles":0,"bytes":7}, and there are {"files":0,"trashFiles":0,"bytes":0}',
    ])
  })
})

describe('a run', () => {
  it('finds what a server does wrong, and says how to see it again', async () => {
    const url = await server((_request, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' }).end('Error: no such table')
    })

    const report = await fuzz({ url, mostBytes: 100, pinOf: async () => null }, api, { seed: 7, rounds: 1 })

    expect(textOf(report)).toMatch(
      /^getThing: status 500 \(\d+ times\)\n {2}again: FUZZ_SEED=7 FUZZ_ROUNDS=1 .*\n {2}request: "/m,
    )
    expect(report.failures.map(({ what }) => what)).toContain('getThing: a refusal as text/plain')
  })

  it('finds a server that breaks connections', async () => {
    const url = await server((request) => void request.socket.destroy())

    const report = await fuzz({ url, mostBytes: 100, pinOf: async () => null }, api, { seed: 7, rounds: 1 })

    expect(report.failures.map(({ what }) => what)).toContain('the connection ended without an answer')
  })
})

async function server(listener: RequestListener): Promise<string> {
  const wrong = createServer(listener)
  onTestFinished(() => void wrong.close())
  await new Promise<void>((resolve) => wrong.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(wrong.address() as AddressInfo).port}`
}
