import { describe, expect, it } from 'vitest'
import {
  DAY,
  MINUTE,
  memberWith,
  newDeviceId,
  otherThan,
  type TestApp,
  temporaryFolder,
  testApp,
} from '../support/app.ts'
import { type MailSink, mailSink, PATIENCE, pinIn, type SunkMail, silentServer } from '../support/mail.ts'

const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }

const mailApp = (SMTP_URL: string, folder?: string) =>
  testApp({ PIN_DELIVERY: 'email', SMTP_URL, MAIL_FROM: 'vault@example.org' }, folder)

async function appWithSink() {
  const sink = await mailSink()
  return { sink, app: await mailApp(sink.url) }
}

/** Registers and signs in with the PIN that came. */
async function signIn(app: TestApp, sink: MailSink, applicant = ada) {
  await app.post('/v1/users', applicant)
  await app.settled()
  const pin = pinIn(sink.mails.at(-1) as SunkMail)
  const { deviceId } = applicant
  return { deviceId, pin, session: await app.post('/v1/sessions', { deviceId, pin }) }
}

/** With a user; counts connections to the mail server, and rows that are written to tell somebody of something, or nobody. */
async function withWorkCounted() {
  const counts = { connections: 0, rows: 0 }
  const sink = await mailSink({
    onConnect: (_session, done) => {
      counts.connections += 1
      done()
    },
  })
  const app = await mailApp(sink.url)
  await signIn(app, sink)
  await app.settled()
  const { activity, pinLedger } = app.ports
  const { note } = activity
  const { noteNothing } = pinLedger
  const counted = <Given extends unknown[]>(act: (...given: Given) => Promise<void>) => {
    return (...given: Given) => {
      counts.rows += 1
      return act(...given)
    }
  }
  Object.assign(activity, { note: counted(note) })
  Object.assign(pinLedger, { noteNothing: counted(noteNothing) })
  return {
    app,
    sink,
    async workOf(act: () => Promise<unknown>) {
      const before = { ...counts }
      await act()
      await app.settled()
      return { connections: counts.connections - before.connections, rows: counts.rows - before.rows }
    },
  }
}

