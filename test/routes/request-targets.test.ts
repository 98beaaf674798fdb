import { expect, it } from 'vitest'
import { appForMany, type Member, member, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'POST', 'OPTIONS'])(
  'a raw # in the target of %s is a 400, and the file that stands before it is untouched',
  async (method) => {
    const app = await testApp({ CORS_ORIGINS: 'https://app.example.org' })
    const ada = await member(app)
    await ada.put('Track', 'old')
    const line = wire(app.url)
    const fields = {
      authorization: `Bearer ${ada.token}`,
      origin: 'https://app.example.org',
      'access-control-request-method': 'PUT',
      'content-length': 3,
      connection: 'close',
    }
    line.socket.write(`${head(`${method} /v1/files/Track#1.mp3`, fields)}new`)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 400 (?=.*application\/problem\+json)/s)
    expect((await ada.get('Track')).body).toBe('old')
  },
)

const requests: [
  what: string,
  status: number,
  ask: (ada: Member, headers: Record<string, string>) => Promise<number>,
][] = [
  ['a restoring', 200, async (ada, headers) => restore(ada, headers)],
  ['a deletion', 204, async (ada, headers) => status(ada, 'DELETE', '/v1/files/b', headers)],
  ['an emptying', 204, async (ada, headers) => status(ada, 'DELETE', '/v1/trash', headers)],
  ['a sign-out', 204, async (ada, headers) => status(ada, 'DELETE', '/v1/sessions', headers)],
  ['an end', 204, async (ada, headers) => status(ada, 'DELETE', '/v1/me', headers)],
]

it.each(requests)('an empty body has no media type to refuse: %s', async (_what, expected, ask) => {
  const app = await sharedApp()
  const ada = await member(app)
  for (const name of ['a', 'b']) await ada.put(name, 'sand')
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }
  expect(await ask(ada, headers)).toBe(expected)
})

it.each(requests)('an empty body has no content coding to refuse: %s', async (_what, expected, ask) => {
  const app = await sharedApp()
  const ada = await member(app)
  for (const name of ['a', 'b']) await ada.put(name, 'sand')
  expect(await ask(ada, { 'content-encoding': 'gzip', 'content-length': '0' })).toBe(expected)
})

it('a deletion without any body has no content coding to refuse', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('a', 'sand')
  const line = wire(app.url)
  const fields = { authorization: `Bearer ${ada.token}`, 'content-encoding': 'gzip', connection: 'close' }
  line.socket.write(head('DELETE /v1/files/a', fields))
  expect(await line.ended).toMatch(/^HTTP\/1\.1 204 /)
})

it.each([
  ['a deletion with a body', 'DELETE', '/v1/files/a', 'x'],
  ['an empty upload, which would be stored without its coding', 'PUT', '/v1/files/a', ''],
])('a content coding is a 415 for %s', async (_what, method, path, body) => {
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('a', 'sand')
  const headers = { 'content-encoding': 'gzip', 'content-length': body.length }
  const answer = await ada.request(path, { method, body, headers })
  expect(answer).toBeProblem(415, 'unsupported-encoding')
  expect((await ada.get('a')).body).toBe('sand')
})

it.each([
  ['no type', {}],
  ['the type of any bytes', { 'content-type': 'application/octet-stream' }],
])('an empty body in chunks has no media type to refuse, with %s', async (_what, type) => {
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('a', 'sand')
  const fields = { authorization: `Bearer ${ada.token}`, 'transfer-encoding': 'chunked', ...type }
  const deletion = wire(app.url)
  deletion.socket.write(`${head('DELETE /v1/files/a', { ...fields, connection: 'close' })}0\r\n\r\n`)
  expect(await deletion.ended).toMatch(/^HTTP\/1\.1 204 /)
  const refused = wire(app.url)
  refused.socket.write(`${head('DELETE /v1/trash', { ...fields, connection: 'close' })}4\r\nsand\r\n0\r\n\r\n`)
  expect(await refused.ended).toMatch(/^HTTP\/1\.1 415 /)
  expect((await ada.request('/v1/trash')).body).toMatchObject({ files: [{ name: 'a' }] })
})

it('an empty upload keeps its type', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const answer = await ada.put('empty', '', { 'content-type': 'image/png' })
  expect(answer.body).toMatchObject({ size: 0, contentType: 'image/png' })
})

async function status(ada: Member, method: string, path: string, headers: Record<string, string>): Promise<number> {
  return (await ada.request(path, { method, headers, body: '' })).status
}

async function restore(ada: Member, headers: Record<string, string>): Promise<number> {
  await ada.request('/v1/files/a', { method: 'DELETE' })
  const { files } = (await ada.request('/v1/trash')).body as { files: { id: string }[] }
  return status(ada, 'POST', `/v1/trash/${files[0]?.id}/restore`, headers)
}
