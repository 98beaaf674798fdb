/** Ten years of the best that somebody can do who knows an address, at a turned clock. */
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { compose } from '../../src/compose/compose.ts'
import { rulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import type { Ports } from '../../src/ports/ports.ts'
import type { PinLetter } from '../../src/ports/sign-in.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { openVault } from '../../src/vault/vault.ts'
import { AT_ONCE, DAY, MINUTE, newDeviceId, temporaryFolder, testClock } from '../support/app.ts'

const TEN_YEARS = 3653 * DAY
const WEEK = 7 * DAY
const EMAIL = 'ada@example.org'
const OWNER = { address: '192.0.2.1', userAgent: 'owner', requestId: '' }
const STRANGER = { address: '192.0.2.66', userAgent: 'stranger', requestId: '' }

/** A vault whose letters are collected, and that can be restarted. */
async function vaultWithMail() {
  const home = await temporaryFolder()
  const clock = testClock()
  // As many tries for each PIN as can be set: the pauses alone have to hold.
  const config = readConfig({
    DATA_DIR: join(home, 'data'),
    UPLOADS_DIR: join(home, 'uploads'),
    PIN_DELIVERY: 'console',
    PIN_MAX_ATTEMPTS: '10',
  })
  const letters: PinLetter[] = []
  let compared = 0
  const open = async () => {
    const ports: Ports = await compose(config, pino({ level: 'silent' }), clock, cryptographicChance)
    ports.delivery = { mode: 'console', deliver: async (letter) => void letters.push(letter), notify: async () => {} }
    const { count } = ports.pinLedger
    ports.pinLedger.count = async (guess) => {
      const answer = await count(guess)
      if (answer.counted.as === 'counted') compared += 1
      return answer
    }
    return openVault(ports, { ...rulesOf(config), asideMs: AT_ONCE })
  }
  let vault = await open()
  onTestFinished(() => vault.close())

  return {
    clock,
    compared: () => compared,
    async restart() {
      await vault.close()
      vault = await open()
    },
    async letterFor(deviceId: string, caller = OWNER): Promise<PinLetter> {
      await vault.enrolment.register({ name: 'Ada', email: EMAIL, deviceId }, caller)
      await vault.settled()
      return letters.at(-1) as PinLetter
    },
    signIn: (deviceId: string, pin: string, caller = OWNER) => vault.sessions.open({ deviceId, pin }, caller),
    remove: (userId: string) => vault.account.remove(userId, OWNER),
  }
}

it('leaves whoever guesses for ten years 95 guesses, and the owner is never locked out', {
  timeout: 120_000,
}, async () => {
  const vault = await vaultWithMail()
  const begun = vault.clock()
  const elapsed = () => vault.clock() - begun
  let ownersPins = 0
  let round = 0

  async function ownerSignsIn() {
    const deviceId = newDeviceId()
    const { secret, kind } = await vault.letterFor(deviceId)
    const { userId } = await vault.signIn(deviceId, secret)
    if (kind === 'pin') ownersPins += 1
    return userId
  }

  /** A PIN for a device of the stranger's own, and at once more wrong guesses than anybody is given; in a pause, none that counts. */
  async function strangerGuesses() {
    const deviceId = newDeviceId()
    const { secret, kind } = await vault.letterFor(deviceId, STRANGER)
    if (kind === 'code') throw new Error('the stranger came too early')
    const wrong = Array.from({ length: 10 }, (_, n) => String((Number(secret) + 1 + n) % 10_000).padStart(4, '0'))
    const answers = await Promise.allSettled(wrong.map((pin) => vault.signIn(deviceId, pin, STRANGER)))
    expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual([])
  }

  let userId = await ownerSignsIn()
  let pauseMs = 15 * MINUTE
  for (let nextVisit = WEEK, nextTry = 0; elapsed() < TEN_YEARS; ) {
    vault.clock.turn(Math.min(nextVisit, nextTry) - elapsed())
    if (elapsed() === nextTry) {
      await strangerGuesses()
      nextTry += pauseMs
      pauseMs *= 2
    }
    if (elapsed() < nextVisit) continue
    nextVisit += WEEK
    userId = await ownerSignsIn()
    round += 1
    // None of what could make the vault forget makes it forget.
    if (round % 100 === 50) await vault.restart()
    if (round % 200 === 0) await vault.remove(userId)
  }

  const strangers = vault.compared() - ownersPins
  expect(strangers).toBe(95)
  expect(1 - (1 - 1 / 10_000) ** strangers).toBeLessThan(0.01)
  // The owner came in pauses, too.
  expect(ownersPins).toBeLessThan(round)
})
