import { randomBytes } from 'node:crypto'
import Fastify from 'fastify'
import { parseList } from 'structured-headers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { memoryCounter } from '../../src/adapters/memory/counter.ts'
import { readLimits } from '../../src/config/limits.ts'
import { limits } from '../../src/plugins/limits/limits.ts'
import {
  blobsOnDisk,
  type Member,
  MINUTE,
  member,
  memberWith,
  newDeviceId,
  SECOND,
  type TestApp,
  testApp,
} from '../support/app.ts'
import type { Answer, Call } from '../support/http.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const HOUR = 60 * MINUTE

const limitedApp = (limits = '', settings: Record<string, string> = {}) =>
  testApp({ RATE_LIMIT: 'on', RATE_LIMITS: limits, ...settings })

const json = (body: unknown, call: Call = {}): Call => ({
  method: 'POST',
  ...call,
  headers: { 'content-type': 'application/json', ...call.headers },
  body: JSON.stringify(body),
})

const signIn = (app: TestApp, call?: Call) =>
  app.request('/v1/sessions', json({ deviceId: 'nobodys-device', pin: '0000' }, call))

const register = (app: TestApp, call?: Call) => {
  const email = `${randomBytes(6).toString('hex')}@example.org`
  return app.request('/v1/users', json({ name: 'Ada', email, deviceId: newDeviceId() }, call))
}

/** Both fields, by the names of the limits. */
function standing({ headers }: Pick<Answer, 'headers'>) {
  const fields = [headers['ratelimit-policy'], headers.ratelimit]
  const [policy, left] = fields.map((field) =>
    Object.fromEntries(
      parseList(String(field ?? '')).map(([name, parameters]) => [String(name), Object.fromEntries(parameters)]),
    ),
  )
  return { policy, left }
}

const statusesOf = (answers: Answer[]) => {
  const count = (status: number) => answers.filter((answer) => answer.status === status).length
  return Object.fromEntries([...new Set(answers.map(({ status }) => status))].sort().map((one) => [one, count(one)]))
}

const times = <T>(count: number, act: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: count }, act))

/** Another device of the same user. */
async function secondDevice(app: TestApp, owner: Member): Promise<Member> {
  const deviceId = newDeviceId()
  const { pin } = (await owner.request('/v1/pins', json({ deviceId }))).body as { pin: string }
  const { token, sessionId } = (await app.post('/v1/sessions', { deviceId, pin })).body as Member
  return memberWith(app, { ...owner, deviceId, token, sessionId })
}

