import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { httpRulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import { forUser, newSession } from '../contracts/rows.ts'
import {
  blobsOnDisk,
  DAY,
  type Member,
  MINUTE,
  member,
  memberWith,
  newDeviceId,
  paired,
  pinFrom,
  SECOND,
  SESSIONS_CHECKED_OFTEN,
  type TestApp,
  testApp,
} from '../support/app.ts'
import { head, type Wire, wire } from '../support/wire.ts'

interface Listed {
  sessionId: string
  deviceId: string
  deviceName?: string
  createdAt: string
  lastUsedAt: string
  expiresAt: string
  current: boolean
}

async function list(owner: Member): Promise<Listed[]> {
  const answer = await owner.request('/v1/sessions')
  expect(answer.status).toBe(200)
  return (answer.body as { sessions: Listed[] }).sessions
}

const ids = async (owner: Member) => (await list(owner)).map(({ sessionId }) => sessionId)
const end = (owner: Member, sessionId: string) => owner.request(`/v1/sessions/${sessionId}`, { method: 'DELETE' })
const endOthers = (owner: Member) => owner.request('/v1/sessions', { method: 'DELETE' })

/** Signs the user in again on a device, with a name for it or without one. */
async function renewed(app: TestApp, owner: Member, deviceId: string, deviceName?: string): Promise<Member> {
  const { body } = await app.post('/v1/sessions', { deviceId, pin: await pinFrom(owner, deviceId), deviceName })
  return memberWith(app, { ...owner, deviceId, ...(body as { token: string; sessionId: string }) })
}

async function withDevices() {
  const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
  const ada = await member(app)
  app.clock.turn(SECOND)
  const phone = await paired(app, ada)
  app.clock.turn(SECOND)
  const tablet = await paired(app, ada)
  return { app, ada, phone, tablet }
}

describe('the list of sessions', () => {
  it('has each device with its times, the last opened first', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const at = (ms: number) => new Date(app.clock() + ms).toISOString()
    const listed = ({ sessionId, deviceId }: Member, openedMs: number, current: boolean) => ({
      sessionId,
      deviceId: current ? deviceId : expect.stringMatching(/^~[\w-]{8}$/),
      createdAt: at(openedMs),
      lastUsedAt: at(openedMs),
      expiresAt: at(openedMs + 30 * DAY),
      current,
    })
    expect(await list(phone)).toEqual([
      listed(tablet, 0, false),
      listed(phone, -SECOND, true),
      listed(ada, -2 * SECOND, false),
    ])
  })

  it('shows a device to the others by a label that stays, and that two users do not share', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const labelOf = async (viewer: Member, { sessionId }: Member) =>
      (await list(viewer)).find((one) => one.sessionId === sessionId)?.deviceId
    expect(await labelOf(ada, phone)).toBe(await labelOf(tablet, phone))
    expect(await labelOf(ada, phone)).not.toBe(await labelOf(ada, tablet))
    const before = await labelOf(ada, phone)
    expect(await labelOf(ada, await paired(app, ada, phone.deviceId))).toBe(before)
    const ben = await member(app)
    expect(await labelOf(ben, await paired(app, ben, phone.deviceId))).not.toBe(before)
  })

  it('shows the name that a device was given, to its user alone', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const ben = await member(app)
    const sign = (owner: Member, deviceId: string, deviceName?: string) => renewed(app, owner, deviceId, deviceName)
    await sign(ben, phone.deviceId, 'Ben’s phone')
    await sign(ada, phone.deviceId, ' Ada’s phone\n')
    const nameOf = async (owner: Member, { deviceId }: Member) => {
      const viewer = await renewed(app, owner, deviceId)
      return (await list(viewer)).find(({ current }) => current)?.deviceName
    }
    expect(await nameOf(ada, phone)).toBe('Ada’s phone')
    expect(await nameOf(ben, phone)).toBe('Ben’s phone')
    await sign(ada, phone.deviceId, 'Old phone')
    expect(await nameOf(ada, phone)).toBe('Old phone')
    expect((await list(ada)).find(({ sessionId }) => sessionId === tablet.sessionId)).not.toHaveProperty('deviceName')
  })

  it('moves with use', async () => {
    const { app, ada, phone } = await withDevices()
    app.clock.turn(DAY)
    await phone.request('/v1/files')
    await app.settled()
    const used = (await list(ada)).find(({ sessionId }) => sessionId === phone.sessionId)
    expect(used).toMatchObject({
      lastUsedAt: new Date(app.clock()).toISOString(),
      expiresAt: new Date(app.clock() + 30 * DAY).toISOString(),
    })
  })

  it('has the use by the request that asks for it, without waiting for the write', async () => {
    const { app, phone } = await withDevices()
    app.clock.turn(DAY)
    let written = () => {}
    const held = new Promise<void>((resolve) => {
      written = resolve
    })
    const { touch } = app.ports.sessions
    app.ports.sessions.touch = async (...args) => {
      await held
      return touch(...args)
    }
    const own = (await list(phone)).find(({ current }) => current)
    written()
    expect(own).toMatchObject({
      lastUsedAt: new Date(app.clock()).toISOString(),
      expiresAt: new Date(app.clock() + 30 * DAY).toISOString(),
    })
  })

  it('has at most 1,000: one more ends the one that was unused for longest', async () => {
    const app = await testApp()
    const ada = await member(app)
    const user = { id: ada.userId, vouchedBy: null }
    const session = (n: number) => ({ ...newSession(), createdAt: app.clock() + n })
    const others = Array.from({ length: 999 }, (_, n) => forUser(ada.userId, { user, session: session(n + 1) }))
    await Promise.all(others.map((one) => app.ports.sessions.redeem(one)))
    expect(await list(ada)).toHaveLength(1000)
    app.clock.turn(2 * MINUTE)
    const newest = await paired(app, ada)
    await app.settled()
    const listed = await ids(newest)
    expect(listed).toHaveLength(1000)
    expect(listed).toContain(ada.sessionId)
    expect(listed).not.toContain(others[0]?.session.id)
  })

  it('has one session for a device that signs in again', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    app.clock.turn(SECOND)
    const again = await paired(app, ada, phone.deviceId)
    expect(await ids(ada)).toEqual([again.sessionId, tablet.sessionId, ada.sessionId])
  })

  it('has none that ran out, nobody else’s, and none that was ended', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const stranger = await member(app)
    app.clock.turn(29 * DAY)
    for (const one of [ada, tablet, stranger]) await one.request('/v1/files')
    await app.settled()
    await end(ada, tablet.sessionId)
    app.clock.turn(2 * DAY)
    expect(await ids(ada)).toEqual([ada.sessionId])
    expect(await phone.request('/v1/sessions')).toBeProblem(401, 'unauthorized')
    expect(await ids(stranger)).toEqual([stranger.sessionId])
  })

  it('ends with the whole time of a session, however much it is used', async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '10', SESSION_MAX_DAYS: '15' })
    const ada = await member(app)
    const wholeTime = new Date(app.clock() + 15 * DAY).toISOString()
    app.clock.turn(9 * DAY)
    await ada.request('/v1/files')
    await app.settled()
    expect((await list(ada))[0]?.expiresAt).toBe(wholeTime)
  })

  it('shows no token', async () => {
    const { ada } = await withDevices()
    expect((await ada.request('/v1/sessions')).bytes.toString()).not.toMatch(/mks_|hash/i)
  })
})

