/** Several users have PINs for one device: each opens the vault that it was made for. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { compose } from '../../src/compose/compose.ts'
import { rulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Session } from '../../src/ports/sign-in.ts'
import { Problem } from '../../src/problems.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { openOperatorsVault } from '../../src/vault/operator/operator.ts'
import { openVault } from '../../src/vault/vault.ts'
import { AT_ONCE, MINUTE, newDeviceId, otherThan, temporaryFolder, testClock } from '../support/app.ts'

const CALLER = { address: '192.0.2.1', userAgent: 'test', requestId: '' }

/** A vault whose next PINs are those of `drawn`, as long as there are any. */
async function vaultOfMany() {
  const home = await temporaryFolder()
  const clock = testClock()
  const drawn: string[] = []
  const chance = { ...cryptographicChance, pin: () => drawn.shift() ?? cryptographicChance.pin() }
  const config = readConfig({ DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') })
  const ports = await compose(config, pino({ level: 'silent' }), clock, chance)
  const vault = await openVault(ports, { ...rulesOf(config), asideMs: AT_ONCE })
  onTestFinished(() => vault.close())
  const operator = openOperatorsVault(ports, rulesOf(config))
  const signIn = (deviceId: string, pin: string) => vault.sessions.open({ deviceId, pin }, CALLER)

  return {
    vault,
    ports,
    drawn,
    clock,
    signIn,
    handOut: async (userId: string, deviceId: string) => (await operator.handOutPin(userId, deviceId))?.pin as string,
    async user() {
      const deviceId = newDeviceId()
      const email = `${randomBytes(6).toString('hex')}@example.org`
      const { pin } = (await vault.enrolment.register({ name: 'Ada', email, deviceId }, CALLER)) as { pin: string }
      const { token, userId } = await signIn(deviceId, pin)
      const session = (await vault.sessions.authenticate(token)) as Session
      const pair = async (device: string) => (await vault.enrolment.pair(session, device, CALLER)).pin
      const wrongPins = async () => {
        await vault.settled()
        const events = await vault.activity.list(session, { after: null, limit: 100 })
        return events.filter(({ kind }) => kind === 'wrong-pin').reduce((sum, { count }) => sum + count, 0)
      }
      return { userId, pair, wrongPins, end: () => vault.sessions.end(userId, session.id, CALLER) }
    },
  }
}

type Setup = Awaited<ReturnType<typeof vaultOfMany>>
type User = Awaited<ReturnType<Setup['user']>>

const ways: Record<string, (setup: Setup, user: User, deviceId: string) => Promise<string>> = {
  'a session': (_setup, user, deviceId) => user.pair(deviceId),
  'the operator': ({ handOut }, user, deviceId) => handOut(user.userId, deviceId),
}
const refused = (what: Promise<unknown>) => expect(what).rejects.toMatchObject({ code: 'invalid-pin' })

describe('a PIN for one device', () => {
  describe.each(Object.keys(ways))('that %s asked for', (owners) => {
    it.each(
      Object.keys(ways).flatMap((other) => [
        [other, 'before'],
        [other, 'after'],
      ]),
    )('opens its vault, also where %s asked for a stranger’s %s it', async (others, order) => {
      const setup = await vaultOfMany()
      const [owner, stranger] = [await setup.user(), await setup.user()]
      const deviceId = newDeviceId()
      const ask = {
        owner: () => ways[owners]?.(setup, owner, deviceId) as Promise<string>,
        stranger: () => ways[others]?.(setup, stranger, deviceId) as Promise<string>,
      }
      const early = order === 'before' ? await ask.stranger() : await ask.owner()
      setup.clock.turn(1)
      const late = order === 'before' ? await ask.owner() : await ask.stranger()
      const [ownersPin, strangersPin] = order === 'before' ? [late, early] : [early, late]
      expect((await setup.signIn(deviceId, strangersPin)).userId).toBe(stranger.userId)
      expect((await setup.signIn(deviceId, ownersPin)).userId).toBe(owner.userId)
      await refused(setup.signIn(deviceId, ownersPin))
    })
  })

  it('is like no other that is pending for it', async () => {
    const { user, vault, drawn, signIn } = await vaultOfMany()
    const [ada, ben, eve] = [await user(), await user(), await user()]
    const deviceId = newDeviceId()
    drawn.push('1111', '1111', '2222', '1111', '2222', '3333', '3333', '1111', '4444')
    expect([await ada.pair(deviceId), await ben.pair(deviceId), await eve.pair(deviceId)]).toEqual([
      '1111',
      '2222',
      '3333',
    ])
    const registered = await vault.enrolment.register({ name: 'Una', email: 'una@example.org', deviceId }, CALLER)
    expect(registered).toMatchObject({ pin: '4444' })
    expect((await signIn(deviceId, '2222')).userId).toBe(ben.userId)
    expect((await signIn(deviceId, '4444')).userId).toBe((registered as { userId: string }).userId)
  })

  it('is like no other, also where many are asked for at once', async () => {
    const { user, drawn } = await vaultOfMany()
    const users = await Promise.all(Array.from({ length: 6 }, user))
    const deviceId = newDeviceId()
    drawn.push(...Array(20).fill('1111'))
    const pins = await Promise.all(users.map(({ pair }) => pair(deviceId)))
    expect(new Set(pins).size).toBe(6)
  })

  it('may be like the operator’s for another user: then it opens nothing, and the guess is counted for both', async () => {
    const { user, handOut, drawn, signIn } = await vaultOfMany()
    const [ada, ben, eve] = [await user(), await user(), await user()]
    const deviceId = newDeviceId()
    drawn.push('1111', '1111', '2222')
    await ada.pair(deviceId)
    await handOut(ben.userId, deviceId)
    await eve.pair(deviceId)
    await refused(signIn(deviceId, '1111'))
    expect([await ada.wrongPins(), await ben.wrongPins(), await eve.wrongPins()]).toEqual([1, 1, 0])
    drawn.push('3333')
    await handOut(ben.userId, deviceId)
    expect((await signIn(deviceId, '1111')).userId).toBe(ada.userId)
    expect((await signIn(deviceId, '3333')).userId).toBe(ben.userId)
  })

  it('is replaced by the latest for the same user, whoever asked for it', async () => {
    const { user, handOut, drawn, signIn, clock } = await vaultOfMany()
    const [ada, ben] = [await user(), await user()]
    const deviceId = newDeviceId()
    drawn.push('1111', '2222', '3333', '4444')
    await ada.pair(deviceId)
    await ben.pair(deviceId)
    clock.turn(1)
    await handOut(ada.userId, deviceId)
    await refused(signIn(deviceId, '1111'))
    clock.turn(1)
    await ada.pair(deviceId)
    await refused(signIn(deviceId, '3333'))
    expect((await signIn(deviceId, '4444')).userId).toBe(ada.userId)
    expect((await signIn(deviceId, '2222')).userId).toBe(ben.userId)
  })

  it('bears as many wrong guesses as it did alone', async () => {
    const { user, signIn } = await vaultOfMany()
    const [ada, ben] = [await user(), await user()]
    const deviceId = newDeviceId()
    const [adas, bens] = [await ada.pair(deviceId), await ben.pair(deviceId)]
    const wrong = [otherThan(adas), otherThan(otherThan(adas))].find((pin) => pin !== bens) as string
    for (let n = 0; n < 4; n += 1) await refused(signIn(deviceId, wrong))
    expect((await signIn(deviceId, adas)).userId).toBe(ada.userId)
    await refused(signIn(deviceId, bens))
  })

  it('is refused to a seventeenth user until one is over, never to the operator, and nobody loses one', async () => {
    const { user, handOut, signIn, clock, drawn } = await vaultOfMany()
    const users = await Promise.all(Array.from({ length: 17 }, user))
    const [first, last] = [users[0] as User, users[16] as User]
    const deviceId = newDeviceId()
    const pin = await first.pair(deviceId)
    clock.turn(MINUTE)
    for (const { pair } of users.slice(1, 16)) await pair(deviceId)
    const refusal = await last.pair(deviceId).catch((error: unknown) => error as Problem)
    expect(refusal).toBeInstanceOf(Problem)
    expect(refusal).toMatchObject({ code: 'too-many-requests', headers: { 'retry-after': String(4 * 60) } })
    drawn.push('9999', '8888')
    const handed = await handOut(last.userId, deviceId)
    if (handed !== pin) expect((await signIn(deviceId, pin)).userId).toBe(first.userId)
    await last.pair(deviceId)
  })
})

describe('a wrong guess', () => {
  it('is told to each user who has a PIN there, and to no other', async () => {
    const { user, handOut, signIn } = await vaultOfMany()
    const [ada, ben, cleo, eve] = [await user(), await user(), await user(), await user()]
    const [deviceId, other] = [newDeviceId(), newDeviceId()]
    const pins = [await ada.pair(deviceId), await handOut(ben.userId, deviceId)]
    await eve.pair(other)
    const used = await cleo.pair(deviceId)
    await signIn(deviceId, used)
    const wrong = ['0000', '0001', '0002'].find((pin) => !pins.includes(pin)) as string
    await refused(signIn(deviceId, wrong))
    const told = await Promise.all([ada, ben, cleo, eve].map(({ wrongPins }) => wrongPins()))
    expect(told).toEqual([1, 1, 0, 0])
  })

  it('that is the PIN of one user, which opens nothing any more, is told to that user alone', async () => {
    const { user, signIn } = await vaultOfMany()
    const [ada, ben] = [await user(), await user()]
    const deviceId = newDeviceId()
    const pin = await ada.pair(deviceId)
    await ben.pair(deviceId)
    await ada.end()
    await refused(signIn(deviceId, pin))
    expect([await ada.wrongPins(), await ben.wrongPins()]).toEqual([1, 0])
  })

  it('of sixteen characters was not meant for a PIN', async () => {
    const { user, signIn } = await vaultOfMany()
    const ada = await user()
    const deviceId = newDeviceId()
    await ada.pair(deviceId)
    await refused(signIn(deviceId, 'A'.repeat(16)))
    expect(await ada.wrongPins()).toBe(0)
  })

  it('of sixteen characters voids no PIN, neither of a session nor of the operator', async () => {
    const { user, handOut, signIn } = await vaultOfMany()
    const [ada, ben] = [await user(), await user()]
    const deviceId = newDeviceId()
    const pins = [await ada.pair(deviceId), await handOut(ben.userId, deviceId)] as const
    for (let n = 0; n < 6; n += 1) await refused(signIn(deviceId, 'A'.repeat(16)))
    // The operator's PIN may be the same digits. Then neither opens anything.
    if (pins[0] === pins[1]) return
    expect((await signIn(deviceId, pins[0])).userId).toBe(ada.userId)
    expect((await signIn(deviceId, pins[1])).userId).toBe(ben.userId)
  })

  it.each(['', '123', '12345', 'A'.repeat(15), '1'.repeat(16)])(
    'of another form, %j, counts as one at a PIN',
    async (text) => {
      const { user, signIn } = await vaultOfMany()
      const ada = await user()
      const deviceId = newDeviceId()
      const pin = await ada.pair(deviceId)
      for (let n = 0; n < 5; n += 1) await refused(signIn(deviceId, text))
      await refused(signIn(deviceId, pin))
      expect(await ada.wrongPins()).toBeGreaterThan(0)
    },
  )
})