describe('a limit', () => {
  it('lets exactly so many through of many who race', async () => {
    const app = await limitedApp()
    expect(statusesOf(await times(60, () => signIn(app)))).toEqual({ 401: 10, 429: 50 })
  })

  it('is told with every answer, and how much of it is left', async () => {
    const app = await limitedApp()
    const first = await signIn(app)
    app.clock.turn(18 * SECOND + 1)
    const second = await signIn(app)

    expect(first.headers['ratelimit-policy']).toBe('"sign-in";q=10;w=60, "sign-in-hourly";q=60;w=3600')
    expect(first.headers.ratelimit).toBe('"sign-in";r=9;t=60, "sign-in-hourly";r=59;t=3600')
    expect(standing(second)).toEqual({
      policy: { 'sign-in': { q: 10, w: 60 }, 'sign-in-hourly': { q: 60, w: 3600 } },
      left: { 'sign-in': { r: 8, t: 42 }, 'sign-in-hourly': { r: 58, t: 3582 } },
    })
  })

  it('refuses with a problem, and says when to come again', async () => {
    const app = await limitedApp()
    await times(10, () => signIn(app))
    app.clock.turn(15 * SECOND)
    const refused = await signIn(app)

    expect(refused).toBeProblem(429, 'too-many-requests')
    expect(refused.headers['retry-after']).toBe('45')
    expect(standing(refused).left).toEqual({ 'sign-in': { r: 0, t: 45 } })
  })

  it('begins anew when its window is over', async () => {
    const app = await limitedApp()
    await times(11, () => signIn(app))
    app.clock.turn(MINUTE - 1)
    expect((await signIn(app)).headers['retry-after']).toBe('1')
    app.clock.turn(1)
    const passed = await signIn(app)
    expect(passed).toBeProblem(401, 'invalid-pin')
    expect(standing(passed).left?.['sign-in']).toEqual({ r: 9, t: 60 })
  })

  it('over the hour holds where the one over the minute would not', async () => {
    const app = await limitedApp('sign-in-hourly=12/1h')
    await times(10, () => signIn(app))
    app.clock.turn(MINUTE)
    expect(statusesOf(await times(4, () => signIn(app)))).toEqual({ 401: 2, 429: 2 })
    app.clock.turn(MINUTE)
    expect((await signIn(app)).headers['retry-after']).toBe(String(58 * 60))
  })

  it('of one network does not touch another', async () => {
    const app = await limitedApp()
    await times(11, () => signIn(app))
    expect(await signIn(app, { from: '127.0.0.2' })).toBeProblem(401, 'invalid-pin')
  })

  it('does not believe what a request says about where it comes from', async () => {
    const app = await limitedApp()
    await times(10, () => signIn(app))
    for (const field of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip']) {
      expect(await signIn(app, { headers: { [field]: '203.0.113.7' } })).toBeProblem(429, 'too-many-requests')
    }
  })

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:0DB8:1:2:0000::1', '2001:db8:1:2::', true],
    ['::1', '0:0:0:0:1::', true],
    ['::1', '0:0:1::', false],
    ['fe80::1%eth0', 'fe80::2%eth1', true],
    ['192.0.2.1', '::FFFF:c000:0201', true],
    ['192.0.2.1', '::192.0.2.1', false],
    ['::192.0.2.1', '::192.0.2.2', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['192.0.2.1', '::ffff:192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
  ])('counts %s and %s together: %s', async (one, other, together) => {
    const app = Fastify()
    onTestFinished(() => app.close())
    const counter = memoryCounter(Date.now)
    await app.register(limits, { rules: { limits: readLimits('docs=1/1m').limits, counter } })
    app.get('/docs', async () => 'page')
    await app.inject({ url: '/docs', remoteAddress: one })
    const { statusCode } = await app.inject({ url: '/docs', remoteAddress: other })
    expect(statusCode !== 200).toBe(together)
  })

  it.each<[says: string, fields: Record<string, string>]>([
    ['what its browser says', { 'sec-fetch-site': 'cross-site', origin: 'https://other.example' }],
    ['its origin alone', { origin: 'https://other.example' }],
  ])('counts nothing that a page of another origin does in the browser of somebody, by %s', async (_says, fields) => {
    const one = ['register', 'pins', 'sign-in', 'sign-in-hourly'].map((name) => `${name}=1/1h`)
    const app = await limitedApp(one.join(',').replace('sign-in=1/1h', 'sign-in=1/1m'), {
      CORS_ORIGINS: 'https://app.example.org',
    })
    const simple = { method: 'POST', headers: { 'content-type': 'text/plain', ...fields }, body: '{}' }
    for (const path of ['/v1/users', '/v1/pins', '/v1/sessions', '/v1/files']) {
      const refused = await app.request(path, simple)
      expect(refused, path).toBeProblem(403, 'cross-site-request')
      expect(refused.headers).not.toHaveProperty('ratelimit')
    }
    // A page that may use the API is counted, as anybody is.
    const allowed = { ...fields, origin: 'https://app.example.org' }
    expect((await register(app, { headers: allowed })).status).toBe(201)
    expect((await signIn(app)).status).toBe(401)
    expect(await signIn(app)).toBeProblem(429, 'too-many-requests')
    expect(await register(app)).toBeProblem(429, 'too-many-requests')
  })

  it('writes no address into the log', async () => {
    const app = await limitedApp()
    await times(11, () => signIn(app, { from: '127.0.0.9' }))
    expect(app.log.join('\n')).toContain('"status":429')
    expect(app.log.join('\n')).not.toContain('127.0.0.9')
  })
})

