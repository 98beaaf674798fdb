/** What an owner is written of, and how often. */
import { describe, expect, it } from 'vitest'
import { MINUTE, newDeviceId, type TestApp, testApp } from '../support/app.ts'
import { type MailSink, mailSink, pinIn, type SunkMail } from '../support/mail.ts'

const EMAIL = 'ada@example.org'
const HOUR = 60 * MINUTE

async function appWithSink(settings: Record<string, string> = {}) {
  const sink = await mailSink()
  const app = await testApp({ PIN_DELIVERY: 'email', SMTP_URL: sink.url, MAIL_FROM: 'vault@example.org', ...settings })
  return { app, sink }
}

async function pinFor(app: TestApp, sink: MailSink, deviceId: string) {
  await app.post('/v1/users', { name: 'Ada', email: EMAIL, deviceId })
  await app.settled()
  return pinIn(sink.mails.at(-1) as SunkMail) as string
}

async function signIn(app: TestApp, deviceId: string, pin: string, agent = 'curl/8') {
  const answer = await app.post('/v1/sessions', { deviceId, pin }, { 'user-agent': agent })
  await app.settled()
  return answer
}

const subjects = ({ mails }: MailSink) => mails.map(({ headers }) => headers.subject)

describe('the owner', () => {
  it('is written of a new device, with time and address, and nothing that the device chose', async () => {
    const { app, sink } = await appWithSink()
    const first = newDeviceId()
    await signIn(app, first, await pinFor(app, sink, first))
    const second = newDeviceId()
    await signIn(app, second, await pinFor(app, sink, second), 'Cheap pills at evil.org')
    const notices = sink.mails.filter(({ headers }) => headers.subject?.includes('new device'))
    expect(notices).toHaveLength(1)
    expect(notices[0]?.plain).toContain('2026-11-22 08:30:00 UTC')
    expect(notices[0]?.plain).toContain('127.0.0.1')
    expect(notices[0]?.raw).not.toMatch(/pills|evil/)
    expect(notices[0]?.raw).not.toContain(second)
  })

  it('is not written of a device that is known', async () => {
    const { app, sink } = await appWithSink()
    const deviceId = newDeviceId()
    for (let n = 0; n < 2; n += 1) await signIn(app, deviceId, await pinFor(app, sink, deviceId))
    expect(subjects(sink).filter((subject) => subject?.includes('new device'))).toEqual([])
  })

  it('is written when the PINs are paused, once, and signs in with the code that comes then', async () => {
    const { app, sink } = await appWithSink()
    const first = newDeviceId()
    await signIn(app, first, await pinFor(app, sink, first))
    const strange = newDeviceId()
    const pin = await pinFor(app, sink, strange)
    const wrong = (n: number) => String((Number(pin) + n) % 10_000).padStart(4, '0')
    for (let n = 1; n <= 7; n += 1) await signIn(app, strange, wrong(n), 'Cheap pills at evil.org')
    expect(subjects(sink).filter((subject) => subject?.includes('Wrong PINs'))).toHaveLength(1)
    expect(sink.mails.map(({ raw }) => raw).join()).not.toMatch(/pills|evil/)
    await app.post('/v1/pins', { email: EMAIL, deviceId: first })
    await app.settled()
    const code = /(?:[A-Z2-7]{4}[ -]?){3}[A-Z2-7]{4}/.exec(sink.mails.at(-1)?.plain ?? '')?.[0] as string
    expect((await signIn(app, first, code)).status).toBe(201)
  })
})

