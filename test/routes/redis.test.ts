/** The vault over HTTP with its pending PINs and counts in Redis, and what becomes of it without that. */
import { expect, it } from 'vitest'
import { type Member, member, newDeviceId, type TestApp, testApp } from '../support/app.ts'
import type { FaultyProxy } from '../support/faulty-proxy.ts'
import type { Answer } from '../support/http.ts'
import { clientOf, describeRedis, gated, newDatabase, ownRedis } from '../support/redis.ts'

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }

const signIn = (app: TestApp, deviceId: string, pin: string) => app.post('/v1/sessions', { deviceId, pin })

async function registered(app: TestApp): Promise<string> {
  const answer = await app.post('/v1/users', ada)
  expect(answer.status).toBe(201)
  return (answer.body as { pin: string }).pin
}

const pair = (owner: Member, deviceId = newDeviceId()) =>
  owner.request('/v1/pins', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ deviceId }),
  })

const outages = (app: TestApp) => app.log.filter((line) => line.includes('Redis does not answer')).length
const returns = (app: TestApp) => app.log.filter((line) => line.includes('Redis answers again')).length

describeRedis('with Redis', () => {
  it('a phone registers, signs in and pairs another', async () => {
    const app = await testApp({ REDIS_URL: await newDatabase() })
    const phone = await member(app)
    expect((await phone.put('beach.jpg', 'sand')).status).toBe(201)
    const deviceId = newDeviceId()
    const { pin } = (await pair(phone, deviceId)).body as { pin: string }
    expect((await signIn(app, deviceId, pin)).status).toBe(201)
    expect(await signIn(app, deviceId, pin)).toBeProblem(401, 'invalid-pin')
    expect((await app.request('/health/ready')).status).toBe(200)
  })

  it('exactly one of many who race with the right PIN gets a session', async () => {
    const app = await testApp({ REDIS_URL: await newDatabase(), PIN_MAX_ATTEMPTS: '10' })
    const pin = await registered(app)
    const answers = await Promise.all(Array.from({ length: 10 }, () => signIn(app, ada.deviceId, pin)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(401)])
  })

  it('two servers have limits in common', async () => {
    const settings = { REDIS_URL: await newDatabase(), RATE_LIMIT: 'on', RATE_LIMITS: 'sign-in=20/1m' }
    const apps = [await testApp(settings), await testApp(settings)] as const
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => signIn(apps[n % 2 ? 0 : 1], 'nobodys-device', '0000')),
    )
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(20)
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(30)
  })

  it('a PIN that was spent opens nothing, though Redis has it back', async () => {
    const url = await newDatabase()
    const app = await testApp({ REDIS_URL: url })
    const redis = clientOf(url)
    const pin = await registered(app)
    const [key = ''] = await redis.keys('*:pins:*')
    const record = await redis.dumpBuffer(key)
    expect((await signIn(app, ada.deviceId, pin)).status).toBe(201)

    await redis.restore(key, 60_000, record as Buffer)
    expect(await signIn(app, ada.deviceId, pin)).toBeProblem(401, 'invalid-pin')
    expect(await redis.exists(key)).toBe(0)
  })

  it('PINs that it has lost are wrong PINs, and another one is to be had', async () => {
    const url = await newDatabase()
    const app = await testApp({ REDIS_URL: url })
    const pin = await registered(app)
    await clientOf(url).flushdb()
    expect(await signIn(app, ada.deviceId, pin)).toBeProblem(401, 'invalid-pin')
    expect((await signIn(app, ada.deviceId, await registered(app))).status).toBe(201)
  })

  it('neither PINs nor addresses are in the log, and Redis has no PIN', async () => {
    const url = await newDatabase()
    const app = await testApp({ REDIS_URL: url, LOG_LEVEL: 'info' })
    const pin = await registered(app)
    const [key = ''] = await clientOf(url).keys('*:pins:*')
    const { open: record = '' } = await clientOf(url).hgetall(key)
    expect(JSON.parse(record)).toEqual({
      id: expect.any(String),
      origin: 'open',
      kind: 'pin',
      address: null,
      digest: expect.any(String),
      grant: expect.objectContaining({ kind: 'registration', email: ada.email }),
      expiresAt: expect.any(Number),
    })
    expect(app.log.join('\n')).not.toMatch(new RegExp(`"${pin}"|${ada.email}|${ada.deviceId}`))
  })
})