describe('whoever is not signed in', () => {
  it('registers ten times an hour, whatever header is sent with it', async () => {
    const app = await limitedApp('', { HOST: '0.0.0.0' })
    const headers = { authorization: 'Bearer none' }
    expect(statusesOf(await times(15, () => register(app, { headers })))).toEqual({ 201: 10, 429: 5 })
    app.clock.turn(HOUR)
    expect((await register(app)).status).toBe(201)
  })

  it('registers a hundred times an hour where the server is tried on its own machine, and guesses no more often', async () => {
    const app = await limitedApp()
    expect(statusesOf(await times(101, () => register(app)))).toEqual({ 201: 100, 429: 1 })
    expect(statusesOf(await times(11, () => signIn(app)))).toEqual({ 401: 10, 429: 1 })
    const amountFor = async (settings: Record<string, string>, limits = '') =>
      (await register(await limitedApp(limits, settings))).headers['ratelimit-policy']
    expect(await amountFor({}, 'register=5/1h')).toContain('q=5')
    expect(await amountFor({ PIN_DELIVERY: 'console' })).toContain('q=10;')
    expect(await amountFor({ TRUST_PROXY: '127.0.0.1' })).toContain('q=10;')
  })

  it('asks for ten PINs an hour', async () => {
    const app = await limitedApp('', { PIN_DELIVERY: 'console' })
    const ask = () => app.post('/v1/pins', { email: 'ada@example.org', deviceId: newDeviceId() })
    expect(statusesOf(await times(15, ask))).toEqual({ 202: 10, 429: 5 })
  })

  it('reads the documentation, with all that its page needs', async () => {
    const app = await limitedApp('docs=30/1m')
    const page = await app.request('/docs')
    const parts = [...String(page.body).matchAll(/(?:src|href)="\.?\/?(?:docs\/)?(static\/[^"]+)"/g)].map(
      ([, path]) => path,
    )
    expect(parts.length).toBeGreaterThan(3)
    for (const path of [...parts, 'json', 'yaml']) expect((await app.request(`/docs/${path}`)).status).toBe(200)
    await times(30, () => app.request('/docs'))
    expect(await app.request('/docs/json')).toBeProblem(429, 'too-many-requests')
  })

  it('asks as often as wanted whether the server is well', async () => {
    const app = await limitedApp('docs=1/1m,requests=1/1m,bad-tokens=1/1m')
    for (const path of ['/health/live', '/health/ready']) {
      const answers = await times(50, () => app.request(path))
      expect(statusesOf(answers)).toEqual({ 200: 50 })
      expect(answers[0]?.headers).not.toHaveProperty('ratelimit')
    }
  })
})

describe('a user', () => {
  it('has limits of its own, though others come from the same address', async () => {
    const app = await limitedApp('requests=3/1m')
    const [ada, ben] = [await member(app), await member(app)]
    expect(statusesOf(await times(5, () => ada.request('/v1/me')))).toEqual({ 200: 3, 429: 2 })
    const answer = await ben.request('/v1/me')
    expect(answer.status).toBe(200)
    expect(standing(answer)).toEqual({ policy: { requests: { q: 3, w: 60 } }, left: { requests: { r: 2, t: 60 } } })
  })

  it('takes its limits along to another address', async () => {
    const app = await limitedApp('requests=3/1m')
    const ada = await member(app)
    await times(3, () => ada.request('/v1/me'))
    expect(await ada.request('/v1/me', { from: '127.0.0.2' })).toBeProblem(429, 'too-many-requests')
  })

  it('has one limit for all devices', async () => {
    const app = await limitedApp('requests=4/1m')
    const ada = await member(app)
    const phone = await secondDevice(app, ada)
    await times(4, () => phone.request('/v1/me'))
    expect(await ada.request('/v1/me')).toBeProblem(429, 'too-many-requests')
  })

  it.each([
    ['/v1/files', 1],
    ['/v1/files?limit=50', 1],
    ['/v1/files?limit=51', 2],
    ['/v1/files?limit=1000', 20],
    ['/v1/trash?limit=1000', 20],
    ['/v1/activity?limit=100', 2],
    ['/v1/files?limit=x', 1],
    ['/v1/files?limit=-1000', 1],
    ['/v1/files?limit=1000000000', 20],
    ['/v1/me?limit=1000', 1],
    ['/v1/sessions', 20],
    ['/v1/uploads', 20],
  ])('pays for %s as for %i requests', async (path, cost) => {
    const app = await limitedApp()
    const ada = await member(app)
    expect(standing(await ada.request(path)).left).toEqual({ requests: { r: 6000 - cost, t: 60 } })
  })

  it('gets a page that costs more than the whole limit, once in its window', async () => {
    const app = await limitedApp('requests=10/1m')
    const ada = await member(app)
    const page = await ada.request('/v1/files?limit=1000')
    expect([page.status, standing(page).left]).toEqual([200, { requests: { r: 0, t: 60 } }])
    const refused = await ada.request('/v1/files?limit=1000')
    expect(refused).toBeProblem(429, 'too-many-requests')
    expect(standing(refused).left).toEqual({ requests: { r: 0, t: 60 } })
    app.clock.turn(MINUTE)
    expect((await ada.request('/v1/files?limit=1000')).status).toBe(200)
  })

  it('lists 20,000 photos in pages of 1,000, and uploads thousands more', async () => {
    const app = await limitedApp()
    const ada = await member(app)
    const pages = await times(20, () => ada.request('/v1/files?limit=1000'))
    expect(statusesOf(pages)).toEqual({ 200: 20 })
    expect(Number(standing(await ada.request('/v1/me')).left?.requests?.r)).toBeGreaterThan(5000)
  })

  it('counts uploads, downloads and lists together', async () => {
    const app = await limitedApp('requests=4/1m')
    const ada = await member(app)
    await ada.put('a', 'bytes')
    await ada.get('a')
    await ada.request('/v1/files/a', { method: 'HEAD' })
    expect(standing(await ada.request('/v1/files')).left).toEqual({ requests: { r: 0, t: 60 } })
    expect(await ada.get('a')).toBeProblem(429, 'too-many-requests')
  })

  it('asks for ten PINs an hour, and those without one for theirs', async () => {
    const app = await limitedApp('', { PIN_DELIVERY: 'response' })
    const [ada, ben] = [await member(app), await member(app)]
    const pair = (owner: Member) => owner.request('/v1/pins', json({ deviceId: newDeviceId() }))
    const answers = await times(12, () => pair(ada))
    expect(statusesOf(answers)).toEqual({ 201: 10, 429: 2 })
    expect((await pair(ben)).status).toBe(201)
    expect(Object.keys(standing(await pair(ben)).left ?? {})).toEqual(['pairing'])
  })

  it('that spends all it has is refused before an upload, which leaves nothing', async () => {
    const app = await limitedApp('requests=1/1m')
    const ada = await member(app)
    await ada.request('/v1/me')
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 900_000 }
    line.socket.write(head('PUT /v1/files/film', headers))
    const answer = await line.until('"too-many-requests"')
    line.socket.write(Buffer.alloc(900_000))

    expect(answer).toMatch(/^HTTP\/1\.1 429 /)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    expect(answer).toMatch(/\r\nretry-after: 60\r\n/i)
    expect(await line.ended).toBe(answer)
    expect(line.fault()).toBeNull()
    expect(app.connections.at(-1)?.bytesRead).toBeGreaterThan(900_000)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('that spends all it has hears so instead of the 100 that it waits for', async () => {
    const app = await limitedApp('requests=1/1m')
    const ada = await member(app)
    await ada.request('/v1/me')
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 900_000, expect: '100-continue' }
    line.socket.write(head('PUT /v1/files/film', headers))
    expect(await line.ended).toMatch(/^HTTP\/1\.1 429 /)
  })
})

