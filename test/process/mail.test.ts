/** PINs by mail where it matters: a production server, TLS to a host that is not this one by its name, real certificates. */
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { certFile, mailSink, PATIENCE, pinIn, type SunkMail } from '../support/mail.ts'
import { serverProcess } from '../support/process.ts'

const production = { NODE_ENV: 'production', MAIL_FROM: 'vault@example.org' }
const ada = { name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' }

describe('a server in production', () => {
  it.each([
    ['smtp', 'STARTTLS'],
    ['smtps', 'TLS from the start'],
  ])('mails PINs over %s:// (%s) to a server whose certificate it can verify', async (scheme) => {
    const sink = await mailSink({
      ...(scheme === 'smtps' ? { secure: true } : { disabledCommands: [] }),
      authOptional: false,
      onAuth: ({ username, password }, _session, done) => done(null, { user: `${username} ${password}` }),
    })
    const SMTP_URL = `${scheme}://vault:secret@0.0.0.0:${sink.port}`
    const settings = { ...production, PIN_DELIVERY: 'email', SMTP_URL, NODE_EXTRA_CA_CERTS: certFile }
    const server = serverProcess(await temporaryFolder(), settings)
    expect((await server.post('/v1/users', ada)).status).toBe(202)
    await expect.poll(() => sink.mails, PATIENCE).toHaveLength(1)
    expect(sink.mails[0]).toMatchObject({ to: [ada.email], secure: true, user: 'vault secret' })
    const pin = pinIn(sink.mails[0] as SunkMail)
    expect((await server.post('/v1/sessions', { deviceId: ada.deviceId, pin })).status).toBe(201)
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(server.output()).not.toMatch(/ada@|secret/)
  })

  it.each([
    [{}, 'PIN_DELIVERY is response, and NODE_ENV is production: everyone who registers an address would see PINs'],
    [{ PIN_DELIVERY: 'console' }, 'PIN_DELIVERY is console, and NODE_ENV is production: everyone who reads the log'],
    [{ PIN_DELIVERY: 'email', MAIL_FROM: '' }, 'MAIL_FROM is missing, and PIN_DELIVERY=email needs it'],
  ])('does not start with %j', async (settings, message) => {
    const server = serverProcess(await temporaryFolder(), { ...production, ...settings })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain(message)
    expect(server.output()).not.toContain('made a master key')
  })

  it.each(['response', 'console'])('starts with PINs by %s where that is meant', async (PIN_DELIVERY) => {
    const settings = { ...production, PIN_DELIVERY, ALLOW_INSECURE_PIN_DELIVERY: 'yes' }
    const server = serverProcess(await temporaryFolder(), settings)
    expect((await server.request('/health/ready')).status).toBe(200)
    await expect.poll(server.output, PATIENCE).toContain(`not fit for production: PIN_DELIVERY=${PIN_DELIVERY}`)
  })
})
