/**
 * A user with one phone. The phone does one thing after the other, and keeps a model of what was acknowledged. After a request
 * whose response was lost, the vault has the state before it or the one after it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { VaultError } from '../../clients/typescript/src/errors.ts'
import { createClient, memoryToken } from '../../clients/typescript/src/node.ts'
import type { FaultyProxy } from '../support/faulty-proxy.ts'
import { type Act, type Hands, someAct, type Told } from './acts.ts'
import { type Clock, DAY_MS } from './clock.ts'
import type { Journal } from './journal.ts'
import { follower, LOOKS, type Look } from './looks.ts'
import { countingFetch, isOfNetwork, overBadLine, statusOf } from './network.ts'
import { deviceIdOf, nightsOf } from './nights.ts'
import type { Outages } from './outages.ts'
import type { Random } from './random.ts'
import { rawRequests } from './raw.ts'
import { MARKS, SESSION_MAX_DAYS, SESSION_TTL_DAYS } from './settings.ts'
import { adopted, differenceOf, everythingOf, type State, sha256 } from './state.ts'

export interface World {
  journal: Journal
  outages: Outages
  clock: Clock
  random: Random
  /** The operator's PIN for a user who cannot sign in. */
  pinFor(email: string, deviceId: string): Promise<string>
}

export type Phone = Awaited<ReturnType<typeof newPhone>>

const RETRY = { attempts: 12, baseMs: 200, maxMs: 6000 }
const TIMEOUT_MS = 15_000
/** A request without a response may still be carried out. */
const LATE_MS = 2000
const MOST_LOOKS = 3
const PATIENCE_MS = 60_000
const AGAIN_MS = 300
const LOOK_SHARE = 0.4
const DEVICE_SHARE = 0.04