describe('a bad token', () => {
  const bad = (app: TestApp, call: Call = {}) => {
    const headers = { authorization: `Bearer mks_${randomBytes(32).toString('base64url')}` }
    return app.request('/v1/files', { ...call, headers })
  }

  it('is refused in another way once there were many from its network', async () => {
    const app = await limitedApp('bad-tokens=5/1m')
    const answers = await times(8, () => bad(app))
    expect(statusesOf(answers)).toEqual({ 401: 5, 429: 3 })
    expect(await app.request('/v1/files')).toBeProblem(429, 'too-many-requests')
    expect(await bad(app, { from: '127.0.0.2' })).toBeProblem(401, 'unauthorized')
    app.clock.turn(MINUTE)
    expect(await bad(app)).toBeProblem(401, 'unauthorized')
  })

  it('tells how many are left, and keeps its challenge', async () => {
    const app = await limitedApp('bad-tokens=5/1m')
    const answer = await bad(app)
    expect(answer.headers['www-authenticate']).toBe('Bearer')
    expect(standing(answer)).toEqual({
      policy: { 'bad-tokens': { q: 5, w: 60 } },
      left: { 'bad-tokens': { r: 4, t: 60 } },
    })
  })

  it('spends nothing of those who have a good one, or need none, at the same address', async () => {
    const app = await limitedApp('bad-tokens=5/1m,requests=2/1m,pins=1/1h,pairing=1/1h', { PIN_DELIVERY: 'console' })
    const ada = await consoleMember(app)
    const headers = { authorization: 'Bearer bad' }
    await times(20, () => app.request('/v1/me', { headers }))
    await times(20, () => app.request('/v1/pins', json({ email: ada.email, deviceId: newDeviceId() }, { headers })))

    expect((await ada.request('/v1/me')).status).toBe(200)
    expect((await ada.request('/v1/pins', json({ deviceId: newDeviceId() }))).status).toBe(201)
    expect((await app.post('/v1/pins', { email: ada.email, deviceId: newDeviceId() })).status).toBe(202)
  })

  it('is refused before the body as ever, and says when to come again', async () => {
    const app = await limitedApp('bad-tokens=1/1m')
    await bad(app)
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/film', { authorization: 'Bearer bad', 'content-length': 100_000 }))
    const answer = await line.until('"too-many-requests"')
    line.socket.write(Buffer.alloc(100_000))
    expect(answer).toMatch(/^HTTP\/1\.1 429 /)
    expect(answer).toMatch(/\r\nretry-after: 60\r\n/i)
    expect(await line.ended).toBe(answer)
    expect(line.fault()).toBeNull()
  })
})

