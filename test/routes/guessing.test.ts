/** Guesses at PINs that are delivered and not shown: by address, in pauses, and told apart by nobody. */
import { describe, expect, it } from 'vitest'
import { MINUTE, member, newDeviceId, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { databaseOf } from '../support/operator.ts'

const EMAIL = 'ada@example.org'

const consoleApp = (folder?: string, settings = {}) => testApp({ PIN_DELIVERY: 'console', ...settings }, folder)

/** Asks for a PIN as anybody can, and answers what was delivered, if anything was. */
async function delivered(app: TestApp, deviceId: string, email = EMAIL) {
  app.log.length = 0
  const answer = await app.post('/v1/users', { name: 'Ada', email, deviceId })
  await app.settled()
  const [, kind = null, secret = ''] = /(PIN|code) ([A-Z0-9]+)/.exec(app.log.join('\n')) ?? []
  return { answer, kind, secret }
}

const signIn = (app: TestApp, deviceId: string, pin: string) => app.post('/v1/sessions', { deviceId, pin })

const pinIn = (app: TestApp) => /PIN ([0-9]{4})/.exec(app.log.join('\n'))?.[1] as string

const wrongFor = (pin: string, n = 1) => String((Number(pin) + n) % 10_000).padStart(4, '0')

/** An app with a user, and the PINs of the user's address paused by a stranger. */
async function paused(settings = {}) {
  const folder = await temporaryFolder()
  const app = await consoleApp(folder, settings)
  const deviceId = newDeviceId()
  const first = await delivered(app, deviceId)
  await signIn(app, deviceId, first.secret)
  const phone = newDeviceId()
  const waiting = { deviceId: phone, pin: (await delivered(app, phone)).secret }
  const strange = newDeviceId()
  const { secret } = await delivered(app, strange)
  for (let n = 1; n <= 5; n += 1) await signIn(app, strange, wrongFor(secret, n))
  return { app, folder, deviceId, waiting, strange, strangersPin: secret }
}

/** An answer without what differs in each. */
function shapeOf({ status, headers, body }: Answer) {
  const { 'x-request-id': _id, date: _date, ...fixed } = headers
  const { requestId: _requestId, ...document } = body as Record<string, unknown>
  return { status, fixed, document }
}

describe('guessing at delivered PINs', () => {
  it('pauses every PIN of the address, also one that waits on another device', async () => {
    const { app, waiting } = await paused()
    expect(await signIn(app, waiting.deviceId, waiting.pin)).toBeProblem(401, 'invalid-pin')
  })

  it('lets nobody in with a new PIN number while the pause lasts: a code comes instead', async () => {
    const { app } = await paused()
    const { kind, secret, answer } = await delivered(app, newDeviceId())
    expect([answer.status, kind]).toEqual([202, 'code'])
    expect(secret).toMatch(/^[A-Z2-7]{16}$/)
  })

  it('goes on with PINs after a quarter of an hour, and after the next five wrong ones after half an hour', async () => {
    const { app } = await paused()
    app.clock.turn(15 * MINUTE - 1)
    expect((await delivered(app, newDeviceId())).kind).toBe('code')
    app.clock.turn(1)
    const deviceId = newDeviceId()
    const { kind, secret } = await delivered(app, deviceId)
    expect(kind).toBe('PIN')
    for (let n = 1; n <= 5; n += 1) await signIn(app, deviceId, wrongFor(secret, n))
    app.clock.turn(30 * MINUTE - 1)
    expect((await delivered(app, newDeviceId())).kind).toBe('code')
    app.clock.turn(1)
    expect((await delivered(app, newDeviceId())).kind).toBe('PIN')
  })

  it('cannot exclude more than a few numbers by asking for PINs of another user, which all differ', async () => {
    const app = await consoleApp(undefined, { RATE_LIMIT: 'off' })
    const own = newDeviceId()
    const { secret } = await delivered(app, own, 'eve@example.org')
    const { token } = (await signIn(app, own, secret)).body as { token: string }
    const deviceId = newDeviceId()
    const { secret: waiting } = await delivered(app, deviceId)
    const shown = []
    for (let n = 0; n < 40; n += 1) {
      shown.push(await app.post('/v1/pins', { deviceId }, { authorization: `Bearer ${token}` }))
    }
    expect(shown.filter(({ status }) => status === 201)).toHaveLength(32)
    expect(shown.at(-1)).toBeProblem(429, 'too-many-requests')
    expect(Number(shown.at(-1)?.headers['retry-after'])).toBeGreaterThan(0)
    expect((await signIn(app, deviceId, waiting)).status).toBe(201)
  })

  it('takes a code once, in any case and in groups', async () => {
    const { app } = await paused()
    const deviceId = newDeviceId()
    const { secret } = await delivered(app, deviceId)
    const typed = (secret.toLowerCase().match(/.{4}/g) ?? []).join('-')
    expect((await signIn(app, deviceId, typed)).status).toBe(201)
    expect(await signIn(app, deviceId, secret)).toBeProblem(401, 'invalid-pin')
  })

  it('takes a code after any number of wrong ones', async () => {
    const { app } = await paused()
    const deviceId = newDeviceId()
    const { secret } = await delivered(app, deviceId)
    for (let n = 0; n < 12; n += 1) {
      expect(await signIn(app, deviceId, n % 2 ? '0000' : 'AAAAAAAAAAAAAAAA')).toBeProblem(401, 'invalid-pin')
    }
    expect((await signIn(app, deviceId, secret)).status).toBe(201)
  })

  it.each(['console', 'response'])('takes a PIN after any number of wrong codes, in the mode %s', async (mode) => {
    const app = await testApp({ PIN_DELIVERY: mode })
    const deviceId = newDeviceId()
    const registered = await app.post('/v1/users', { name: 'Ada', email: EMAIL, deviceId })
    await app.settled()
    const { pin } = mode === 'response' ? (registered.body as { pin: string }) : { pin: pinIn(app) }
    for (let n = 0; n < 12; n += 1) {
      expect(await signIn(app, deviceId, 'aaaa-aaaa-aaaa-aaaa')).toBeProblem(401, 'invalid-pin')
    }
    expect((await signIn(app, deviceId, pin)).status).toBe(201)
  })

  it('counts no wrong code at an address, so it brings no pause, and is told to no owner of a PIN', async () => {
    const app = await consoleApp()
    const device = newDeviceId()
    const { token } = (await signIn(app, device, (await delivered(app, device)).secret)).body as { token: string }
    for (let n = 0; n < 2; n += 1) {
      const deviceId = newDeviceId()
      await delivered(app, deviceId)
      for (let m = 0; m < 5; m += 1) await signIn(app, deviceId, 'AAAAAAAAAAAAAAAA')
    }
    expect((await delivered(app, newDeviceId())).kind).toBe('PIN')
    const { body } = await app.request('/v1/activity', { headers: { authorization: `Bearer ${token}` } })
    expect(JSON.stringify(body)).not.toMatch(/wrong-pin|locked/)
  })

  it('counts over devices, each with fewer guesses than void a PIN', async () => {
    const app = await consoleApp()
    for (let n = 0; n < 5; n += 1) {
      const deviceId = newDeviceId()
      const { kind, secret } = await delivered(app, deviceId)
      expect(kind).toBe('PIN')
      await signIn(app, deviceId, wrongFor(secret))
    }
    expect((await delivered(app, newDeviceId())).kind).toBe('code')
  })

  it.each([1, 10])('pauses with the fifth where a PIN bears %i', async (attempts) => {
    const app = await consoleApp(undefined, { PIN_MAX_ATTEMPTS: String(attempts) })
    for (let n = 1; n <= 5; n += 1) {
      const deviceId = newDeviceId()
      const { kind, secret } = await delivered(app, deviceId)
      expect(kind).toBe('PIN')
      await signIn(app, deviceId, wrongFor(secret))
    }
    expect((await delivered(app, newDeviceId())).kind).toBe('code')
  })

  it('does not count a right PIN, nor forget wrong ones for it', async () => {
    const app = await consoleApp()
    for (let n = 0; n < 4; n += 1) {
      const deviceId = newDeviceId()
      const { secret } = await delivered(app, deviceId)
      await signIn(app, deviceId, wrongFor(secret))
      expect((await signIn(app, deviceId, secret)).status).toBe(201)
    }
    const deviceId = newDeviceId()
    const { kind, secret } = await delivered(app, deviceId)
    expect(kind).toBe('PIN')
    await signIn(app, deviceId, wrongFor(secret))
    expect(await signIn(app, deviceId, secret)).toBeProblem(401, 'invalid-pin')
  })

  it('takes the right PIN as the fifth guess, and pauses nothing for it', async () => {
    const app = await consoleApp()
    const deviceId = newDeviceId()
    const { secret } = await delivered(app, deviceId)
    for (let n = 1; n <= 4; n += 1) await signIn(app, deviceId, wrongFor(secret, n))
    expect((await signIn(app, deviceId, secret)).status).toBe(201)
    expect((await delivered(app, newDeviceId())).kind).toBe('PIN')
  })

  it('compares five of many that race, and no more', async () => {
    const app = await consoleApp(undefined, { PIN_MAX_ATTEMPTS: '10' })
    const pins: { deviceId: string; pin: string }[] = []
    for (let n = 0; n < 8; n += 1) {
      const deviceId = newDeviceId()
      pins.push({ deviceId, pin: (await delivered(app, deviceId)).secret })
    }
    const right = pins.pop() as (typeof pins)[number]
    const wrong = pins.flatMap(({ deviceId, pin }) => [1, 2, 3].map((n) => ({ deviceId, pin: wrongFor(pin, n) })))
    const { count } = app.ports.pinLedger
    let asked = 0
    let compared = 0
    app.ports.pinLedger.count = async (guess) => {
      // The right PIN is on its way before any is counted, and is counted last.
      if (guess.deviceId === right.deviceId) await expect.poll(() => asked).toBe(wrong.length)
      const answer = await count(guess)
      if (answer.counted.as === 'counted') compared += 1
      asked += 1
      return answer
    }
    const answers = await Promise.all([right, ...wrong].map(({ deviceId, pin }) => signIn(app, deviceId, pin)))
    expect(answers.map(({ status }) => status)).toEqual(new Array(22).fill(401))
    expect(compared).toBe(5)
  })

  it('is remembered over a restart, a deleted account, and a new registration', async () => {
    const { app, folder, deviceId } = await paused()
    const { secret } = await delivered(app, deviceId)
    const session = (await signIn(app, deviceId, secret)).body as { token: string }
    await app.request('/v1/me', { method: 'DELETE', headers: { authorization: `Bearer ${session.token}` } })
    await app.close()
    const after = await consoleApp(folder)
    expect((await delivered(after, newDeviceId())).kind).toBe('code')
  })

  it('is remembered when the master key was changed', async () => {
    const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)].map((key) => key.toString('base64'))
    const { app, folder } = await paused({ MASTER_KEY: old })
    await app.close()
    const after = await consoleApp(folder, { MASTER_KEY: fresh, MASTER_KEY_PREVIOUS: old })
    expect((await delivered(after, newDeviceId())).kind).toBe('code')
  })

  it('does not pause another address, whatever its case', async () => {
    const { app } = await paused()
    expect((await delivered(app, newDeviceId(), 'ben@example.org')).kind).toBe('PIN')
    expect((await delivered(app, newDeviceId(), 'ADA@Example.org')).kind).toBe('code')
  })

  it('does not pause PINs that are shown to their caller', async () => {
    const { app, deviceId } = await paused()
    const { secret } = await delivered(app, deviceId)
    const { token } = (await signIn(app, deviceId, secret)).body as { token: string }
    const other = newDeviceId()
    const shown = await app.post('/v1/pins', { deviceId: other }, { authorization: `Bearer ${token}` })
    expect((await signIn(app, other, (shown.body as { pin: string }).pin)).status).toBe(201)
  })

  it('keeps no address where guesses are counted', async () => {
    const { app } = await paused()
    const rows = databaseOf(app).prepare('SELECT address, wrong FROM guesses').all() as {
      address: Buffer
      wrong: number
    }[]
    expect(rows.map(({ address, wrong }) => [address.length, wrong]).sort()).toContainEqual([32, 5])
    expect(rows.some(({ address }) => address.includes('ada'))).toBe(false)
  })

  it('counts at an address that nobody has, and answers all failures alike', async () => {
    const { app, waiting, strange, strangersPin } = await paused()
    const unknown = newDeviceId()
    await app.post('/v1/pins', { email: 'nobody@example.org', deviceId: unknown })
    await app.settled()
    const coded = newDeviceId()
    await delivered(app, coded)
    const pinned = newDeviceId()
    expect((await delivered(app, pinned, 'ben@example.org')).kind).toBe('PIN')
    const written = () => databaseOf(app).prepare('SELECT sum(wrong) FROM guesses').pluck().get() as number
    const guesses = {
      'a paused PIN': () => signIn(app, waiting.deviceId, waiting.pin),
      'a void PIN': () => signIn(app, strange, strangersPin),
      'a device without a PIN': () => signIn(app, newDeviceId(), '0000'),
      'an address without a user': () => signIn(app, unknown, '0000'),
      'a wrong code': () => signIn(app, coded, 'AAAAAAAAAAAAAAAA'),
      'a PIN in place of a code': () => signIn(app, coded, '0000'),
      'a code in place of a PIN': () => signIn(app, pinned, 'AAAAAAAAAAAAAAAA'),
      'a code on a device without a PIN': () => signIn(app, newDeviceId(), 'AAAAAAAAAAAAAAAA'),
    }
    const shapes = []
    for (const guess of Object.values(guesses)) {
      const before = written()
      shapes.push(shapeOf(await guess()))
      // The same work in every case: one counter, somewhere, is written and synced.
      expect(written()).toBe(before + 1)
    }
    expect(shapes[0]?.status).toBe(401)
    for (const shape of shapes) expect(shape).toEqual(shapes[0])
  })

  it('pauses an address that nobody has like any other', async () => {
    const app = await consoleApp()
    const deviceId = newDeviceId()
    await app.post('/v1/pins', { email: 'nobody@example.org', deviceId })
    await app.settled()
    for (let n = 0; n < 5; n += 1) await signIn(app, deviceId, '0000')
    // Whoever takes the address then gets a code.
    expect((await delivered(app, newDeviceId(), 'nobody@example.org')).kind).toBe('code')
  })
})

describe('PINs that are shown', () => {
  it('are void with the session that asked for them', async () => {
    const app = await testApp()
    const ada = await member(app)
    const phone = newDeviceId()
    const shown = await ada.request('/v1/pins', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ deviceId: phone }),
    })
    await ada.request('/v1/sessions/current', { method: 'DELETE' })
    expect(await signIn(app, phone, (shown.body as { pin: string }).pin)).toBeProblem(401, 'invalid-pin')
  })
})
