/** Bytes after a complete request change nothing about it (RFC 9112, section 9.3.2). */
import { expect, it } from 'vitest'
import { appForMany, type Member, member, newDeviceId, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const sharedApp = appForMany()

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
  const app = await sharedApp()
  const ada = await member(app)
  await ada.put('old', 'sand')
  const line = wire(app.url)
  line.socket.write((await request(ada)) + NOISE)
  const answers = await line.ended
  expect(answers).toMatch(expected)
  expect(answers.split('HTTP/1.1 ').at(-1)).toMatch(/^400 .*\r\nConnection: close\r\n.*"malformed-http"/s)
  expect(answers.match(/HTTP\/1\.1 400/g)).toHaveLength(1)
})

it('that ask for a tunnel are answered after the request before them, and the connection ends', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const line = wire(app.url)
  line.socket.write(`${put(ada)}CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\nmore`)
  const answers = await line.ended
  expect(answers).toMatch(/^HTTP\/1\.1 201 .*HTTP\/1\.1 400 .*"malformed-http"/s)
})

it('that ask for a tunnel and then break off end neither the process nor the count of connections', async () => {
  const app = await testApp({}, undefined, { mostConnections: 32 })
  for (let n = 0; n < 40; n += 1) {
    const line = wire(app.url)
    line.socket.write('CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\nmore', () => {
      if (n % 2 === 0) line.socket.resetAndDestroy()
      else line.socket.end('x')
    })
    await line.ended
  }
  await expect.poll(() => app.connections.filter(({ destroyed }) => !destroyed)).toEqual([])
  expect((await app.request('/health/live')).status).toBe(200)
})

it('that go on and on while a response is not read cost nothing, and are not read', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('large', Buffer.alloc(20_000_000))
  const line = wire(app.url)
  line.socket.pause()
  line.socket.write(head('GET /v1/files/large', tokenOf(ada)))
  await expect.poll(() => app.connections.at(-1)?.bytesWritten).toBeGreaterThan(0)
  for (let n = 0; n < 20; n += 1) await new Promise<void>((sent) => line.socket.write('\x01', () => sent()))
  await expect.poll(() => app.connections.at(-1)?.isPaused()).toBe(true)
  line.socket.resume()
  expect((await line.ended).split('HTTP/1.1 400')).toHaveLength(2)
})

it('are none where a client says that it has sent all: the response comes', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const line = wire(app.url)
  line.socket.end(put(ada))
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
})

it('are none where a client says so after a change and a list: the response to the change comes', async () => {
  const app = await sharedApp()
  const ada = await member(app)
  const line = wire(app.url)
  const large = Buffer.alloc(500_000)
  line.socket.write(head('PUT /v1/files/len.txt', { ...tokenOf(ada), 'content-length': large.length }))
  line.socket.write(large)
  line.socket.end(head('GET /v1/files', tokenOf(ada)))
  expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
})

it('in the middle of a body end the request, and nothing is stored', async () => {
  const app = await sharedApp()
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
