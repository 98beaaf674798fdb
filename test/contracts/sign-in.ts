/** The contract of every database for guesses, PINs from the operator, devices, and the activity list. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Fold, Keep } from '../../src/ports/accounts.ts'
import type { PendingPin } from '../../src/ports/sign-in.ts'
import {
  BOUNDS,
  EACH,
  forNewUser,
  forUser,
  newEvent,
  newSession,
  opened,
  type Repositories,
  random,
  T,
} from './rows.ts'

const MINUTE = 60_000
const RULE = { every: 5, firstPauseMs: 15 * MINUTE }

/** The event is counted with an earlier one. */
const folded = (since: number, fold: Partial<Fold> = {}): Keep => ({
  ...EACH,
  fold: { since, mostAddresses: 9, file: 'any', ...fold },
})

export function signInContract(name: string, make: () => Promise<Repositories>) {
  async function counting() {
    const { pinLedger, ...others } = await make()
    const address = randomBytes(32)
    const guess = async (
      at = T,
      at2: Buffer | null = address,
      deviceId = 'device-1',
      kind: PendingPin['kind'] = 'pin',
    ) => pinLedger.count({ deviceId, kind, address: at2, at, maxAttempts: 5, rule: RULE })
    const wrong = async (times: number, at = T) => {
      for (let n = 0; n < times; n += 1) await guess(at)
    }
    return { ...others, pinLedger, address, guess, wrong }
  }

  function handedOut(userId: string, fields: Partial<PendingPin> = {}) {
    const grant = { kind: 'user' as const, userId, vouchedBy: null }
    const fixed = { origin: 'vouched' as const, kind: 'pin' as const, address: null }
    return {
      id: random(),
      deviceId: 'device-1',
      ...fixed,
      digest: randomBytes(32),
      expiresAt: T + MINUTE,
      ...fields,
      grant,
    }
  }

  describe(`${name} counts guesses`, () => {
    it('pauses the PINs of an address with the fifth, and no other address', async () => {
      const { pinLedger, address, guess } = await counting()
      const answers = []
      for (let n = 0; n < 6; n += 1) answers.push((await guess()).counted)
      const calm = { as: 'counted', pauses: false }
      expect(answers).toEqual([calm, calm, calm, calm, { as: 'counted', pauses: true }, { as: 'paused' }])
      expect(await pinLedger.isPaused(address, T)).toBe(true)
      expect(await pinLedger.isPaused(randomBytes(32), T)).toBe(false)
    })

    it('doubles the pause each time', async () => {
      const { pinLedger, address, wrong } = await counting()
      let at = T
      for (const minutes of [15, 30, 60, 120, 240]) {
        await wrong(5, at)
        expect(await pinLedger.isPaused(address, at + minutes * MINUTE - 1)).toBe(true)
        expect(await pinLedger.isPaused(address, at + minutes * MINUTE)).toBe(false)
        at += minutes * MINUTE
      }
    })

    it('counts none while there is a pause', async () => {
      const { guess, wrong } = await counting()
      await wrong(50)
      const after = []
      for (let n = 0; n < 5; n += 1) after.push((await guess(T + 15 * MINUTE)).counted)
      expect(after.at(-1)).toEqual({ as: 'counted', pauses: true })
      expect(after.slice(0, 4)).toEqual(new Array(4).fill({ as: 'counted', pauses: false }))
    })

    it('lets five of many that race be compared', async () => {
      const { guess } = await counting()
      const answers = await Promise.all(Array.from({ length: 50 }, () => guess()))
      expect(answers.filter(({ counted }) => counted.as === 'counted')).toHaveLength(5)
    })

    it('counts a guess without an address at nobody, however many there are', async () => {
      const { guess } = await counting()
      for (let n = 0; n < 20; n += 1) expect((await guess(T, null)).counted).toEqual({ as: 'nobody' })
    })

    it('notes nothing, again and again, and nobody is paused for it', async () => {
      const { pinLedger, address, guess } = await counting()
      for (let n = 0; n < 6; n += 1) await pinLedger.noteNothing(T + n)
      expect((await guess(T, null)).counted).toEqual({ as: 'nobody' })
      expect(await pinLedger.isPaused(address, T)).toBe(false)
    })

    it('gives a right guess back with the session that it opens', async () => {
      const { sessions, address, guess, wrong } = await counting()
      const { user } = await opened(sessions)
      await wrong(3)
      await guess()
      await sessions.redeem(forUser(user.id, { givenBack: { address, every: 5 } }))
      expect((await guess()).counted).toEqual({ as: 'counted', pauses: false })
      expect((await guess()).counted).toEqual({ as: 'counted', pauses: true })
    })

    it('ends the pause that a right guess brought', async () => {
      const { sessions, pinLedger, address, wrong } = await counting()
      const { user } = await opened(sessions)
      await wrong(5)
      await sessions.redeem(forUser(user.id, { givenBack: { address, every: 5 } }))
      expect(await pinLedger.isPaused(address, T)).toBe(false)
    })

    it('gives nothing back for a session that is not opened', async () => {
      const { sessions, pinLedger, address, wrong } = await counting()
      await wrong(5)
      expect(await sessions.redeem(forUser('nobody', { givenBack: { address, every: 5 } }))).toBe('gone')
      expect(await pinLedger.isPaused(address, T)).toBe(true)
    })

    it('remembers an address when its user is removed', async () => {
      const { users, sessions, pinLedger, address, wrong } = await counting()
      const { user } = await opened(sessions)
      await wrong(5)
      await users.remove(user.id)
      await users.forget(user.id)
      expect(await pinLedger.isPaused(address, T)).toBe(true)
    })
  })

  describe(`${name} keeps PINs that were handed out`, () => {
    it('answers one to so many guesses on its device and no more', async () => {
      const { sessions, pinLedger, guess } = await counting()
      const pin = handedOut((await opened(sessions)).user.id)
      await pinLedger.handOut(pin)
      expect((await guess(T, null, 'device-2')).handedOut).toEqual([])
      expect((await guess(T, null)).handedOut).toEqual([pin])
      const answers = await Promise.all(Array.from({ length: 20 }, () => guess(T, null)))
      expect(answers.filter(({ handedOut }) => handedOut.length === 1)).toHaveLength(4)
    })

    it('counts a guess at a code against none, and answers none to it', async () => {
      const { sessions, pinLedger, guess } = await counting()
      const pin = handedOut((await opened(sessions)).user.id)
      await pinLedger.handOut(pin)
      for (let n = 0; n < 6; n += 1) {
        expect(await guess(T, null, 'device-1', 'code')).toEqual({ counted: { as: 'nobody' }, handedOut: [] })
      }
      for (let n = 0; n < 5; n += 1) expect((await guess(T, null)).handedOut).toEqual([pin])
      expect((await guess(T, null)).handedOut).toEqual([])
    })

    it('answers none that is over, was replaced, or has opened a session', async () => {
      const { sessions, pinLedger, guess } = await counting()
      const { user } = await opened(sessions)
      const [first, second] = [handedOut(user.id), handedOut(user.id)]
      await pinLedger.handOut(first)
      await pinLedger.handOut(second)
      expect((await guess(T, null)).handedOut).toEqual([second])
      expect((await guess(second.expiresAt, null)).handedOut).toEqual([])
      await sessions.redeem(forUser(user.id, { pinId: second.id, session: newSession('device-1') }))
      expect((await guess(T, null)).handedOut).toEqual([])
    })

    it('keeps one for each user, and a sign-in takes away the user’s own alone', async () => {
      const { sessions, pinLedger, guess } = await counting()
      const [ada, ben] = [(await opened(sessions)).user, (await opened(sessions)).user]
      const [first, bens, adas] = [handedOut(ada.id), handedOut(ben.id), handedOut(ada.id)]
      for (const pin of [first, bens, adas]) await pinLedger.handOut(pin)
      const seen = (await guess(T, null)).handedOut
      expect(seen).toHaveLength(2)
      expect(new Set(seen)).toEqual(new Set([adas, bens]))
      await sessions.redeem(forUser(ben.id, { pinId: bens.id, session: newSession('device-1') }))
      expect((await guess(T, null)).handedOut).toEqual([adas])
    })

    it('hands none out for nobody, and forgets those that are over', async () => {
      const { sessions, pinLedger, guess } = await counting()
      await pinLedger.handOut(handedOut('nobody'))
      expect((await guess(T, null)).handedOut).toEqual([])
      const pin = handedOut((await opened(sessions)).user.id)
      await pinLedger.handOut(pin)
      await pinLedger.forget(pin.expiresAt)
      expect((await guess(T, null)).handedOut).toEqual([])
    })
  })

  describe(`${name} knows devices`, () => {
    it('tells a device on which the user signs in for the first time', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      const again = forUser(user.id, { session: newSession(session.deviceId) })
      expect(await sessions.redeem(again)).toEqual({ newDevice: false })
      expect(await sessions.redeem(forUser(user.id))).toEqual({ newDevice: true })
      expect(await sessions.knowsDevice(user.id, session.deviceId)).toBe(true)
      expect(await sessions.knowsDevice('somebody-else', session.deviceId)).toBe(false)
    })

    it('remembers a device whose session was forgotten', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      await sessions.end(user.id, session.id, T)
      await sessions.forget(T + 1, T + 1, T + 1)
      expect(await sessions.knowsDevice(user.id, session.deviceId)).toBe(true)
    })

    it('opens nothing for a PIN whose session is over', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      const vouched = { user: { id: user.id, vouchedBy: session.id } }
      expect(await sessions.redeem(forUser(user.id, vouched))).toEqual({ newDevice: true })
      await sessions.end(user.id, session.id, T)
      expect(await sessions.redeem(forUser(user.id, vouched))).toBe('gone')
    })

    it('ends the session that was unused for longest, where there would be too many', async () => {
      const { sessions } = await make()
      const { user, session: first } = await opened(sessions)
      const stranger = await opened(sessions)
      const bounds = { ...BOUNDS, sessions: 3 }
      const signIn = async (at: number, deviceId?: string) => {
        const session = { ...newSession(deviceId), createdAt: at }
        await sessions.redeem(forUser(user.id, { session, bounds }))
        return session
      }
      const [second, third] = [await signIn(T + 1), await signIn(T + 2)]
      await sessions.touch(user.id, first.id, T + 9)
      const ids = async () => (await sessions.list(user.id)).map(({ id }) => id)
      expect(await ids()).toEqual([third.id, second.id, first.id])
      const fourth = await signIn(T + 3)
      expect(await ids()).toEqual([fourth.id, third.id, first.id])
      expect(await sessions.findByTokenHash(second.tokenHash)).toBeNull()
      const again = await signIn(T + 4, third.deviceId)
      expect(await ids()).toEqual([again.id, fourth.id, first.id])
      expect(await sessions.list(stranger.user.id)).toHaveLength(1)
    })

    it('forgets the device that signed in longest ago and has no session, where there would be too many', async () => {
      const { sessions } = await make()
      const { user, session: signedIn } = await opened(sessions)
      const bounds = { ...BOUNDS, devices: 3 }
      const signIn = async (at: number, deviceId?: string) => {
        const session = { ...newSession(deviceId), createdAt: at }
        await sessions.redeem(forUser(user.id, { session, bounds }))
        return session
      }
      const [a, b] = [await signIn(T + 1), await signIn(T + 2)]
      await sessions.end(user.id, b.id, T + 3)
      await signIn(T + 4, a.deviceId)
      await sessions.endOthers(user.id, signedIn.id, T + 5)
      await signIn(T + 6)
      const known = (devices: { deviceId: string }[]) =>
        Promise.all(devices.map(({ deviceId }) => sessions.knowsDevice(user.id, deviceId)))
      expect(await known([signedIn, a, b])).toEqual([true, true, false])
    })

    it('names a device as its latest sign-in with a name does, for its user alone', async () => {
      const { users, sessions } = await make()
      const named = (deviceName: string | null, deviceId?: string) => ({ ...newSession(deviceId), deviceName })
      const { user, session: first } = await opened(sessions)
      const { deviceId } = first
      const stranger = forNewUser({}, deviceId)
      await sessions.redeem({ ...stranger, session: named('Ben’s phone', deviceId) })
      const namesOf = async (owner: string) => (await sessions.list(owner)).map(({ deviceName }) => deviceName)
      const signIn = async (deviceName: string | null) => {
        await sessions.redeem(forUser(user.id, { session: named(deviceName, deviceId) }))
        return namesOf(user.id)
      }
      expect(await namesOf(user.id)).toEqual([null])
      expect(await signIn('Ada’s phone 📱')).toEqual(['Ada’s phone 📱'])
      expect(await signIn(null)).toEqual(['Ada’s phone 📱'])
      expect(await signIn('Ada’s old phone')).toEqual(['Ada’s old phone'])
      await sessions.redeem(forUser(user.id, { session: { ...named('Tablet'), createdAt: T + 1 } }))
      expect(await namesOf(user.id)).toEqual(['Tablet', 'Ada’s old phone'])
      expect(await namesOf(stranger.user.id)).toEqual(['Ben’s phone'])
      await users.remove(user.id)
      expect(await namesOf(stranger.user.id)).toEqual(['Ben’s phone'])
    })

    it('names no device with a sign-in that fails', async () => {
      const { sessions } = await make()
      const { user, pinId, session } = await opened(sessions)
      const again = { ...newSession(session.deviceId), deviceName: 'Mallory’s phone' }
      expect(await sessions.redeem(forUser(user.id, { pinId, session: again }))).toBe('spent')
      expect((await sessions.list(user.id)).map(({ deviceName }) => deviceName)).toEqual([null])
    })

    it('lists the sessions that were not ended, and ends all others', async () => {
      const { sessions } = await make()
      const { user, session } = await opened(sessions)
      const second = forUser(user.id, { session: { ...newSession(), createdAt: T + 1 } })
      await sessions.redeem(second)
      const stranger = await opened(sessions)
      const ids = async () => (await sessions.list(user.id)).map(({ id }) => id)
      expect(await ids()).toEqual([second.session.id, session.id])
      expect((await sessions.endOthers(user.id, second.session.id, T)).map(({ id }) => id)).toEqual([session.id])
      expect(await ids()).toEqual([second.session.id])
      expect(await sessions.list(stranger.user.id)).toHaveLength(1)
    })
  })

  describe(`${name} keeps what happened`, () => {
    const all = { since: 0, after: null, limit: 100 }

    it('notes the sign-in with its session, as that of a new device where it is one', async () => {
      const { sessions, activity } = await make()
      const { user, session, event } = await opened(sessions)
      const again = forUser(user.id, { session: newSession(session.deviceId), event: newEvent({ at: T + 1 }) })
      await sessions.redeem(again)
      expect(await activity.list(user.id, all)).toEqual([
        { ...again.event, count: 1, deviceName: null },
        { ...event, kind: 'new-device', count: 1, deviceName: null },
      ])
    })

    it('shows the present name of each device on which the user has signed in', async () => {
      const { sessions, activity } = await make()
      const { user, session: first } = await opened(sessions)
      const { deviceId } = first
      const tablet = { ...newSession(), deviceName: 'Tablet' }
      const phone = { ...newSession(deviceId), deviceName: 'Phone' }
      for (const session of [tablet, phone]) {
        await sessions.redeem(forUser(user.id, { session, event: newEvent({ deviceId: session.deviceId }) }))
      }
      const unknown = newEvent({ kind: 'wrong-pin', deviceId: 'unknown', at: T + 1 })
      for (const event of [unknown, newEvent({ deviceId, at: T + 2 })]) await activity.note(user.id, event, EACH)
      const stranger = await opened(sessions)
      await activity.note(stranger.user.id, newEvent({ deviceId, at: T + 2 }), EACH)
      const namesOf = async (owner: string, since: number) =>
        (await activity.list(owner, { ...all, since })).map(({ deviceName }) => deviceName)
      expect((await namesOf(user.id, 0)).sort()).toEqual(['Phone', 'Phone', 'Tablet', null, null])
      expect(await namesOf(user.id, T)).toEqual(['Phone', null])
      expect(await namesOf(stranger.user.id, 0)).toEqual([null, null])
    })

    it('notes no sign-in that fails', async () => {
      const { sessions, activity } = await make()
      const first = await opened(sessions)
      await sessions.redeem(forNewUser({ email: first.user.email }))
      await sessions.redeem(forUser(first.user.id, { pinId: first.pinId }))
      expect(await activity.list(first.user.id, all)).toHaveLength(1)
    })

    it('pages through it, the last first, ties broken by id', async () => {
      const { sessions, activity } = await make()
      const { user, event } = await opened(sessions)
      const events = ['a', 'b', 'c', 'd'].map((id) => newEvent({ id, at: T + (id < 'c' ? 1 : 2) }))
      for (const one of events) await activity.note(user.id, one, EACH)
      const first = await activity.list(user.id, { ...all, limit: 3 })
      const last = first.at(-1)
      const rest = await activity.list(user.id, { ...all, after: last ? { at: last.at, id: last.id } : null })
      expect([...first, ...rest].map(({ id }) => id)).toEqual(['d', 'c', 'b', 'a', event.id])
      expect(await activity.list(user.id, { ...all, since: T + 1 })).toHaveLength(2)
    })

    it('counts what is alike in one, for a while', async () => {
      const { sessions, activity } = await make()
      const { user } = await opened(sessions)
      const wrong = (fields: object = {}) => newEvent({ kind: 'wrong-pin', deviceId: 'd', at: T + 1, ...fields })
      await Promise.all([1, 2, 3].map(() => activity.note(user.id, wrong(), folded(T))))
      await activity.note(user.id, wrong({ address: '192.0.2.2' }), folded(T))
      await activity.note(user.id, wrong({ deviceId: 'e' }), folded(T))
      await activity.note(user.id, wrong({ at: T + 9 }), folded(T + 2))
      const counts = (await activity.list(user.id, { ...all, since: T })).map(({ at, count }) => [at, count])
      expect(counts[0]).toEqual([T + 9, 1])
      expect(counts.slice(1).sort()).toEqual([
        [T + 1, 1],
        [T + 1, 1],
        [T + 1, 3],
      ])
    })

    it('counts further addresses with the last of so many', async () => {
      const { sessions, activity } = await make()
      const { user } = await opened(sessions)
      const from = (address: string, fields: object = {}) =>
        activity.note(
          user.id,
          newEvent({ kind: 'wrong-pin', deviceId: 'd', at: T + 1, address, ...fields }),
          folded(T, { mostAddresses: 2 }),
        )
      await from('a')
      await from('b', { at: T + 2 })
      for (const address of ['c', 'd', 'a']) await from(address, { at: T + 3 })
      await from('c', { at: T + 4, deviceId: 'e' })
      const listed = (await activity.list(user.id, { ...all, since: T })).map(({ address, count }) => [address, count])
      expect(listed).toEqual([
        ['c', 1],
        ['b', 3],
        ['a', 2],
      ])
    })

    it('counts what befell several files, and names the last session and file', async () => {
      const { sessions, activity } = await make()
      const { user } = await opened(sessions)
      const noted = (file: 'same' | 'any', fields: object) =>
        activity.note(user.id, newEvent({ kind: 'file-purged', at: T + 1, ...fields }), folded(T, { file }))
      await noted('any', { fileId: 'a', sessionId: '1' })
      await noted('any', { fileId: null, sessionId: '2' })
      await noted('any', { fileId: 'b', sessionId: '3' })
      await noted('any', { fileId: null, sessionId: '4' })
      await noted('same', { fileId: 'c', sessionId: '5' })
      await noted('same', { fileId: 'b', sessionId: '6' })
      const listed = await activity.list(user.id, { ...all, since: T })
      expect(listed.map(({ fileId, sessionId, count }) => [fileId, sessionId, count]).sort()).toEqual([
        [null, '4', 2],
        ['b', '6', 3],
        ['c', '5', 1],
      ])
    })

    it('keeps so many of each class, the last ones, whatever becomes of the others', async () => {
      const { sessions, activity } = await make()
      const [ana, ben] = [(await opened(sessions)).user.id, (await opened(sessions)).user.id]
      const noted = (owner: string, id: string, keep: Partial<Keep>, fields: object = {}) =>
        activity.note(owner, newEvent({ id, at: T + 1, ...fields }), { ...EACH, most: 3, ...keep })
      const idsOf = async (owner: string) =>
        (await activity.list(owner, { ...all, since: T })).map(({ id }) => id).sort()
      await noted(ana, 's1', { class: 'security' })
      for (let n = 1; n <= 5; n += 1) await noted(ana, `r${n}`, {})
      await noted(ben, 'r1', {})
      expect(await idsOf(ana)).toEqual(['r3', 'r4', 'r5', 's1'])
      // A counted event evicts no entry, and expired entries make no room for others.
      await noted(ana, 'r6', { fold: { since: T, mostAddresses: 9, file: 'any' } })
      await noted(ana, 'r7', {}, { at: T + 2 })
      expect(await idsOf(ana)).toEqual(['r4', 'r5', 'r7', 's1'])
      await activity.expire(T + 1, 100)
      for (const id of ['s2', 's3', 's4', 's5']) await noted(ana, id, { class: 'security' })
      expect(await idsOf(ana)).toEqual(['r7', 's3', 's4', 's5'])
      expect(await idsOf(ben)).toEqual([])
    })

    it('keeps so many of those that come at once', async () => {
      const { sessions, activity } = await make()
      const { user } = await opened(sessions)
      const all20 = Array.from({ length: 20 }, () => activity.note(user.id, newEvent(), { ...EACH, most: 4 }))
      await Promise.all(all20)
      expect((await activity.list(user.id, all)).filter(({ kind }) => kind === 'sign-in')).toHaveLength(4)
    })

    it('counts sign-ins on a device that is known, and bounds those of new ones', async () => {
      const { sessions, activity } = await make()
      const { user, session } = await opened(sessions)
      const bounds = { ...BOUNDS, newDevice: { ...BOUNDS.newDevice, most: 2 }, signIn: folded(T) }
      const signIn = (deviceId?: string) =>
        sessions.redeem(forUser(user.id, { session: newSession(deviceId), event: newEvent({ deviceId: 'd' }), bounds }))
      for (let n = 0; n < 3; n += 1) await signIn(session.deviceId)
      for (let n = 0; n < 3; n += 1) await signIn()
      const listed = (await activity.list(user.id, all)).map(({ kind, count }) => `${kind} ${count}`)
      expect(listed.sort()).toEqual(['new-device 1', 'new-device 1', 'sign-in 3'])
    })

    it('keeps it for the owner, as long as there is one', async () => {
      const { users, sessions, activity } = await make()
      const [ana, ben] = [(await opened(sessions)).user.id, (await opened(sessions)).user.id]
      await activity.note(ana, newEvent(), EACH)
      expect(await activity.list(ben, all)).toHaveLength(1)
      await users.remove(ana)
      await activity.note(ana, newEvent(), EACH)
      await activity.note(ana, newEvent(), folded(0))
      expect(await activity.list(ana, all)).toEqual([])
    })

    it('forgets what is old, so many at a time', async () => {
      const { sessions, activity } = await make()
      const { user } = await opened(sessions)
      for (let n = 1; n <= 3; n += 1) await activity.note(user.id, newEvent({ at: T + n }), EACH)
      expect(await activity.expire(T + 2, 2)).toBe(2)
      expect(await activity.expire(T + 2, 2)).toBe(1)
      expect((await activity.list(user.id, all)).map(({ at }) => at)).toEqual([T + 3])
    })
  })
}
