import { describe, expect, it } from 'vitest'
import { newDeviceId, otherThan, temporaryFolder } from '../support/app.ts'
import type { Answer } from '../support/http.ts'
import { command, commandProcess, serverProcess } from '../support/process.ts'

const EMAIL = 'ada@example.org'

/** A server on which Ada has lost every device. */
async function withAda() {
  const folder = await temporaryFolder()
  const server = serverProcess(folder, { LOG_LEVEL: 'trace' })
  const lost = newDeviceId()
  const { pin } = (await server.post('/v1/users', { name: 'Ada', email: EMAIL, deviceId: lost })).body as {
    pin: string
  }
  const { userId } = (await server.post('/v1/sessions', { deviceId: lost, pin })).body as { userId: string }
  const deviceId = newDeviceId()
  const handOut = async (who = EMAIL, device = deviceId) => {
    const { code, report } = await command(folder, ['pin', who, device])
    return { code, report, pin: report.pin as string }
  }
  const signIn = (pin: string): Promise<Answer> => server.post('/v1/sessions', { deviceId, pin })
  return { folder, server, userId, deviceId, handOut, signIn }
}

describe('pin', () => {
  it('hands out a PIN that a running server accepts once, and that its user finds in the list', async () => {
    const { server, userId, deviceId, handOut, signIn } = await withAda()
    const { code, report, pin } = await handOut(EMAIL.toUpperCase())
    expect([code, report]).toEqual([
      0,
      { ok: true, deviceId, pin: expect.stringMatching(/^\d{4}$/), pinExpiresAt: expect.stringMatching(/^20.*Z$/) },
    ])
    const session = await signIn(pin)
    expect(session.body).toMatchObject({ userId, deviceId })
    expect(await signIn(pin)).toBeProblem(401, 'invalid-pin')

    const { token } = session.body as { token: string }
    const activity = await server.request('/v1/activity', { headers: { authorization: `Bearer ${token}` } })
    const { events } = activity.body as { events: object[] }
    expect(events).toContainEqual(
      expect.objectContaining({
        kind: 'pin-issued',
        deviceId,
        sessionId: null,
        address: '',
        userAgent: 'the operator of this server',
      }),
    )
  })

  it('takes the id of a user, and prints a line for a person', async () => {
    const { folder, userId, deviceId, signIn } = await withAda()
    const { code, stdout, stderr } = await commandProcess(folder, ['pin', userId, deviceId]).ended
    const [, pin = ''] = /^PIN (\d{4}) for device \S+, until 20\S+Z\n$/.exec(stdout) ?? []
    expect(code).toBe(0)
    expect(JSON.parse(stderr)).toEqual({
      level: 30,
      time: expect.any(Number),
      audit: 'pin-issued',
      user: userId,
      msg: 'audit',
    })
    expect((await signIn(pin)).status).toBe(201)
  })

  it('ends with 1 for a user who does not exist and for a device id that is none', async () => {
    const { handOut } = await withAda()
    expect(await handOut('eve@example.org')).toMatchObject({
      code: 1,
      report: { ok: false, error: 'there is no such user' },
    })
    expect(await handOut(EMAIL, 'short')).toMatchObject({
      code: 1,
      report: { ok: false, error: expect.stringContaining('8 to 128 characters') },
    })
    // An id may begin with a hyphen, and stays the first operand.
    expect(await handOut('-V1StGXR8_Z5jdHi6B-my', 'short')).toMatchObject({
      code: 1,
      report: { ok: false, error: expect.stringContaining('8 to 128 characters') },
    })
  })

  it('replaces the PIN that it handed out before', async () => {
    const { handOut, signIn } = await withAda()
    const first = await handOut()
    let second = await handOut()
    while (second.pin === first.pin) second = await handOut()
    expect(await signIn(first.pin)).toBeProblem(401, 'invalid-pin')
    expect((await signIn(second.pin)).status).toBe(201)
  })

  it('hands out a PIN that five wrong guesses void', async () => {
    const { handOut, signIn } = await withAda()
    const { pin } = await handOut()
    for (let n = 0; n < 5; n += 1) expect(await signIn(otherThan(pin))).toBeProblem(401, 'invalid-pin')
    expect(await signIn(pin)).toBeProblem(401, 'invalid-pin')
  })

  it('shows in no log', async () => {
    const { server, deviceId, handOut, signIn } = await withAda()
    const { pin } = await handOut()
    await signIn(otherThan(pin))
    expect((await signIn(pin)).status).toBe(201)
    expect(await server.stop('SIGTERM')).toBe(0)
    // What the log has of numbers by itself may be these four digits.
    const log = server.output().replace(/"(?:pid|time|ms|level)":[\d.]+/g, '')
    expect(log).toContain('"route":"/v1/sessions"')
    expect(log).not.toMatch(new RegExp(`\\b${pin}\\b`))
    expect(log).not.toContain(deviceId)
    expect(log).not.toContain(EMAIL)
  })
})
