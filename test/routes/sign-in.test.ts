import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  appForMany,
  DAY,
  MINUTE,
  member,
  memberWith,
  newDeviceId,
  SECOND,
  type TestApp,
  testApp,
} from '../support/app.ts'

const sharedApp = appForMany()

async function registered(app: TestApp) {
  const deviceId = newDeviceId()
  const email = `${deviceId}@example.org`.slice(-60)
  const answer = await app.post('/v1/users', { name: 'Ada', email, deviceId })
  const { pin } = answer.body as { pin: string }
  const wrong = String((Number(pin) + 1) % 10_000).padStart(4, '0')
  return { deviceId, pin, wrong }
}

describe('signing in', () => {
  it('answers 201 with a token that ends thirty days after its last use', async () => {
    const app = await sharedApp()
    const { deviceId, pin } = await registered(app)
    const answer = await app.post('/v1/sessions', { deviceId, pin })
    expect(answer.status).toBe(201)
    expect(answer.body).toEqual({
      sessionId: expect.stringMatching(/^[\w-]{21}$/),
      token: expect.stringMatching(/^mks_[\w-]{43}$/),
      userId: expect.stringMatching(/^[\w-]{21}$/),
      deviceId,
      expiresAt: new Date(app.clock() + 30 * DAY).toISOString(),
    })
  })

  it('takes a PIN once', async () => {
    const app = await sharedApp()
    const { deviceId, pin } = await registered(app)
    await app.post('/v1/sessions', { deviceId, pin })
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
  })

  it('lets exactly one of many with the right PIN in', async () => {
    const app = await testApp({ PIN_MAX_ATTEMPTS: '10' })
    const { deviceId, pin } = await registered(app)
    const answers = await Promise.all(Array.from({ length: 10 }, () => app.post('/v1/sessions', { deviceId, pin })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...new Array(9).fill(401)])
  })

  it('takes the right PIN after four wrong ones', async () => {
    const app = await sharedApp()
    const { deviceId, pin, wrong } = await registered(app)
    for (let n = 0; n < 4; n += 1) await app.post('/v1/sessions', { deviceId, pin: wrong })
    expect((await app.post('/v1/sessions', { deviceId, pin })).status).toBe(201)
  })

  it('voids the PIN with the fifth wrong one', async () => {
    const app = await sharedApp()
    const { deviceId, pin, wrong } = await registered(app)
    for (let n = 0; n < 5; n += 1) await app.post('/v1/sessions', { deviceId, pin: wrong })
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
  })

  it('refuses a PIN at its end, not a moment before', async () => {
    const app = await testApp()
    const early = await registered(app)
    const late = await registered(app)
    app.clock.turn(5 * MINUTE - 1)
    expect((await app.post('/v1/sessions', { deviceId: early.deviceId, pin: early.pin })).status).toBe(201)
    app.clock.turn(1)
    expect(await app.post('/v1/sessions', { deviceId: late.deviceId, pin: late.pin })).toBeProblem(401, 'invalid-pin')
  })

  it('does not take the PIN of another device', async () => {
    const app = await sharedApp()
    const { pin } = await registered(app)
    const other = await registered(app)
    const mismatched = { deviceId: other.deviceId, pin: pin === other.pin ? other.wrong : pin }
    expect(await app.post('/v1/sessions', mismatched)).toBeProblem(401, 'invalid-pin')
  })

  it('answers wrong, used, expired and never-issued PINs and unknown devices alike', async () => {
    const app = await testApp()
    const a = await registered(app)
    const b = await registered(app)
    const used = await registered(app)
    await app.post('/v1/sessions', used)
    const wrong = await app.post('/v1/sessions', { deviceId: a.deviceId, pin: a.wrong })
    const spent = await app.post('/v1/sessions', { deviceId: used.deviceId, pin: used.pin })
    const unknown = await app.post('/v1/sessions', { deviceId: newDeviceId(), pin: '0000' })
    app.clock.turn(5 * MINUTE)
    const expired = await app.post('/v1/sessions', { deviceId: b.deviceId, pin: b.pin })
    const shapes = [wrong, spent, unknown, expired].map(({ status, headers, body }) => {
      const { 'x-request-id': _id, date: _date, ...fixed } = headers
      const { requestId: _requestId, ...document } = body as Record<string, unknown>
      return { status, fixed, document }
    })
    expect(wrong).toBeProblem(401, 'invalid-pin')
    expect(wrong.headers['www-authenticate']).toBe('Bearer')
    for (const shape of shapes) expect(shape).toEqual(shapes[0])
  })

  it.each([1234, '123', '12345', 'abcd', '١٢٣٤', null])('refuses %j as a PIN', async (pin) => {
    const app = await sharedApp()
    expect(await app.post('/v1/sessions', { deviceId: newDeviceId(), pin })).toBeProblem(400, 'invalid-request')
  })

  it.each([
    'x',
    'Ada’s phone',
    ' padded\u00a0',
    'a'.repeat(60),
    '\u{1f4f1}'.repeat(60),
    // 120 characters as it is sent, and 60 in NFC.
    'e\u0301'.repeat(60),
    `${' '.repeat(3000)}x`,
    '👩‍👩‍👧’s tablet',
  ])('takes the device name %j, trimmed and in NFC', async (deviceName) => {
    const app = await sharedApp()
    const { deviceId, pin } = await registered(app)
    const { status, body } = await app.post('/v1/sessions', { deviceId, pin, deviceName })
    expect(status).toBe(201)
    const headers = { authorization: `Bearer ${(body as { token: string }).token}` }
    const { sessions } = (await app.request('/v1/sessions', { headers })).body as { sessions: object[] }
    expect(sessions).toMatchObject([{ deviceName: deviceName.trim().normalize('NFC') }])
  })

  it.each([
    '',
    ' \t\n',
    'a'.repeat(61),
    '\u{1f4f1}'.repeat(61),
    // 60 characters as it is sent, and 120 in NFC.
    '\u0958'.repeat(60),
    'a\nb',
    'a\u0000',
    '\u0085x\u0085',
    '\u007f',
    'a\ud800',
    1234,
    null,
    ['x'],
  ])('refuses the device name %j, and the PIN stays good', async (deviceName) => {
    const app = await sharedApp()
    const { deviceId, pin } = await registered(app)
    const answer = await app.post('/v1/sessions', { deviceId, pin, deviceName })
    expect(answer).toBeProblem(400, 'invalid-request')
    expect(answer.body).toMatchObject({
      errors: [{ path: '/deviceName', message: expect.stringMatching(/^must be /) }],
    })
    expect((await app.post('/v1/sessions', { deviceId, pin })).status).toBe(201)
  })

  it('replaces the older session of the same device', async () => {
    const app = await testApp()
    const ada = await member(app)
    const headers = { authorization: `Bearer ${ada.token}` }
    const { pin } = (await app.post('/v1/pins', { deviceId: ada.deviceId }, headers)).body as { pin: string }
    const renewed = await app.post('/v1/sessions', { deviceId: ada.deviceId, pin })
    const newer = memberWith(app, { ...ada, token: (renewed.body as { token: string }).token })
    expect(await ada.request('/v1/files')).toBeProblem(401, 'unauthorized')
    expect((await newer.request('/v1/files')).status).toBe(200)
  })

  it('stores no token, in the database or in the log', async () => {
    const app = await testApp()
    const ada = await member(app)
    const names = ['minikeepsafe.db', 'minikeepsafe.db-wal']
    const stored = Buffer.concat(await Promise.all(names.map((name) => readFile(join(app.config.DATA_DIR, name)))))
    expect(stored.includes(ada.sessionId)).toBe(true)
    expect(stored.includes(ada.token.slice(4, 20))).toBe(false)
    expect(app.log.join('\n')).not.toContain(ada.token.slice(4, 20))
  })

  it('keeps no PIN, only what it can be compared with', async () => {
    const app = await testApp()
    const { deviceId, pin } = await registered(app)
    const [pending] = await app.ports.pendingPins.guess(deviceId, 'pin', 5)
    expect(Object.values(pending ?? {})).not.toContain(pin)
    expect(pending?.digest).toHaveLength(32)
  })
})

