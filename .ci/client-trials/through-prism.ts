/** Real requests and responses through a proxy that holds both to the document. */
import { strict as assert } from 'node:assert'
import { url } from './trial'

const DEVICE = { 'content-type': 'application/json' }
const deviceId = `prism-${crypto.randomUUID()}`
let token = ''

const register = { name: 'Ada', email: `${crypto.randomUUID()}@example.org`, deviceId }
const { pin } = (await ask('POST', '/v1/users', 201, DEVICE, JSON.stringify(register))) as { pin: string }
const session = await ask('POST', '/v1/sessions', 201, DEVICE, JSON.stringify({ deviceId, pin }))
token = (session as { token: string }).token

const files = {
  'a.jpg': ['image/jpeg', '\xff\xd8\xff'],
  'b.bin': ['application/octet-stream', 'bytes'],
  'c.json': ['application/json', '{"a":1}'],
  'd.txt': ['text/plain; charset=utf-8', 'text'],
  'e.xml': ['application/xml', '<a/>'],
} as const
for (const [name, [type, bytes]] of Object.entries(files)) {
  await ask('PUT', `/v1/files/${name}`, 201, { 'content-type': type }, bytes)
  await ask('GET', `/v1/files/${name}`, 200)
  // The proxy parses JSON, also of a part and of a response without a body.
  if (name === 'c.json') continue
  await ask('GET', `/v1/files/${name}`, 206, { range: 'bytes=0-1' })
  await ask('HEAD', `/v1/files/${name}`, 200)
}
const form = new FormData()
form.set('file', new File(['form'], 'f.png', { type: 'image/png' }))
await ask('POST', '/v1/files', 201, {}, form)
for (const path of ['files', 'me', 'me/export', 'activity', 'sessions']) await ask('GET', `/v1/${path}`, 200)
await ask('PATCH', '/v1/files/b.bin', 200, DEVICE, '{"name":"g.bin"}')
await ask('DELETE', '/v1/files/g.bin', 204)
const { files: trashed } = (await ask('GET', '/v1/trash', 200)) as { files: { id: string }[] }
await ask('POST', `/v1/trash/${trashed[0]?.id}/restore`, 200)
await ask('GET', '/v1/files/none', 404)
await ask('GET', '/v1/files?cursor=x', 400)
await ask('GET', '/v1/me', 401, { authorization: 'Bearer none' })
await ask('GET', '/health/ready', 200)

async function ask(method: string, path: string, status: number, headers = {}, body?: string | FormData) {
  const answer = await fetch(url + path, {
    method,
    headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
    body,
  })
  const text = await answer.text()
  assert.ok(!text.includes('stoplight.io/prism'), `${method} ${path}: ${text}`)
  assert.equal(answer.status, status, `${method} ${path}: ${text}`)
  return text.startsWith('{"') && status < 206 ? JSON.parse(text) : text
}
