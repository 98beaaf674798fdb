import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { newDeviceId, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { newCertificate } from '../support/certificates.ts'
import { serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const json = { 'content-type': 'application/json' }
const name = 'secret-name é.jpg'
const path = (of: string) => `/v1/files/${encodeURIComponent(of)}`

it.each(['info', 'debug', 'trace'])('a whole story at the level %s leaves no secret in the log', async (LOG_LEVEL) => {
  const app = await testApp({ LOG_LEVEL })
  const secrets = await story(app)
  await app.settled()
  await app.close()
  const log = app.log.join('\n')
  expect(log).toContain('"status":500')
  expectNone(secrets, log)
})

it('nor do the lines of a start and a stop, or of a start that fails', async () => {
  const folder = await temporaryFolder()
  const masterKey = createHash('sha256').update('a key').digest('base64')
  const { cert, key } = newCertificate(folder)
  const settings = { MASTER_KEY: masterKey, TLS_CERT: cert, TLS_KEY: key, LOG_LEVEL: 'trace' }
  const server = serverProcess(folder, settings)
  const secrets = await story({ ...server, url: (await server.url).replace('https', 'http'), config: folders(folder) })
  expect(await server.stop('SIGTERM')).toBe(0)
  const failing = serverProcess(folder, {
    ...settings,
    MASTER_KEY: createHash('sha256').update('other').digest('base64'),
  })
  expect(await failing.exit).toBe(1)
  const told = server.output() + failing.output()
  expect(told).toContain('closing on SIGTERM')
  const keys = { masterKey, privateKey: readFileSync(key, 'utf8').split('\n')[1] as string }
  expectNone({ ...secrets, ...keys }, told)
})

/** As words: a PIN may well stand within a time. Stacks have line numbers, and repeat the message before them. */
function expectNone(secrets: Record<string, string>, log: string) {
  const text = log.replace(/"stack":"(?:[^"\\]|\\.)*"/g, '')
  for (const [what, secret] of Object.entries(secrets)) {
    const word = /^\d+$/.test(secret) ? new RegExp(`(?<![\\w-])${secret}(?![\\w-])`) : secret
    expect(text, `${what} in the log`).not.toMatch(word)
  }
}

const folders = (folder: string) => ({ UPLOADS_DIR: join(folder, 'uploads') })

/** Everything that a user does, and what goes wrong; answers what nobody may read in the log. */
async function story(app: Pick<TestApp, 'request' | 'post' | 'url'> & { config: { UPLOADS_DIR: string } }) {
  const deviceId = newDeviceId()
  const email = 'secret.address@example.org'
  const { pin } = (await app.post('/v1/users', { name: 'Secret Person', email, deviceId })).body as { pin: string }
  const wrongPin = pin === '0000' ? '0001' : '0000'
  await app.post('/v1/sessions', { deviceId, pin: wrongPin })
  const { token } = (await app.post('/v1/sessions', { deviceId, pin })).body as { token: string }
  const headers = { authorization: `Bearer ${token}` }
  const statuses = [
    await app.request(path(name), { method: 'PUT', headers, body: 'secret content' }),
    await app.request('/v1/files?prefix=secret-&cursor=secret-cursor', { headers }),
    await app.request('/v1/files', { headers }),
    await app.request(path(name), { headers }),
    await app.request(path('secret-other'), { headers }),
    await app.request(path(name), { method: 'PATCH', headers: { ...headers, ...json }, body: '{"name":"secret-new"}' }),
    await app.request(path('secret-new'), { headers: { authorization: 'Bearer mks_secret-token' } }),
    await app.request('/v1/users', { method: 'POST', headers: json, body: '{"name":"Secret Person", secret-json' }),
    await app.request('/v1/secret-path/%ff', { headers }),
  ].map(({ status }) => status)
  expect(statuses).toEqual([201, 400, 200, 200, 404, 200, 401, 400, 400])
  await broken(app, head('GET /v1/secret-noise', headers).replace('HTTP/1.1', 'HTTP/secret'))
  await broken(app, `${head(`PUT ${path('secret-cut')}`, { ...headers, 'content-length': 100 })}secret`)

  const blobs = await readdir(app.config.UPLOADS_DIR, { recursive: true, withFileTypes: true })
  for (const blob of blobs.filter((entry) => entry.isFile())) await truncate(join(blob.parentPath, blob.name), 10)
  expect((await app.request(path('secret-new'), { headers })).status).toBe(500)
  const paired = await app.post('/v1/pins', { deviceId: 'secret-device' }, headers)
  expect(paired.status).toBe(201)
  const { pin: second } = paired.body as { pin: string }
  return {
    pin,
    second,
    wrongPin,
    token: token.slice(4),
    deviceId,
    ofAll: 'secret',
    person: 'Secret Person',
    encoded: encodeURIComponent(name),
    sha256: createHash('sha256').update('secret content').digest('hex'),
  }
}

/** Sends bytes that are no request, or none that is complete, and leaves. */
async function broken({ url }: Pick<TestApp, 'url'>, bytes: string) {
  const line = wire(url)
  line.socket.end(bytes)
  await line.ended
}