describe('signing one device out', () => {
  it('is in force on its very next request, and touches no other', async () => {
    const { ada, phone, tablet } = await withDevices()
    expect((await end(ada, phone.sessionId)).status).toBe(204)
    expect(await phone.request('/v1/files')).toBeProblem(401, 'unauthorized')
    expect(await phone.put('file', 'bytes')).toBeProblem(401, 'unauthorized')
    expect((await tablet.request('/v1/files')).status).toBe(200)
    expect(await ids(ada)).toEqual([tablet.sessionId, ada.sessionId])
  })

  it('takes `current` for the one that asks, and its id as well', async () => {
    const { ada, phone, tablet } = await withDevices()
    expect((await end(phone, 'current')).status).toBe(204)
    expect(await phone.request('/v1/sessions')).toBeProblem(401, 'unauthorized')
    expect((await end(tablet, tablet.sessionId)).status).toBe(204)
    expect(await ids(ada)).toEqual([ada.sessionId])
  })

  it('is 404 for an unknown session, another user’s, one that was ended and one that ran out', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const stranger = await member(app)
    await end(ada, tablet.sessionId)
    app.clock.turn(29 * DAY)
    for (const one of [ada, stranger]) await one.request('/v1/files')
    await app.settled()
    app.clock.turn(2 * DAY)
    const refusals = []
    for (const id of ['unknown', stranger.sessionId, tablet.sessionId, phone.sessionId]) {
      const answer = await end(ada, id)
      expect(answer).toBeProblem(404, 'session-not-found')
      refusals.push((answer.body as { detail: string }).detail)
    }
    expect(new Set(refusals).size).toBe(1)
    expect((await stranger.request('/v1/files')).status).toBe(200)
  })

  it('voids the PINs that it asked for, and no others', async () => {
    const { app, ada, phone } = await withDevices()
    const [byPhone, byAda] = [newDeviceId(), newDeviceId()]
    const pins = { byPhone: await pinFrom(phone, byPhone), byAda: await pinFrom(ada, byAda) }
    await end(ada, phone.sessionId)
    const refused = await app.post('/v1/sessions', { deviceId: byPhone, pin: pins.byPhone })
    expect(refused).toBeProblem(401, 'invalid-pin')
    expect((await app.post('/v1/sessions', { deviceId: byAda, pin: pins.byAda })).status).toBe(201)
  })

  it('cuts its running download and upload, and no one else’s', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    await ada.put('large', randomBytes(30_000_000))
    const lost = await transfers(app, phone)
    const kept = await transfers(app, tablet)
    await end(ada, phone.sessionId)
    await Promise.all([lost.download.closed, lost.upload.closed])
    lost.download.line.socket.resume()
    expect((await lost.download.line.ended).length).toBeLessThan(30_000_000)
    expect(await lost.upload.line.ended).toMatch(/^HTTP\/1\.1 401 .*"code":"unauthorized"/s)
    await expect.poll(() => blobsOnDisk(app), { timeout: 10_000 }).toHaveLength(2)

    kept.download.line.socket.resume()
    kept.upload.line.socket.write(randomBytes(kept.upload.bytesLeft))
    const [downloaded, uploaded] = await Promise.all([kept.download.line.ended, kept.upload.line.ended])
    expect(downloaded.length).toBeGreaterThan(30_000_000)
    expect(uploaded).toMatch(/^HTTP\/1\.1 201 /)
  })
})