describeRedis.each<[string, (gate: FaultyProxy) => unknown]>([
  ['is not there', (gate) => gate.refuse()],
  ['does not answer', (gate) => gate.hang()],
  ['is slow', (gate) => gate.delay(1000)],
])('while Redis %s', (_, fail) => {
  async function outage(settings: Record<string, string> = {}) {
    const { url, gate } = await gated(await newDatabase())
    const app = await testApp({ REDIS_URL: url, RATE_LIMIT: 'on', RATE_LIMITS: 'requests=3/1m', ...settings })
    return { app, gate }
  }

  const expectNotReady = (answer: Answer) => {
    expect(answer).toBeProblem(503, 'not-ready')
    expect(answer.headers['retry-after']).toBe('5')
  }

  it('nobody registers, asks for a PIN or signs in', async () => {
    const { app, gate } = await outage()
    const phone = await member(app)
    await fail(gate)
    expectNotReady(await app.post('/v1/users', ada))
    expectNotReady(await pair(phone))
    expectNotReady(await signIn(app, ada.deviceId, '0000'))
  })

  it('nor where PINs go another way', async () => {
    const { app, gate } = await outage({ PIN_DELIVERY: 'console' })
    await fail(gate)
    expectNotReady(await app.post('/v1/users', ada))
    expectNotReady(await app.post('/v1/pins', { email: ada.email, deviceId: ada.deviceId }))
  })

  it('whoever is signed in goes on, without limits', async () => {
    const { app, gate } = await outage()
    const phone = await member(app)
    await fail(gate)
    for (let n = 0; n < 5; n += 1) expect((await phone.put(`file ${n}`, 'bytes')).status).toBe(201)
    const answer = await phone.get('file 4')
    expect([answer.status, answer.body]).toEqual([200, 'bytes'])
    expect(answer.headers).not.toHaveProperty('ratelimit')
    expect((await phone.request('/v1/me/export')).status).toBe(200)
    expect((await app.request('/docs/json')).status).toBe(200)
    expect(await app.request('/v1/me', { headers: { authorization: 'Bearer bad' } })).toBeProblem(401, 'unauthorized')
  })

  it('the server is alive, and not ready', async () => {
    const { app, gate } = await outage()
    await fail(gate)
    const answer = await app.request('/health/ready')
    expectNotReady(answer)
    expect(answer.body).toMatchObject({ detail: 'Not working: redis.' })
    expect((await app.request('/health/live')).status).toBe(200)
  })

  it('the operator hears of it once, and again when it is over, without a restart', async () => {
    const { app, gate } = await outage()
    const phone = await member(app)
    await fail(gate)
    for (let n = 0; n < 5; n += 1) {
      expect((await signIn(app, ada.deviceId, '0000')).status).toBe(503)
      expect((await phone.get('nothing')).status).toBe(404)
    }
    expect([outages(app), returns(app)]).toEqual([1, 0])
    expect(app.log.filter((line) => line.includes('"level":40') && line.includes('cause'))).toEqual([])

    await gate.heal()
    await expect.poll(() => returns(app), { timeout: 10_000 }).toBe(1)
    expect((await signIn(app, ada.deviceId, await registered(app))).status).toBe(201)
    expect((await app.request('/health/ready')).status).toBe(200)
    const statuses = []
    for (let n = 0; n < 5; n += 1) statuses.push((await phone.get('nothing')).status)
    expect(statuses).toContain(429)
    expect([outages(app), returns(app)]).toEqual([1, 1])
  })

  it('a PIN on its way is lost, the operator hears so, and nothing else is lost', async () => {
    const { app, gate } = await outage({ PIN_DELIVERY: 'console', RATE_LIMIT: 'off' })
    await fail(gate)
    expect((await app.post('/v1/users', ada)).status).toBe(202)
    await app.settled()
    expect(app.log.filter((line) => line.includes('sending a PIN failed'))).toHaveLength(1)
    expect(app.log.join('\n')).not.toContain(ada.email)

    await gate.heal()
    await expect.poll(() => returns(app), { timeout: 10_000 }).toBe(1)
    expect((await app.post('/v1/users', ada)).status).toBe(202)
    await app.settled()
    expect(app.log.filter((line) => line.includes('"pin":'))).toHaveLength(1)
  })

  it('a server starts, and is ready once Redis is', async () => {
    const { url, gate } = await gated(await newDatabase())
    await fail(gate)
    const app = await testApp({ REDIS_URL: url })
    expectNotReady(await app.request('/health/ready'))
    await gate.heal()
    await expect.poll(async () => (await app.request('/health/ready')).status, { timeout: 10_000 }).toBe(200)
  })
})