describe('registering with the PIN by mail', () => {
  it('answers 202 without a PIN', async () => {
    const { app } = await appWithSink()
    const answer = await app.post('/v1/users', ada)
    expect(answer.status).toBe(202)
    expect(answer.body).toEqual({
      deviceId: ada.deviceId,
      pinDelivery: 'email',
      pinExpiresAt: new Date(app.clock() + 5 * MINUTE).toISOString(),
    })
  })

  it('signs in with the PIN that was mailed, once', async () => {
    const { app, sink } = await appWithSink()
    const { deviceId, pin, session } = await signIn(app, sink)
    expect(session.status).toBe(201)
    expect(sink.mails[0]?.to).toEqual(['ada@example.org'])
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
    expect(await app.ports.users.findByEmail(ada.email)).toMatchObject({ name: 'Ada', confirmedBy: 'email' })
  })

  it('answers and closes at once though the mail server hangs', async () => {
    const { url, connections } = await silentServer()
    const app = await mailApp(url)
    expect((await app.post('/v1/users', ada)).status).toBe(202)
    await expect.poll(() => connections, PATIENCE).toHaveLength(1)
    expect((await app.request('/health/ready')).status).toBe(200)
    await app.close()
    expect(app.log.join('\n')).toContain('mails were given up because the server closes')
  })

  it('answers the same for known and unknown addresses, and opens the known one’s vault', async () => {
    const { app, sink } = await appWithSink()
    const first = await signIn(app, sink)
    const known = await app.post('/v1/users', { ...ada, email: 'ADA@example.org', deviceId: 'second-device' })
    await app.settled()
    const unknown = await app.post('/v1/users', { ...ada, email: 'eve@example.org', deviceId: 'second-device' })
    await app.settled()
    expect([known.status, unknown.status]).toEqual([202, 202])
    expect(known.body).toEqual(unknown.body)
    const again = await signIn(app, sink, { ...ada, deviceId: 'third-device' })
    expect(again.session.body).toMatchObject({ userId: (first.session.body as { userId: string }).userId })
  })

  it('mails a reminder to a user and none to anybody else, with the same answer', async () => {
    const { app, sink } = await appWithSink()
    await signIn(app, sink)
    sink.mails.length = 0
    const known = await app.post('/v1/pins', { email: ada.email, deviceId: 'second-device' })
    const unknown = await app.post('/v1/pins', { email: 'eve@example.org', deviceId: 'second-device' })
    await app.settled()
    expect([known.status, unknown.status]).toEqual([202, 202])
    expect(known.body).toEqual(unknown.body)
    expect(sink.mails.map(({ to }) => to)).toEqual([['ada@example.org']])
  })

  it('does the same work for known and unknown addresses', async () => {
    const { sink, app, workOf } = await withWorkCounted()
    const works = []
    for (const email of [ada.email, 'eve@example.org']) {
      const before = sink.mails.length
      works.push(await workOf(() => app.post('/v1/pins', { email, deviceId: newDeviceId() })))
      expect(sink.mails.length - before).toBe(email === ada.email ? 1 : 0)
    }
    for (const email of [ada.email, 'ben@example.org']) {
      works.push(await workOf(() => app.post('/v1/users', { name: 'Eve', email, deviceId: newDeviceId() })))
    }
    expect(works).toEqual(Array(4).fill({ connections: 1, rows: 1 }))
  })

  it('does the same work for wrong PINs of known and unknown addresses, and for a pause', async () => {
    const { sink, app, workOf } = await withWorkCounted()
    const works = []
    for (const email of [ada.email, 'eve@example.org']) {
      const deviceId = newDeviceId()
      await app.post('/v1/pins', { email, deviceId })
      await app.settled()
      const pin = otherThan(pinIn(sink.mails.at(-1) as SunkMail) as string)
      for (let n = 0; n < 5; n += 1) works.push(await workOf(() => app.post('/v1/sessions', { deviceId, pin })))
    }
    const each = [...Array(4).fill({ connections: 0, rows: 1 }), { connections: 1, rows: 2 }]
    expect(works).toEqual([...each, ...each])
  })

  it('puts nothing into a mail that was chosen by whoever asked for it', async () => {
    const { app, sink } = await appWithSink()
    const headers = { 'user-agent': 'Cheap pills' }
    await app.post('/v1/users', { ...ada, name: 'Cheap pills', deviceId: 'cheap-pills' }, headers)
    await app.settled()
    expect(sink.mails).toHaveLength(1)
    expect(sink.mails[0]?.raw).not.toMatch(/pills/i)
  })

  it.each([
    'ada@example.org\r\nBcc: eve@evil.org',
    'ada@example.org\nBcc: eve@evil.org',
    'ada@example.org\n',
    'ada@example.org, eve@evil.org',
    'ada@example.org,eve@evil.org',
    'ada@example.org;eve@evil.org',
    'ada@example.org eve@evil.org',
    'ada @example.org',
    'Ada <ada@example.org>',
    '<ada@example.org>',
    '"ada"@example.org',
    '"ada@evil.org, eve"@example.org',
    'ada(comment)@example.org',
    'ada@[192.0.2.7]',
    'ada@192.0.2.7',
    'ada@evil.org@example.org',
    'team:ada@example.org',
    'ada\\@evil.org@example.org',
    'ada@example.org\0',
    'ada\t@example.org',
    'ad\u00e4@example.org',
    'ada@example.org\u2028',
    'ada@example..org',
    'ada@-example.org',
    '.ada@example.org',
    'a..da@example.org',
    `ada@${`${'a'.repeat(50)}.`.repeat(5)}org`,
  ])('refuses %j and mails nothing', async (email) => {
    const { app, sink } = await appWithSink()
    expect(await app.post('/v1/users', { ...ada, email })).toBeProblem(400, 'invalid-request')
    expect(await app.post('/v1/pins', { email, deviceId: ada.deviceId })).toBeProblem(400, 'invalid-request')
    await app.settled()
    expect(sink.mails).toEqual([])
  })

  it.each([
    ['  ada@example.org ', 'ada@example.org'],
    ['ada@exämple.org', 'ada@xn--exmple-cua.org'],
  ])('mails to %j as %j, and knows it in both forms', async (typed, kept) => {
    const { app, sink } = await appWithSink()
    const first = await signIn(app, sink, { ...ada, email: typed })
    // The sink shows a domain as people read it.
    expect(sink.mails[0]?.to).toEqual([typed.trim()])
    expect(await app.ports.users.findByEmail(kept)).not.toBeNull()
    const again = await signIn(app, sink, { ...ada, email: kept, deviceId: 'second-device' })
    expect(again.session.body).toMatchObject({ userId: (first.session.body as { userId: string }).userId })
  })

  it('keeps addresses and PINs out of the log, whatever becomes of the mail', async () => {
    const sink = await mailSink({
      onRcptTo: ({ address }, _session, done) =>
        done(Object.assign(new Error(`no <${address}> here`), { responseCode: 550 })),
    })
    const app = await mailApp(sink.url)
    await app.post('/v1/users', ada)
    await app.settled()
    const log = app.log.join('\n')
    expect(log).toContain('a mail was given up')
    expect(log).toContain('"responseCode":550')
    expect(log).not.toMatch(/ada@|ios-6f1c|example\.org/)
  })
})

describe('an address that was confirmed in another mode', () => {
  async function confirmedInResponse() {
    const folder = await temporaryFolder()
    const app = await testApp({}, folder)
    const { pin } = (await app.post('/v1/users', ada)).body as { pin: string }
    const { token, userId, sessionId } = (await app.post('/v1/sessions', { deviceId: ada.deviceId, pin })).body as {
      token: string
      userId: string
      sessionId: string
    }
    await app.close()
    const sink = await mailSink()
    const mailing = await mailApp(sink.url, folder)
    return { sink, app: mailing, member: memberWith(mailing, { ...ada, token, userId, sessionId }) }
  }

  it('is not mailed, opens nothing, and gets the usual answer', async () => {
    const { app, sink } = await confirmedInResponse()
    const deviceId = newDeviceId()
    const registered = await app.post('/v1/users', { ...ada, deviceId })
    const reminded = await app.post('/v1/pins', { email: ada.email, deviceId })
    await app.settled()
    expect([registered.status, reminded.status]).toEqual([202, 202])
    expect(sink.mails).toEqual([])
    expect(await app.ports.pendingPins.guess(deviceId, 'pin', 5)).toMatchObject([{ grant: { kind: 'nothing' } }])
  })

  it('still pairs devices from one that is signed in', async () => {
    const { app, member } = await confirmedInResponse()
    const headers = { authorization: `Bearer ${member.token}` }
    const { pin } = (await app.post('/v1/pins', { deviceId: 'second-device' }, headers)).body as { pin: string }
    const session = await app.post('/v1/sessions', { deviceId: 'second-device', pin })
    expect(session.body).toMatchObject({ userId: member.userId })
  })
})

it('a PIN that comes by mail ends as it says', async () => {
  const { app, sink } = await appWithSink()
  await app.post('/v1/users', ada)
  await app.settled()
  app.clock.turn(DAY)
  const pin = pinIn(sink.mails[0] as SunkMail)
  expect(await app.post('/v1/sessions', { deviceId: ada.deviceId, pin })).toBeProblem(401, 'invalid-pin')
})
