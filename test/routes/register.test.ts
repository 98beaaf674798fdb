import { describe, expect, it } from 'vitest'
import { MINUTE, member, newDeviceId, testApp } from '../support/app.ts'

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }

describe('registering with the PIN in the response', () => {
  it('answers 201 with a four-digit PIN that ends in five minutes', async () => {
    const app = await testApp()
    const { status, body } = await app.post('/v1/users', ada)
    expect(status).toBe(201)
    expect(body).toEqual({
      userId: expect.stringMatching(/^[\w-]{21}$/),
      deviceId: ada.deviceId,
      pin: expect.stringMatching(/^\d{4}$/),
      pinExpiresAt: new Date(app.clock() + 5 * MINUTE).toISOString(),
    })
  })

  it('keeps the answer with the PIN out of every cache', async () => {
    const app = await testApp()
    expect((await app.post('/v1/users', ada)).headers['cache-control']).toBe('no-store')
  })

  it('takes an address for good with the first sign-in, whatever its case', async () => {
    const app = await testApp()
    await member(app, 'Ada@Example.org')
    const again = await app.post('/v1/users', { ...ada, email: 'aDA@eXAMPLE.ORG' })
    expect(again).toBeProblem(409, 'email-taken')
    expect((again.body as { detail: string }).detail).toMatch(/signed-in device.*operator/)
  })

  it('makes no PIN for a taken address', async () => {
    const app = await testApp()
    await member(app, ada.email)
    await app.post('/v1/users', ada)
    expect(await app.ports.pendingPins.guess(ada.deviceId, 'pin', 5)).toEqual([])
  })

  it('lets several devices register one address, and gives it to the first that signs in', async () => {
    const app = await testApp()
    const devices = [newDeviceId(), newDeviceId()]
    const pins = []
    for (const deviceId of devices) {
      pins.push(((await app.post('/v1/users', { ...ada, deviceId })).body as { pin: string }).pin)
    }
    const first = await app.post('/v1/sessions', { deviceId: devices[1], pin: pins[1] })
    const second = await app.post('/v1/sessions', { deviceId: devices[0], pin: pins[0] })
    expect(first.status).toBe(201)
    expect(second).toBeProblem(401, 'invalid-pin')
  })

  it('replaces the older PIN of a device', async () => {
    const app = await testApp()
    const older = (await app.post('/v1/users', ada)).body as { pin: string }
    let newer = older
    while (newer.pin === older.pin) newer = (await app.post('/v1/users', ada)).body as { pin: string }
    expect(await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: older.pin })).toBeProblem(401, 'invalid-pin')
    expect((await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: newer.pin })).status).toBe(201)
  })

  it('keeps the user id that it announced', async () => {
    const app = await testApp()
    const { userId, pin } = (await app.post('/v1/users', ada)).body as { userId: string; pin: string }
    const session = await app.post('/v1/sessions', { deviceId: ada.deviceId, pin })
    expect((session.body as { userId: string }).userId).toBe(userId)
  })

  it('trims the name and keeps the address in lower case', async () => {
    const app = await testApp()
    const { pin } = (await app.post('/v1/users', { ...ada, name: '  Ada L. ', email: 'ADA@example.org' })).body as {
      pin: string
    }
    await app.post('/v1/sessions', { deviceId: ada.deviceId, pin })
    expect(await app.ports.users.findByEmail('ada@example.org')).toMatchObject({
      name: 'Ada L.',
      confirmedBy: 'response',
    })
  })

  it.each([
    { name: '' },
    { name: '   ' },
    { name: 'x'.repeat(101) },
    { name: 7 },
    { name: 'A\0da' },
    { name: 'A\udc00' },
    { name: 'A\ud800' },
    { email: 'ada' },
    { email: 'ada@' },
    { email: 'ada@localhost' },
    { email: 'ada@192.0.2.7' },
    { email: 'ada@example.org\r\nBcc: eve@example.org' },
    { email: 'ada@example.org, eve@example.org' },
    { email: `${'a'.repeat(65)}@example.org` },
    { email: `ada@${'a.'.repeat(130)}org` },
    { email: null },
    { deviceId: 'short' },
    { deviceId: 'x'.repeat(129) },
    { deviceId: 'with space 123' },
    { deviceId: undefined },
  ])('refuses %j', async (fault) => {
    const app = await testApp()
    const answer = await app.post('/v1/users', { ...ada, ...fault })
    expect(answer).toBeProblem(400, 'invalid-request')
    const { errors } = answer.body as { errors: { path: string }[] }
    expect(errors.map(({ path }) => path)).toEqual([`/${Object.keys(fault)[0]}`])
  })

  it.each([
    { name: ` ${'\u{1f600}'.repeat(100)} ` },
    { name: 'A' },
    { email: "o'hara+tag_x@sub.example-host.co" },
    { email: `${'a'.repeat(64)}@example.org` },
    { deviceId: 'x'.repeat(128) },
    { deviceId: 'a.b_c:d-e' },
  ])('takes %j', async (fields) => {
    const app = await testApp()
    expect((await app.post('/v1/users', { ...ada, ...fields })).status).toBe(201)
  })
})