describe('exports', () => {
  /** One that is under way and stays so: its client does not read on. */
  async function stalled(app: TestApp, owner: Member, requests = 1) {
    const line = wire(app.url)
    onTestFinished(() => void line.socket.destroy())
    line.socket.write(head('GET /v1/me/export', { authorization: `Bearer ${owner.token}` }).repeat(requests))
    await line.until('\r\n\r\n')
    line.socket.pause()
    return line
  }

  async function ownerOfFilms(app: TestApp) {
    const ada = await member(app)
    for (let n = 0; n < 2; n += 1) await ada.put(`film ${n}`, randomBytes(16 * MiB))
    return ada
  }

  it('are two at once for a user, by whatever session, and the third waits for one to end', async () => {
    const app = await limitedApp()
    const ada = await ownerOfFilms(app)
    const phone = await secondDevice(app, ada)
    const lines = [await stalled(app, ada), await stalled(app, phone)]

    for (const device of [ada, phone]) {
      const refused = await device.request('/v1/me/export')
      expect(refused).toBeProblem(429, 'too-many-requests')
      expect(refused.headers['retry-after']).toBe('60')
      expect(standing(refused)).toMatchObject({
        policy: { 'exports-at-once': { q: 2, qu: 'concurrent-requests' } },
        left: { 'exports-at-once': { r: 0 } },
      })
    }
    lines[0]?.socket.destroy()
    await expect.poll(async () => (await ada.request('/v1/me/export', { method: 'HEAD' })).status).toBe(200)
  })

  it('of one user do not keep another waiting', async () => {
    const app = await limitedApp()
    const ada = await ownerOfFilms(app)
    await stalled(app, ada)
    await stalled(app, ada)
    expect((await (await member(app)).request('/v1/me/export')).status).toBe(200)
  })

  it('that were asked for one behind the other are one at a time, and forgotten with their client', async () => {
    const app = await limitedApp('exports-at-once=1')
    const ada = await ownerOfFilms(app)
    const line = await stalled(app, ada, 5)
    await expect.poll(async () => (await ada.request('/v1/me/export', { method: 'HEAD' })).status).toBe(429)
    line.socket.destroy()
    await expect.poll(async () => (await ada.request('/v1/me/export', { method: 'HEAD' })).status).toBe(200)
  })

  it('end one after the other as often as the hour allows', async () => {
    const app = await limitedApp('exports=4/1h')
    const ada = await member(app)
    const answers: Answer[] = []
    for (let n = 0; n < 5; n += 1) answers.push(await ada.request('/v1/me/export'))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429])
    expect(standing(answers[0] as Answer).left).toEqual({
      requests: { r: 5999, t: 60 },
      'exports-at-once': { r: 1 },
      exports: { r: 3, t: 3600 },
    })
    expect(answers[4]?.headers['retry-after']).toBe('3600')
  })
})

describe('RATE_LIMIT=off', () => {
  it('limits nothing and says nothing of limits', async () => {
    const app = await testApp({
      RATE_LIMIT: 'off',
      RATE_LIMITS: 'sign-in=1/1m,requests=1/1m,bad-tokens=1/1m,docs=1/1m',
    })
    const ada = await member(app)
    const answers = [
      ...(await times(30, () => signIn(app))),
      ...(await times(30, () => ada.request('/v1/me'))),
      ...(await times(30, () => app.request('/v1/me'))),
      ...(await times(30, () => app.request('/docs/json'))),
    ]
    expect(statusesOf(answers)).toEqual({ 200: 60, 401: 60 })
    for (const { headers } of answers) expect(Object.keys(headers).join()).not.toMatch(/ratelimit|retry-after/)
  })
})

/** A member of an app in `console` mode: the PIN stands in the log. */
async function consoleMember(app: TestApp): Promise<Member> {
  const [deviceId, email] = [newDeviceId(), 'ada@example.org']
  await app.post('/v1/users', { name: 'Ada', email, deviceId })
  await app.settled()
  const line = app.log.map((text) => JSON.parse(text) as { pin?: string }).findLast(({ pin }) => pin !== undefined)
  const session = (await app.post('/v1/sessions', { deviceId, pin: line?.pin })).body as Member
  return memberWith(app, { ...session, deviceId, email })
}
