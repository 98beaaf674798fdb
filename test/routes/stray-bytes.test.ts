/** Bytes after a complete request change nothing about it (RFC 9112, section 9.3.2). */
import { expect, it } from 'vitest'
import { type Member, member, newDeviceId, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const NOISE = '{"why":"no length"}'

const requests: [what: string, expected: RegExp, request: (ada: Member) => Promise<string> | string][] = [
  ['a PUT that is longer than its length', /^HTTP\/1\.1 201 .*"size":3/s, (ada) => put(ada)],
  ['a DELETE without a length', /^HTTP\/1\.1 204 /, (ada) => head('DELETE /v1/files/old', tokenOf(ada))],
  ['a PATCH', /^HTTP\/1\.1 200 .*"name":"new"/s, (ada) => json(ada, 'PATCH /v1/files/old', { name: 'new' })],
  ['a PIN for another device', /^HTTP\/1\.1 201 /, (ada) => json(ada, 'POST /v1/pins', { deviceId: newDeviceId() })],
  ['a sign-in', /^HTTP\/1\.1 201 .*"token"/s, (ada) => signIn(ada)],
  ['a download', /^HTTP\/1\.1 200 .*sand/s, (ada) => head('GET /v1/files/old', tokenOf(ada))],
  [
    'two requests',
    /^HTTP\/1\.1 201 .*HTTP\/1\.1 204 /s,
    (ada) => put(ada) + head('DELETE /v1/files/old', tokenOf(ada)),
  ],
]

it.each(requests)('after %s: the response comes first, then a 400, then the end', async (_what, expected, request) => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('old', 'sand')
  const line = wire(app.url)
  line.socket.write((await request(ada)) + NOISE)
  const answers = await line.ended
  expect(answers).toMatch(expected)
  expect(answers.split('HTTP/1.1 ').at(-1)).toMatch(/^400 .*\r\nConnection: close\r\n.*"malformed-http"/s)
  expect(answers.match(/HTTP\/1\.1 400/g)).toHaveLength(1)
})

it('in the middle of a body end the request, and nothing is stored', async () => {
  const app = await testApp()
  const ada = await member(app)
  const line = wire(app.url)
  line.socket.write(`${head('PUT /v1/files/broken', { ...tokenOf(ada), 'transfer-encoding': 'chunked' })}no size\r\n`)
  expect(await line.ended).toMatch(/^HTTP\/1\.1 400 .*"malformed-http"/s)
  expect((await ada.get('broken')).status).toBe(404)
})

const tokenOf = ({ token }: Member) => ({ authorization: `Bearer ${token}` })

const put = (ada: Member) => `${head('PUT /v1/files/len.txt', { ...tokenOf(ada), 'content-length': 3 })}abc`

function json(ada: Member, line: string, body: unknown): string {
  const text = JSON.stringify(body)
  return head(line, { ...tokenOf(ada), ...JSON_TYPE, 'content-length': text.length }) + text
}

async function signIn(ada: Member): Promise<string> {
  const deviceId = newDeviceId()
  const issued = await ada.request('/v1/pins', {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ deviceId }),
  })
  const { pin } = issued.body as { pin: string }
  return json(ada, 'POST /v1/sessions', { deviceId, pin })
}