describe('signing all other devices out', () => {
  it('leaves the one that asks, and every other user', async () => {
    const { app, ada, phone, tablet } = await withDevices()
    const stranger = await member(app)
    expect((await endOthers(phone)).status).toBe(204)
    for (const one of [ada, tablet]) expect(await one.request('/v1/files')).toBeProblem(401, 'unauthorized')
    expect(await ids(phone)).toEqual([phone.sessionId])
    expect(await ids(stranger)).toEqual([stranger.sessionId])
  })

  it('is done also where there is no other', async () => {
    const app = await testApp()
    const ada = await member(app)
    expect((await endOthers(ada)).status).toBe(204)
    expect(await ids(ada)).toEqual([ada.sessionId])
  })

  it('voids the PINs that they asked for', async () => {
    const { app, ada, phone } = await withDevices()
    const deviceId = newDeviceId()
    const pin = await pinFrom(phone, deviceId)
    await endOthers(ada)
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
  })

  it('cuts their transfers', async () => {
    const { app, ada, phone } = await withDevices()
    await ada.put('large', randomBytes(30_000_000))
    const { download, upload } = await transfers(app, phone)
    await endOthers(ada)
    await Promise.all([download.closed, upload.closed])
    await expect.poll(() => blobsOnDisk(app), { timeout: 10_000 }).toHaveLength(1)
  })
})

it('a PIN asked for by a session is void where that session is replaced, too', async () => {
  const app = await testApp()
  const ada = await member(app)
  const deviceId = newDeviceId()
  const pin = await pinFrom(ada, deviceId)
  app.clock.turn(MINUTE)
  await paired(app, ada, ada.deviceId)
  expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
})

/** A download and an upload of which some bytes have passed, each with the moment at which the server closes its side. */
async function transfers(app: TestApp, owner: Member) {
  const authorization = `Bearer ${owner.token}`
  const uploads = (await blobsOnDisk(app)).length
  const download = await connected(app, head('GET /v1/files/large', { authorization, connection: 'close' }))
  await download.line.until('\r\n\r\n')
  download.line.socket.pause()
  const fields = { authorization, connection: 'close', 'content-length': 8_000_000 }
  const upload = await connected(app, head(`PUT /v1/files/${owner.deviceId}`, fields))
  upload.line.socket.write(randomBytes(3_000_000))
  await expect.poll(() => blobsOnDisk(app), { timeout: 10_000 }).toHaveLength(uploads + 1)
  return { download, upload: { ...upload, bytesLeft: 5_000_000 } }
}

async function connected(app: TestApp, request: string): Promise<{ line: Wire; closed: Promise<unknown> }> {
  const line = wire(app.url)
  await once(line.socket, 'connect')
  const find = () => app.connections.find(({ remotePort }) => remotePort === line.socket.localPort)
  await expect.poll(find, { timeout: 10_000 }).toBeDefined()
  line.socket.write(request)
  const closed = new Promise((resolve) => find()?.once('close', resolve))
  return { line, closed }
}

it('an ended session has no transfer after 5 seconds', () => {
  expect(httpRulesOf(readConfig({})).sessionCheckMs).toBeLessThan(5 * SECOND)
})