export async function newPhone(world: World, number: number, line: FaultyProxy, scheme: 'http' | 'https') {
  const { journal, outages, clock } = world
  const random = world.random.fork(`phone ${number}`)
  const baseUrl = `${scheme}://127.0.0.1:${line.port}`
  const counted = countingFetch(journal, outages)
  const token = memoryToken()
  let bearer: string | null = null
  const client = createClient({ baseUrl, token, fetch: counted, retry: RETRY, timeoutMs: TIMEOUT_MS })
  const raw = rawRequests({ baseUrl, token: () => bearer, fetch: counted })
  const hands: Hands = { client, raw, random, now: clock.now }
  const following = follower()
  const newTablet = () => createClient({ baseUrl, fetch: counted, retry: RETRY, timeoutMs: TIMEOUT_MS })
  const nights = nightsOf(hands, newTablet, clock, (text) => journal.violation(`phone ${number}: ${text}`))
  const email = `${MARKS.mail}-${number}@example.org`
  const deviceId = deviceIdOf(random)
  let state: State = { live: [], trash: [] }
  let session = { openedAt: clock.now(), usedAt: clock.now(), isEnded: false }

  const registered = await client.register({ name: 'Ada', email, deviceId })
  await signIn('pin' in registered ? registered.pin : '')

  return {
    email,
    line,
    following,
    state: () => state,
    /** Its sessions were ended by the operator. */
    wasSignedOut() {
      session.isEnded = true
    },

    /** Works until `isOver`. */
    async work(isOver: () => boolean): Promise<void> {
      while (!isOver()) {
        await overBadLine(line, random, journal, step)
        await pause(random.int(60))
      }
    },

    compare,

    /** Compares the contents of all files with a server that has the same sessions, such as a restored one. */
    async compareContents(url = baseUrl): Promise<void> {
      const there = rawRequests({ baseUrl: url, token: () => bearer, fetch: counted })
      for (const { name, sha256: digest, picture } of state.live) {
        const bytes = await there.bytesOf(name)
        if (sha256(bytes) !== digest) journal.violation(`phone ${number}: other bytes of ${name}`)
        if (picture === null) continue
        const path = `/v1/files/${encodeURIComponent(name)}/thumbnail`
        const { bytes: shown } = await there.askPatiently(() => there.ask(path))
        if (sha256(shown) !== picture.sha256) journal.violation(`phone ${number}: another thumbnail of ${name}`)
      }
    },

    /** Before the clock moves. */
    evening: () => patiently(nights.evening),

    /** After the clock has moved and the server has swept. `isAsleep`: the phone is not used on this day. */
    async morning(isAsleep: boolean): Promise<void> {
      if (isAsleep) return
      await patiently(async () => {
        if (isSessionOver() && (await statusOf(() => raw.ask('/v1/me'))) !== 401)
          journal.violation(`phone ${number}: a session lives after its end`)
        else if (isSessionOver()) await signInAgain()
        else await renewIfOld()
        await compare()
        await nights.morning()
      })
    },
  }

  async function step(): Promise<void> {
    if (random.chance(LOOK_SHARE)) return look(random.pick([...LOOKS, following.look, following.look]) as Look)
    if (random.chance(DEVICE_SHARE)) return attempt('another device', otherDevice)
    const act = someAct(hands, state)
    journal.act(act.kind)
    try {
      const told = await act.run()
      session.usedAt = clock.now()
      state = act.after(state, told)
    } catch (error) {
      await judge(act.kind, error)
      await settle(act)
    }
  }

  async function look({ kind, run }: Look): Promise<void> {
    await attempt(kind, async () => {
      const wrong = await run(hands, state)
      session.usedAt = clock.now()
      if (wrong !== null) journal.violation(`phone ${number}, ${kind}: ${wrong}`)
    })
  }

  /** For what changes nothing that the phone has to remember. */
  async function attempt(kind: string, run: () => Promise<void>): Promise<void> {
    journal.act(kind)
    await run().catch((error) => judge(kind, error))
  }

  /** Connections break, and servers fail: that is no wrong result. A refusal is one, because the phone does only what it may. */
  async function judge(kind: string, error: unknown): Promise<void> {
    if (!(error instanceof VaultError)) {
      journal.violation(`phone ${number}, ${kind}: ${error}`)
    } else if (error.status === 401) {
      // A PIN is spent before its session is opened, so a failure in between loses it.
      if (error.code === 'invalid-pin' && !outages.isCalm()) return
      if (!isSessionOver()) journal.violation(`phone ${number}, ${kind}: 401 ${error.code} in a living session`)
      await patiently(signInAgain)
    } else if (!isOfNetwork(error)) {
      journal.violation(`phone ${number}, ${kind}: ${error.status} ${error.code} ${error.detail}`)
    }
  }

  /** Whether the act was carried out is what the vault says, at the latest when no request can be late. */
  async function settle(act: Act): Promise<void> {
    const nothingTold: Told = {}
    const after = act.after(state, nothingTold)
    for (let looks = 1; ; looks += 1) {
      const found = await patiently(() => everythingOf(client))
      if (!found) return
      const happened = act.happened ? await patiently(act.happened) : true
      if (happened && differenceOf(found, after, clock.now()) === null) {
        state = adopted(found, after)
        return
      }
      const difference = differenceOf(found, state, clock.now())
      if (difference === null && looks > 1) return
      // A request that is carried out between the reads of two lists is in none of them, or in both.
      if (difference !== null && looks === MOST_LOOKS) {
        journal.violation(`phone ${number}, ${act.kind}, neither before nor after: ${difference}`)
        state = adopted(found, state)
        return
      }
      await outages.calm()
      await pause(LATE_MS)
    }
  }

  async function compare(): Promise<void> {
    const found = await patiently(() => everythingOf(client))
    if (!found) return
    const difference = differenceOf(found, state, clock.now())
    if (difference !== null) journal.violation(`phone ${number}: ${difference}`)
    state = adopted(found, state)
  }

  async function patiently<T>(work: () => Promise<T>): Promise<T | null> {
    const until = performance.now() + PATIENCE_MS
    for (let isOut = false; ; ) {
      try {
        if (isOut && isSessionOver()) await signInAgain()
        const result = await work()
        session.usedAt = clock.now()
        return result
      } catch (error) {
        const isForNow = error instanceof VaultError && (error.status === 401 || isOfNetwork(error))
        if (!isForNow || performance.now() > until) {
          journal.violation(`phone ${number}: ${error}`)
          return null
        }
        isOut = error.status === 401
        await pause(AGAIN_MS)
      }
    }
  }

  /** The phone is signed out, so the operator hands out a PIN. */
  async function signInAgain(): Promise<void> {
    journal.act('sign in by the operator')
    bearer = null
    await token.set(null)
    await signIn(await world.pinFor(email, deviceId))
  }

  async function signIn(pin: string): Promise<void> {
    const opened = await client.signIn({ deviceId, pin, deviceName: 'phone' })
    bearer = opened.token ?? null
    session = { openedAt: clock.now(), usedAt: clock.now(), isEnded: false }
  }

  async function renewIfOld(): Promise<void> {
    if (clock.now() - session.openedAt < (SESSION_MAX_DAYS * DAY_MS) / 2) return
    journal.act('renew the session')
    const { pin } = (await client.requestPin({ deviceId })) as { pin: string }
    await signIn(pin)
  }

  function isSessionOver(): boolean {
    const { openedAt, usedAt, isEnded } = session
    const now = clock.now()
    return isEnded || now - usedAt > SESSION_TTL_DAYS * DAY_MS || now - openedAt > SESSION_MAX_DAYS * DAY_MS
  }

  /** Pairs a tablet, looks at the files with it, signs it out, and expects that it is out. */
  async function otherDevice(): Promise<void> {
    const tablet = newTablet()
    const device = deviceIdOf(random)
    const { pin } = (await client.requestPin({ deviceId: device })) as { pin: string }
    const wrong = String((Number(pin) + 1) % 10_000).padStart(4, '0')
    if ((await statusOf(() => tablet.signIn({ deviceId: device, pin: wrong }))) !== 401)
      journal.violation(`phone ${number}: a wrong PIN was not refused`)
    const { sessionId } = await tablet.signIn({ deviceId: device, pin, deviceName: 'tablet' })
    const difference = differenceOf(await everythingOf(tablet), state, clock.now())
    if (difference !== null) journal.violation(`phone ${number}, by its tablet: ${difference}`)
    await client.sessions.end(sessionId)
    const status = await statusOf(() => tablet.account.get())
    if (status !== 401) journal.violation(`phone ${number}: a device that was signed out got ${status}`)
  }
}