describe('registering with the PIN in the log', () => {
  const consoleApp = (folder?: string) => testApp({ PIN_DELIVERY: 'console', LOG_LEVEL: 'error' }, folder)
  const pinIn = (log: string[]) => /PIN (\d{4})/.exec(log.join('\n'))?.[1]

  it('answers 202 without a PIN, which stands in the log whatever its level', async () => {
    const app = await consoleApp()
    const answer = await app.post('/v1/users', ada)
    await app.settled()
    expect(answer.status).toBe(202)
    expect(answer.body).toEqual({
      deviceId: ada.deviceId,
      pinDelivery: 'console',
      pinExpiresAt: new Date(app.clock() + 5 * MINUTE).toISOString(),
    })
    expect((await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: pinIn(app.log) })).status).toBe(201)
  })

  it('names neither the address nor the device beside it', async () => {
    const app = await consoleApp()
    await app.post('/v1/users', ada)
    await app.settled()
    expect(app.log.join('\n')).not.toMatch(/ada@|ios-6f1c/)
  })

  it('answers the same for an address that has a user, and opens that user’s vault', async () => {
    const app = await consoleApp()
    const signIn = async (deviceId: string) => {
      app.log.length = 0
      const answer = await app.post('/v1/users', { ...ada, deviceId })
      await app.settled()
      const session = await app.post('/v1/sessions', { deviceId, pin: pinIn(app.log) })
      return { answer, userId: (session.body as { userId: string }).userId }
    }
    const first = await signIn('first-device')
    const second = await signIn('second-device')
    expect(second.userId).toBe(first.userId)
    expect(second.answer.status).toBe(202)
    expect(Object.keys(second.answer.body as object)).toEqual(Object.keys(first.answer.body as object))
  })

  it('reminds the owner of an address, and tells nobody whether there is one', async () => {
    const app = await consoleApp()
    await app.post('/v1/users', ada)
    await app.settled()
    await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: pinIn(app.log) })
    app.log.length = 0

    const known = await app.post('/v1/pins', { email: 'ADA@example.org', deviceId: 'second-device' })
    await app.settled()
    const pin = pinIn(app.log)
    app.log.length = 0
    const unknown = await app.post('/v1/pins', { email: 'eve@example.org', deviceId: 'third-device' })
    await app.settled()

    expect([known.status, unknown.status]).toEqual([202, 202])
    expect(Object.keys(known.body as object)).toEqual(Object.keys(unknown.body as object))
    expect(pinIn(app.log)).toBeUndefined()
    expect(await app.ports.pendingPins.guess('third-device', 'pin', 5)).toMatchObject([{ grant: { kind: 'nothing' } }])
    expect((await app.post('/v1/sessions', { deviceId: 'second-device', pin })).status).toBe(201)
  })

  it('opens nothing with a PIN that was delivered to nobody', async () => {
    const app = await consoleApp()
    await app.post('/v1/pins', { email: 'eve@example.org', deviceId: 'third-device' })
    await app.settled()
    const tries = []
    for (let pin = 0; pin < 5; pin += 1) {
      tries.push((await app.post('/v1/sessions', { deviceId: 'third-device', pin: `000${pin}` })).status)
    }
    expect(tries).toEqual([401, 401, 401, 401, 401])
  })
})

describe('a PIN for another device', () => {
  it('is shown to a signed-in device and opens the same vault', async () => {
    const app = await testApp()
    const ada = await member(app)
    const paired = await ada.request('/v1/pins', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ deviceId: 'second-device' }),
    })
    const { pin } = paired.body as { pin: string }
    const session = await app.post('/v1/sessions', { deviceId: 'second-device', pin })
    expect(paired.status).toBe(201)
    expect(paired.body).toEqual({
      deviceId: 'second-device',
      pin: expect.stringMatching(/^\d{4}$/),
      pinExpiresAt: new Date(app.clock() + 5 * MINUTE).toISOString(),
    })
    expect((session.body as { userId: string }).userId).toBe(ada.userId)
  })

  it('is not replaced by what strangers ask for that device', async () => {
    const app = await testApp()
    const ada = await member(app)
    const headers = { authorization: `Bearer ${ada.token}` }
    const { pin } = (await app.post('/v1/pins', { deviceId: 'second-device' }, headers)).body as { pin: string }
    await app.post('/v1/users', { name: 'Eve', email: 'eve@example.org', deviceId: 'second-device' })
    const session = await app.post('/v1/sessions', { deviceId: 'second-device', pin })
    expect(session.status).toBe(201)
  })

  it('needs a session where PINs stand in responses', async () => {
    const app = await testApp()
    expect(await app.post('/v1/pins', { deviceId: 'second-device' })).toBeProblem(401, 'unauthorized')
    expect(await app.post('/v1/pins', {})).toBeProblem(401, 'unauthorized')
    const withAddress = await app.post('/v1/pins', { deviceId: 'second-device', email: 'ada@example.org' })
    expect(withAddress).toBeProblem(401, 'unauthorized')
  })

  it('is refused to a bad token, also with an address', async () => {
    const app = await testApp({ PIN_DELIVERY: 'console' })
    const body = { deviceId: 'second-device', email: 'ada@example.org' }
    const answer = await app.post('/v1/pins', body, { authorization: 'Bearer mks_bad' })
    expect(answer).toBeProblem(401, 'unauthorized')
  })
})