describe('a session', () => {
  it.each([
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer mks_short',
    `Bearer mks_${'a'.repeat(43)}`,
    `Basic mks_${'a'.repeat(43)}`,
    `mks_${'a'.repeat(43)}`,
  ])('is not opened by Authorization: %j', async (authorization) => {
    const app = await sharedApp()
    const answer = await app.request('/v1/files', { headers: authorization === undefined ? {} : { authorization } })
    expect(answer).toBeProblem(401, 'unauthorized')
    expect(answer.headers['www-authenticate']).toBe('Bearer')
  })

  it('takes the scheme in any case (RFC 9110, section 11.1)', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const answer = await app.request('/v1/files', { headers: { authorization: `bearer ${ada.token}` } })
    expect(answer.status).toBe(200)
  })

  it('slides with use and ends when it is not used', async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '10' })
    const ada = await member(app)
    app.clock.turn(9 * DAY)
    expect((await ada.request('/v1/files')).status).toBe(200)
    await app.settled()
    app.clock.turn(10 * DAY - 1)
    expect((await ada.request('/v1/files')).status).toBe(200)
    await app.settled()
    app.clock.turn(10 * DAY)
    expect(await ada.request('/v1/files')).toBeProblem(401, 'unauthorized')
  })

  it('ends for good after its whole time, however much it is used', async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '10', SESSION_MAX_DAYS: '25' })
    const ada = await member(app)
    for (let day = 5; day < 25; day += 5) {
      app.clock.turn(5 * DAY)
      expect((await ada.request('/v1/files')).status).toBe(200)
      await app.settled()
    }
    app.clock.turn(5 * DAY)
    expect(await ada.request('/v1/files')).toBeProblem(401, 'unauthorized')
  })

  it.each([
    ['30', 60 * SECOND],
    [String(100 / 86_400), 10 * SECOND],
  ])('with a TTL of %s days notes its use to within %i ms', async (days, exactness) => {
    const app = await testApp({ SESSION_TTL_DAYS: days })
    const ada = await member(app)
    const lastUsedAt = async () => (await app.ports.sessions.find(ada.userId, ada.sessionId))?.lastUsedAt
    const start = app.clock()
    app.clock.turn(exactness - 1)
    await ada.request('/v1/files')
    await app.settled()
    expect(await lastUsedAt()).toBe(start)
    app.clock.turn(1)
    await ada.request('/v1/files')
    await app.settled()
    expect(await lastUsedAt()).toBe(start + exactness)
  })

  it('is signed out also by a client that announces JSON and sends none', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const headers = { 'content-type': 'application/json' }
    expect((await ada.request('/v1/sessions/current', { method: 'DELETE', headers })).status).toBe(204)
  })

  it('is over the moment it is signed out', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    expect((await ada.request('/v1/sessions/current', { method: 'DELETE' })).status).toBe(204)
    expect(await ada.request('/v1/files')).toBeProblem(401, 'unauthorized')
    expect(await ada.request('/v1/sessions/current', { method: 'DELETE' })).toBeProblem(401, 'unauthorized')
  })
})