describeRedis('a Redis server', () => {
  it('that was started anew is used again, though it has forgotten everything', async () => {
    const server = await ownRedis()
    const app = await testApp({ REDIS_URL: server.url })
    const phone = await member(app)
    server.stop()
    expect(await pair(phone)).toBeProblem(503, 'not-ready')
    server.start()
    await expect.poll(async () => (await pair(phone)).status, { timeout: 10_000 }).toBe(201)
  })

  it('that becomes a replica is left for what its address leads to then', async () => {
    const { url } = await ownRedis()
    const behind = await gated(url)
    const app = await testApp({ REDIS_URL: `${behind.url}/0` })
    const phone = await member(app)
    const redis = clientOf(url)
    await redis.replicaof('127.0.0.1', 1)
    const before = behind.gate.connections()
    expect(await pair(phone)).toBeProblem(503, 'not-ready')
    await expect.poll(behind.gate.connections).toBeGreaterThan(before)
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    await redis.replicaof('NO', 'ONE')
    await expect.poll(async () => (await pair(phone)).status, { timeout: 10_000 }).toBe(201)
    expect(app.log.join('\n')).toContain('Redis does not answer (READONLY)')
  })

  it('that has no room is a server that is not ready', async () => {
    const { url } = await ownRedis()
    const app = await testApp({ REDIS_URL: url })
    const phone = await member(app)
    await clientOf(url).config('SET', 'maxmemory', '1')
    expect(await pair(phone)).toBeProblem(503, 'not-ready')
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    expect((await phone.put('beach.jpg', 'sand')).status).toBe(201)
    await clientOf(url).config('SET', 'maxmemory', '0')
    expect((await pair(phone)).status).toBe(201)
  })

  it('lets users in by name and password, whatever is in them', async () => {
    const { url } = await ownRedis()
    // The rights are those of docs/operating.md.
    const rights = ['~minikeepsafe:*', '+@all', '-@admin', '-@dangerous', '+info']
    await clientOf(url).call('ACL', 'SETUSER', 'v@ult', 'on', '>p@ss/w:rd', ...rights)
    const REDIS_URL = url.replace('//', '//v%40ult:p%40ss%2Fw%3Ard@')
    const app = await testApp({ REDIS_URL })
    await registered(app)
    expect((await app.request('/health/ready')).status).toBe(200)
  })

  it.each([
    ['the password', '//default:wr0ng@', '', 'WRONGPASS'],
    ['the rights', '//limited:s3cret@', '', 'NOPERM'],
    ['the database', '//default:r1ght@', '/9999', 'ERR DB index is out of range'],
  ])('that does not take %s keeps a server from starting, which does not repeat it', async (_, login, path, reason) => {
    const { url } = await ownRedis()
    await clientOf(url).call('ACL', 'SETUSER', 'limited', 'on', '>s3cret', '~other:*', '+@all')
    await clientOf(url).call('ACL', 'SETUSER', 'default', '>r1ght')
    const start = testApp({ REDIS_URL: url.replace('//', login) + path })
    await expect(start).rejects.toThrow(`REDIS_URL cannot be used; its server says: ${reason}`)
    await expect(start).rejects.not.toThrow(/wr0ng|s3cret|r1ght/)
  })
})