describe('mails with PINs', () => {
  const LIMITED = {
    RATE_LIMIT: 'on',
    RATE_LIMITS: 'register=1000/1h,pins=1000/1h,mails-per-account=3/1h,mails-overall=5/1h',
  }
  const ask = async (app: TestApp, deviceId: string, email = EMAIL) => {
    const answer = await app.post('/v1/pins', { email, deviceId })
    await app.settled()
    return answer.status
  }

  it('come so often to one account within the hour, and the answer does not tell', async () => {
    const { app, sink } = await appWithSink(LIMITED)
    const statuses = []
    for (let n = 0; n < 5; n += 1) {
      statuses.push((await app.post('/v1/users', { name: 'Ada', email: EMAIL, deviceId: newDeviceId() })).status)
      await app.settled()
    }
    expect(statuses).toEqual(new Array(5).fill(202))
    expect(sink.mails).toHaveLength(3)
    app.clock.turn(HOUR)
    await pinFor(app, sink, newDeviceId())
    expect(sink.mails).toHaveLength(4)
  })

  it('come to a known device of the owner, however many a stranger asks for', async () => {
    const { app, sink } = await appWithSink(LIMITED)
    const own = newDeviceId()
    await signIn(app, own, await pinFor(app, sink, own))
    for (let n = 0; n < 10; n += 1) await ask(app, newDeviceId())
    const before = sink.mails.length
    await ask(app, own)
    expect(sink.mails).toHaveLength(before + 1)
    expect((await signIn(app, own, pinIn(sink.mails.at(-1) as SunkMail) as string)).status).toBe(201)
  })

  it('come to a known device, however many a lost one asks for that was known, too', async () => {
    const { app, sink } = await appWithSink({ ...LIMITED, RATE_LIMITS: `${LIMITED.RATE_LIMITS},mails-overall=100/1h` })
    const [own, lost] = [newDeviceId(), newDeviceId()]
    for (const deviceId of [own, lost]) await signIn(app, deviceId, await pinFor(app, sink, deviceId))
    for (let n = 0; n < 10; n += 1) await ask(app, lost)
    const before = sink.mails.length
    await ask(app, own)
    expect(sink.mails).toHaveLength(before + 1)
  })

  it('come to a new device, however many a single network asks for', async () => {
    const { app, sink } = await appWithSink({ RATE_LIMIT: 'on', TRUST_PROXY: '127.0.0.1' })
    const first = newDeviceId()
    await signIn(app, first, await pinFor(app, sink, first))
    app.clock.turn(HOUR)
    const from = (address: string) => ({ 'x-forwarded-for': address })
    for (let n = 0; n < 15; n += 1) {
      const stranger = { email: EMAIL, deviceId: newDeviceId() }
      await app.post('/v1/users', { name: 'Eve', ...stranger }, from('203.0.113.9'))
      await app.post('/v1/pins', stranger, from('203.0.113.9'))
    }
    await app.settled()
    const before = sink.mails.length
    await app.post('/v1/pins', { email: EMAIL, deviceId: newDeviceId() }, from('192.0.2.7'))
    await app.settled()
    expect(sink.mails).toHaveLength(before + 1)
  })

  it('that do not come leave the last one good that came', async () => {
    const { app, sink } = await appWithSink(LIMITED)
    const own = newDeviceId()
    await signIn(app, own, await pinFor(app, sink, own))
    for (let n = 0; n < 3; n += 1) await ask(app, own)
    const last = pinIn(sink.mails.at(-1) as SunkMail) as string
    const came = sink.mails.length
    for (let n = 0; n < 5; n += 1) await ask(app, own)
    expect(sink.mails).toHaveLength(came)
    expect((await signIn(app, own, last)).status).toBe(201)
  })

  it.each([
    ['to one account', { 'mails-per-account': 3, 'mails-overall': 1000 }],
    ['in all', { 'mails-per-account': 1000, 'mails-overall': 8 }],
  ])('that do not come any more, so often did they %s, do not tell who has an account', async (_which, most) => {
    const limits = Object.entries({ register: 1000, pins: 1000, 'sign-in': 1000, ...most })
    const amounts = limits.map(([name, max]) => `${name}=${max}/1h`).join()
    const outcomes = []
    for (const target of [EMAIL, 'nobody@example.org']) {
      const { app, sink } = await appWithSink({ RATE_LIMIT: 'on', RATE_LIMITS: amounts })
      const first = newDeviceId()
      await signIn(app, first, await pinFor(app, sink, first))
      const own = newDeviceId()
      await app.post('/v1/users', { name: 'Eve', email: 'eve@example.org', deviceId: own })
      await app.settled()
      const pin = pinIn(sink.mails.at(-1) as SunkMail) as string
      for (let n = 0; n < 7; n += 1) await ask(app, newDeviceId(), target)
      await ask(app, own, target)
      outcomes.push((await signIn(app, own, pin)).status)
    }
    // Eve's own PIN stays good either way, since no mail goes out any more that would replace it.
    expect(outcomes).toEqual([201, 201])
  })

  it('come so often in all, of which the operator hears without an address', async () => {
    const { app, sink } = await appWithSink(LIMITED)
    for (let n = 0; n < 8; n += 1) {
      await app.post('/v1/users', { name: 'Ada', email: `ada${n}@example.org`, deviceId: newDeviceId() })
      await app.settled()
    }
    expect(sink.mails).toHaveLength(5)
    const told = app.log.filter((line) => line.includes('mails-overall'))
    expect(told).toHaveLength(3)
    expect(told.join()).not.toContain('example.org')
  })
})
