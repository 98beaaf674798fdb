import { randomBytes } from 'node:crypto'
import { readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ActivityKind } from '../../src/ports/accounts.ts'
import { KINDS } from '../../src/schemas/activity.ts'
import { standing } from '../contracts/rows.ts'
import {
  DAY,
  type Member,
  MINUTE,
  member,
  memberWith,
  newDeviceId,
  otherThan,
  paired,
  pinFrom,
  SECOND,
  type TestApp,
  testApp,
} from '../support/app.ts'
import type { Call } from '../support/http.ts'
import { databaseOf } from '../support/operator.ts'
import { head, wire } from '../support/wire.ts'

interface Event {
  id: string
  kind: string
  at: string
  address: string
  userAgent: string
  sessionId: string | null
  deviceId: string | null
  deviceName?: string
  fileId: string | null
  count: number
}

interface Page {
  events: Event[]
  nextCursor: string | null
}

async function page(owner: Member, query = ''): Promise<Page> {
  const answer = await owner.request(`/v1/activity${query}`)
  expect(answer.status).toBe(200)
  return answer.body as Page
}

/** All that happened so far, the last first. */
async function events(app: TestApp, owner: Member): Promise<Event[]> {
  await app.settled()
  return (await page(owner, '?limit=1000')).events
}

const kinds = async (app: TestApp, owner: Member) => (await events(app, owner)).map(({ kind }) => kind)
const last = async (app: TestApp, owner: Member) => (await events(app, owner))[0]

/** One who comes from another address than everybody else here. */
const phone = { 'user-agent': 'MyVault/1.4 (iPhone)' }
const fromPhone: Call = { headers: phone, from: '127.0.0.2' }
const byPhone = { userAgent: 'MyVault/1.4 (iPhone)', address: '127.0.0.2' }
/** How a device is shown to another one of its user. */
const LABEL = expect.stringMatching(/^~[\w-]{8}$/)
const json = (body: object): Call => ({
  ...fromPhone,
  method: 'POST',
  headers: { ...phone, 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

describe('the list of what happened', () => {
  it('begins with the first sign-in, which is that of a new device', async () => {
    const app = await testApp()
    const deviceId = newDeviceId()
    const { pin } = (await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })).body as {
      pin: string
    }
    app.clock.turn(MINUTE)
    const { body } = await app.request('/v1/sessions', json({ deviceId, pin }))
    const session = body as { sessionId: string; token: string; userId: string }
    const ada = memberWith(app, { ...session, deviceId, email: 'ada@example.org' })
    expect(await page(ada)).toEqual({
      events: [
        {
          id: expect.stringMatching(/^[\w-]{21}$/),
          kind: 'new-device',
          at: new Date(app.clock()).toISOString(),
          ...byPhone,
          sessionId: session.sessionId,
          deviceId,
          fileId: null,
          count: 1,
        },
      ],
      nextCursor: null,
    })
  })

  it('tells the PIN that a session asks for, and a sign-in on a device that is known', async () => {
    const app = await testApp()
    const ada = await member(app)
    app.clock.turn(SECOND)
    const { pin } = (await ada.request('/v1/pins', json({ deviceId: ada.deviceId }))).body as { pin: string }
    await app.settled()
    app.clock.turn(SECOND)
    const { body } = await app.request('/v1/sessions', json({ deviceId: ada.deviceId, pin }))
    const again = memberWith(app, { ...ada, ...(body as { token: string; sessionId: string }) })
    expect(await events(app, again)).toMatchObject([
      { kind: 'sign-in', ...byPhone, sessionId: again.sessionId, deviceId: ada.deviceId },
      { kind: 'pin-issued', ...byPhone, sessionId: ada.sessionId, deviceId: ada.deviceId },
      { kind: 'new-device', sessionId: ada.sessionId, deviceId: ada.deviceId },
    ])
  })

  it('shows the device by its name, so that a new device and a sign-in can be recognised', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const signIn = async (deviceName?: string) => {
      app.clock.turn(SECOND)
      const { body } = await app.post('/v1/sessions', { deviceId, pin: await pinFrom(ada, deviceId), deviceName })
      return memberWith(app, { ...ada, deviceId, ...(body as { token: string; sessionId: string }) })
    }
    await signIn('Ada’s phone')
    const phone = await signIn()
    app.clock.turn(SECOND)
    await ada.request(`/v1/sessions/${phone.sessionId}`, { method: 'DELETE' })
    const named = (await events(app, ada)).filter(({ deviceName }) => deviceName === 'Ada’s phone')
    expect(named.map(({ kind }) => kind).sort()).toEqual(['new-device', 'pin-issued', 'session-revoked', 'sign-in'])
    const first = (await events(app, ada)).at(-1)
    expect(first).toMatchObject({ kind: 'new-device', deviceId: ada.deviceId })
    expect(first).not.toHaveProperty('deviceName')
  })

  it('tells which session was signed out, and by whom', async () => {
    const app = await testApp()
    const ada = await member(app)
    const [lost, left] = [await paired(app, ada), await paired(app, ada)]
    app.clock.turn(SECOND)
    await ada.request(`/v1/sessions/${lost.sessionId}`, { method: 'DELETE', ...fromPhone })
    const revoked = { kind: 'session-revoked', ...byPhone }
    expect(await last(app, ada)).toMatchObject({ ...revoked, sessionId: lost.sessionId, deviceId: LABEL })
    app.clock.turn(SECOND)
    await ada.request('/v1/sessions', { method: 'DELETE', ...fromPhone })
    expect(await last(app, ada)).toMatchObject({ ...revoked, sessionId: left.sessionId, deviceId: LABEL })
    const other = await paired(app, ada)
    app.clock.turn(SECOND)
    await ada.request('/v1/sessions/current', { method: 'DELETE', ...fromPhone })
    expect(await last(app, other)).toMatchObject({ ...revoked, sessionId: ada.sessionId, deviceId: LABEL })
  })

  it('counts wrong guesses at one PIN from one address in one, for an hour', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const pin = await pinFrom(ada, deviceId)
    await app.settled()
    app.clock.turn(SECOND)
    for (let n = 0; n < 3; n += 1) await app.request('/v1/sessions', json({ deviceId, pin: otherThan(pin) }))
    await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
    const guesses = (await events(app, ada)).filter(({ kind }) => kind === 'wrong-pin')
    expect(guesses.sort((a, b) => b.count - a.count)).toMatchObject([
      { ...byPhone, count: 3, sessionId: null, deviceId: LABEL },
      { userAgent: '', address: '127.0.0.1', count: 1 },
    ])
    app.clock.turn(61 * MINUTE)
    await app.request('/v1/sessions', json({ deviceId, pin: otherThan(await pinFrom(ada, deviceId)) }))
    expect((await kinds(app, ada)).filter((kind) => kind === 'wrong-pin')).toHaveLength(3)
  })

  it('tells the owner of an address of the PINs and guesses of strangers, and of the pause', async () => {
    const app = await testApp({ PIN_DELIVERY: 'console' })
    const { email, ...ada } = await consoleMember(app)
    const deviceId = newDeviceId()
    app.clock.turn(SECOND)
    await app.request('/v1/pins', json({ email, deviceId }))
    await app.settled()
    expect(await last(app, ada.member)).toMatchObject({
      kind: 'pin-issued',
      ...byPhone,
      sessionId: null,
      deviceId: LABEL,
    })
    const wrong = otherThan(pinIn(app))
    app.clock.turn(SECOND)
    for (let n = 0; n < 4; n += 1) await app.request('/v1/sessions', json({ deviceId, pin: wrong }))
    expect(await last(app, ada.member)).toMatchObject({ kind: 'wrong-pin', ...byPhone, deviceId: LABEL, count: 4 })
    app.clock.turn(SECOND)
    await app.request('/v1/sessions', json({ deviceId, pin: wrong }))
    expect((await events(app, ada.member)).slice(0, 2)).toMatchObject([
      { kind: 'locked', ...byPhone, deviceId: LABEL },
      { kind: 'wrong-pin', count: 5 },
    ])
  })

  it('is not filled by guesses that come from ever more addresses', async () => {
    const app = await testApp({ PIN_DELIVERY: 'console', TRUST_PROXY: '127.0.0.1' })
    const { email, ...ada } = await consoleMember(app)
    const deviceId = newDeviceId()
    const guess = (n: number) =>
      app.post('/v1/sessions', { deviceId, pin: 'A'.repeat(16) }, { 'x-forwarded-for': `2001:db8::${n.toString(16)}` })
    await app.post('/v1/pins', { email, deviceId })
    await app.settled()
    const wrong = otherThan(pinIn(app))
    for (let n = 0; n < 5; n += 1) await app.post('/v1/sessions', { deviceId, pin: wrong })
    await app.post('/v1/pins', { email, deviceId })
    await app.settled()
    app.clock.turn(SECOND)
    for (let n = 1; n <= 40; n += 1) await guess(n)
    const guesses = (await events(app, ada.member)).filter(({ kind }) => kind === 'wrong-pin')
    expect(guesses.length).toBeLessThanOrEqual(10)
    expect(guesses.reduce((sum, { count }) => sum + count, 0)).toBe(45)
  })

  it('says nothing of guesses at a registration that is nobody’s yet', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const email = 'nobody@example.org'
    const { pin } = (await app.post('/v1/users', { name: 'N', email, deviceId })).body as { pin: string }
    await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
    expect(await kinds(app, ada)).toEqual(['new-device'])
  })

  it('shows no device id but the caller’s own', async () => {
    const app = await testApp()
    const ada = await member(app)
    const phone = await paired(app, ada)
    const guessed = newDeviceId()
    await app.post('/v1/sessions', { deviceId: guessed, pin: otherThan(await pinFrom(ada, guessed)) })
    await app.request(`/v1/sessions/${phone.sessionId}`, {
      ...fromPhone,
      method: 'DELETE',
      headers: { authorization: `Bearer ${ada.token}` },
    })
    await app.settled()
    for (const path of ['/v1/activity', '/v1/sessions', '/v1/me', '/v1/me/export']) {
      const text = (await ada.request(path)).bytes.toString('latin1')
      expect(text, path).not.toContain(phone.deviceId)
      expect(text, path).not.toContain(guessed)
    }
    const ofPhone = (await events(app, ada)).filter(({ sessionId }) => sessionId === phone.sessionId)
    expect(ofPhone.map(({ kind }) => kind).sort()).toEqual(['new-device', 'session-revoked'])
    // The same label each time.
    expect(new Set(ofPhone.map(({ deviceId }) => deviceId)).size).toBe(1)
  })

  it('is each user’s own', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    await paired(app, ada)
    expect(await kinds(app, ada)).toHaveLength(3)
    expect((await events(app, ben)).map(({ sessionId }) => sessionId)).toEqual([ben.sessionId])
  })

  it('needs a session', async () => {
    const app = await testApp()
    expect(await app.request('/v1/activity')).toBeProblem(401, 'unauthorized')
  })

  it('documents every kind that the vault notes', async () => {
    const documented: Record<ActivityKind, string> = KINDS
    const app = await testApp()
    const document = JSON.stringify((await app.request('/docs/json')).body)
    for (const [kind, meaning] of Object.entries(documented)) expect(document).toContain(`\`${kind}\`: ${meaning}`)
  })
})

describe('what becomes of files', () => {
  const remove: Call = { method: 'DELETE', ...fromPhone }
  const put = async (owner: Member, name: string) => ((await owner.put(name, name)).body as { id: string }).id
  const done = (owner: Member, kind: string, fileId: string | null) => ({
    kind,
    ...byPhone,
    sessionId: owner.sessionId,
    deviceId: owner.deviceId,
    fileId,
    count: 1,
  })

  it('is told where it is deleted, and where it is deleted for good', async () => {
    const app = await testApp()
    const ada = await member(app)
    const id = await put(ada, 'beach.jpg')
    app.clock.turn(SECOND)
    expect((await ada.request('/v1/files/beach.jpg', remove)).status).toBe(204)
    expect(await last(app, ada)).toMatchObject(done(ada, 'file-deleted', id))
    app.clock.turn(SECOND)
    expect((await ada.request(`/v1/trash/${id}`, remove)).status).toBe(204)
    expect(await last(app, ada)).toMatchObject(done(ada, 'file-purged', id))
    expect(await kinds(app, ada)).toEqual(['file-purged', 'file-deleted', 'new-device'])
  })

  it('is one event without a file where the trash is emptied, and none where it was empty', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['a', 'b', 'c']) {
      await put(ada, name)
      await ada.request(`/v1/files/${name}`, remove)
    }
    app.clock.turn(SECOND)
    for (let n = 0; n < 2; n += 1) expect((await ada.request('/v1/trash', remove)).status).toBe(204)
    const [emptied, ...before] = await events(app, ada)
    expect(emptied).toMatchObject(done(ada, 'file-purged', null))
    expect(before.map(({ kind }) => kind).sort()).toEqual(['file-deleted', 'new-device'])
  })

  it('is one event for each kind, hour, device and address, which names the last file', async () => {
    const app = await testApp()
    const ada = await member(app)
    const ids: string[] = []
    for (const name of ['a', 'b', 'c', 'd']) ids.push(await put(ada, name))
    app.clock.turn(SECOND)
    const at = new Date(app.clock()).toISOString()
    for (const name of ['a', 'b']) {
      await ada.request(`/v1/files/${name}`, remove)
      app.clock.turn(SECOND)
    }
    expect(await last(app, ada)).toMatchObject({ ...done(ada, 'file-deleted', ids[1] as string), count: 2, at })
    await ada.request('/v1/files/c', { method: 'DELETE' })
    for (const id of ids.slice(0, 2)) await ada.request(`/v1/trash/${id}`, remove)
    await ada.request('/v1/trash', remove)
    for (let n = 0; n < 3; n += 1) await ada.request('/v1/me/export', fromPhone)
    app.clock.turn(61 * MINUTE)
    await ada.request('/v1/files/d', remove)
    const listed = (await events(app, ada)).map(({ kind, count, fileId }) => [kind, count, ids.indexOf(fileId ?? '')])
    expect(listed.sort()).toEqual([
      ['export', 3, -1],
      ['file-deleted', 1, 2],
      ['file-deleted', 1, 3],
      ['file-deleted', 2, 1],
      ['file-purged', 1, -1],
      ['file-purged', 2, 1],
      ['new-device', 1, -1],
    ])
  })

  it('never pushes out what tells the owner of strangers', async () => {
    const app = await testApp()
    const ada = await member(app)
    const event = {
      kind: 'export',
      at: app.clock(),
      address: '',
      userAgent: '',
      sessionId: null,
      fileId: null,
    } as const
    // As whoever has a session can do it: each PIN is asked for another device.
    const most = { class: 'routine', most: 5000, fold: null } as const
    const filled = Array.from({ length: 5001 }, (_, n) =>
      app.ports.activity.note(ada.userId, { ...event, id: `event-${n}`, deviceId: `device-${n}` }, most),
    )
    await Promise.all(filled)
    await pinFrom(ada, newDeviceId())
    await app.settled()
    const count = (kind: string) =>
      databaseOf(app).prepare('SELECT count(*) FROM activity WHERE kind = ?').pluck().get(kind)
    expect([count('export'), count('pin-issued'), count('new-device')]).toEqual([4999, 1, 1])
  })

  it('is not told where nothing was done', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    const id = await put(ben, 'hers')
    await ben.request('/v1/files/hers', remove)
    await put(ada, 'kept')
    expect(await ada.request('/v1/files/hers', remove)).toBeProblem(404, 'file-not-found')
    expect(await ada.request(`/v1/trash/${id}`, remove)).toBeProblem(404, 'file-not-found')
    const changed = await ada.request('/v1/files/kept', { method: 'DELETE', headers: { 'if-match': '"other"' } })
    expect(changed).toBeProblem(412, 'precondition-failed')
    expect(await kinds(app, ada)).toEqual(['new-device'])
  })

  it('is told where everything is asked for, and not where a client only looks', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'beach.jpg')
    app.clock.turn(SECOND)
    await ada.request('/v1/me/export', { method: 'HEAD', ...fromPhone })
    expect(await kinds(app, ada)).toEqual(['new-device'])
    await ada.request('/v1/me/export', fromPhone)
    expect(await last(app, ada)).toMatchObject(done(ada, 'export', null))
  })
})

describe('a file that is found damaged', () => {
  const FRAME = 65_552
  const HEADER = 40
  const LARGE = randomBytes(3_000_000)

  async function withFile(bytes: string | Buffer = LARGE) {
    const app = await testApp()
    const ada = await member(app)
    const { id } = (await ada.put('file', bytes)).body as { id: string }
    const blob = (await standing(app.ports.files, ada.userId, 'file'))?.blob as string
    app.clock.turn(SECOND)
    return { app, ada, id, path: join(app.config.UPLOADS_DIR, blob) }
  }

  async function flip(path: string, at: number) {
    const bytes = await readFile(path)
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    await writeFile(path, bytes)
  }

  const read = (owner: Member, path = '/v1/files/file', headers = {}) =>
    owner.request(path, { ...fromPhone, headers: { ...phone, ...headers } })
  const found = async (app: TestApp, owner: Member) =>
    (await events(app, owner)).filter(({ kind }) => kind === 'damaged-read')

  it('is told with its reader, and counted where it is read again', async () => {
    const { app, ada, id, path } = await withFile('bytes')
    await flip(path, HEADER)
    for (let n = 0; n < 2; n += 1) expect(await read(ada)).toBeProblem(500, 'internal-error')
    const { sessionId, deviceId } = ada
    expect(await found(app, ada)).toMatchObject([{ ...byPhone, sessionId, deviceId, fileId: id, count: 2 }])
  })

  it.each<[string, (path: string) => Promise<void>, string, object]>([
    ['whose blob is gone', (path) => rm(path), '/v1/files/file', {}],
    ['of which nothing is left', (path) => truncate(path, 0), '/v1/files/file', {}],
    ['whose header was cut, in the middle', (path) => truncate(path, 20), '/v1/files/file', { range: 'bytes=70000-' }],
    ['at the beginning of an export', (path) => flip(path, HEADER), '/v1/me/export', {}],
    ['whose blob is gone, by an export', (path) => rm(path), '/v1/me/export', {}],
  ])('%s is told', async (_case, damage, url, headers) => {
    const { app, ada, id, path } = await withFile()
    await damage(path)
    expect(await read(ada, url, headers)).toBeProblem(500, 'internal-error')
    expect(await found(app, ada)).toMatchObject([{ ...byPhone, fileId: id, count: 1 }])
  })

  it.each(['/v1/files/file', '/v1/me/export'])('is told where the first bytes of %s were whole', async (url) => {
    const { app, ada, id, path } = await withFile()
    await flip(path, HEADER + 30 * FRAME)
    await expect(read(ada, url)).rejects.toThrow(/aborted|hang up|ECONNRESET/)
    expect(await found(app, ada)).toMatchObject([{ ...byPhone, fileId: id, count: 1 }])
  })

  it.each([
    ['GET', '/v1/files/file'],
    ['HEAD', '/v1/files/file'],
    ['GET', '/v1/files'],
    ['DELETE', '/v1/files/file'],
    ['GET', '/v1/me/export'],
  ])('is told where its seal does not open for %s %s', async (method, url) => {
    const { app, ada, id } = await withFile('bytes')
    databaseOf(app).exec('UPDATE files SET seal = zeroblob(105)')
    expect((await ada.request(url, { method, ...fromPhone })).status).toBe(500)
    expect(await found(app, ada)).toMatchObject([{ ...byPhone, fileId: id, count: 1 }])
  })

  it.each([
    ['GET', () => '/v1/trash'],
    ['POST', (id: string) => `/v1/trash/${id}/restore`],
  ])('is told where its seal does not open in the trash, for %s', async (method, url) => {
    const { app, ada, id } = await withFile('bytes')
    await ada.request('/v1/files/file', { method: 'DELETE' })
    databaseOf(app).exec('UPDATE files SET seal = zeroblob(105)')
    expect((await ada.request(url(id), { method, ...fromPhone })).status).toBe(500)
    expect(await found(app, ada)).toMatchObject([{ ...byPhone, fileId: id, count: 1 }])
  })

  it('is not told where the part that was read is whole', async () => {
    const { app, ada, path } = await withFile()
    await flip(path, HEADER + 30 * FRAME)
    expect((await read(ada, '/v1/files/file', { range: 'bytes=0-9' })).status).toBe(206)
    expect(await found(app, ada)).toEqual([])
  })

  it.each([
    ['EIO', 500, 'internal-error'],
    ['EMFILE', 503, 'not-ready'],
  ])('is something else than a fault of the system, such as %s', async (code, status, problem) => {
    const { app, ada } = await withFile()
    const fault = async () => {
      throw Object.assign(new Error(`${code}: the system's own`), { code })
    }
    const { open } = app.ports.blobs
    app.ports.blobs.open = async (...args) => {
      const reader = await open(...args)
      return reader && { ...reader, read: fault }
    }
    expect(await read(ada)).toBeProblem(status, problem)
    expect(await read(ada, '/v1/files/file', { range: 'bytes=70000-' })).toBeProblem(status, problem)
    expect((await read(ada, '/v1/me/export')).status).toBe(status)
    app.ports.blobs.open = fault
    expect(await read(ada)).toBeProblem(status, problem)
    expect(await found(app, ada)).toEqual([])
  })
})

describe('one who hangs up before the answer', () => {
  it('is listed with the address all the same', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    app.clock.turn(SECOND)
    const line = wire(app.url)
    const { findByTokenHash } = app.ports.sessions
    app.ports.sessions.findByTokenHash = async (hash) => {
      app.ports.sessions.findByTokenHash = findByTokenHash
      const closed = new Promise((resolve) => app.connections.at(-1)?.once('close', resolve))
      line.socket.resetAndDestroy()
      await closed
      return findByTokenHash(hash)
    }
    line.socket.write(head('DELETE /v1/files/beach.jpg', { authorization: `Bearer ${ada.token}` }))
    await line.ended
    await expect
      .poll(() => last(app, ada), { timeout: 10_000 })
      .toMatchObject({ kind: 'file-deleted', address: '127.0.0.1' })
  })
})

describe('paging through it', () => {
  it('neither repeats nor misses anything while more happens, also at one time', async () => {
    const app = await testApp()
    const ada = await member(app)
    // A pairing is two events; some of these are of the same moment, so their ids break the tie.
    for (let n = 0; n < 4; n += 1) {
      await paired(app, ada)
      if (n !== 1) app.clock.turn(SECOND)
    }
    const before = (await events(app, ada)).map(({ id }) => id)
    expect(before).toHaveLength(9)
    const found: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { events, nextCursor }: Page = await page(ada, `?limit=2${cursor && `&cursor=${cursor}`}`)
      found.push(...events.map(({ id }) => id))
      cursor = nextCursor
      app.clock.turn(SECOND)
      await paired(app, ada)
      await app.settled()
    }
    expect(found).toEqual(before)
    expect((await events(app, ada)).length).toBe(9 + 2 * 5)
  })

  it.each(['limit=0', 'limit=1001', 'limit=x'])('refuses %s', async (query) => {
    const app = await testApp()
    const ada = await member(app)
    expect(await ada.request(`/v1/activity?${query}`)).toBeProblem(400, 'invalid-request')
  })

  it('refuses a cursor that is none, or that of another list', async () => {
    const app = await testApp()
    const ada = await member(app)
    await paired(app, ada)
    await app.settled()
    for (const name of ['a', 'b']) await ada.put(name, 'bytes')
    const { nextCursor: ofFiles } = (await ada.request('/v1/files?limit=1&sort=size')).body as Page
    for (const name of ['a', 'b']) await ada.request(`/v1/files/${name}`, { method: 'DELETE' })
    const { nextCursor: ofTrash } = (await ada.request('/v1/trash?limit=1')).body as Page
    const { nextCursor: own } = await page(ada, '?limit=1')
    for (const cursor of [ofFiles, ofTrash, 'nonsense', '', `${own}x`.slice(4)]) {
      expect(await ada.request(`/v1/activity?cursor=${cursor}`)).toBeProblem(400, 'invalid-cursor')
    }
    expect(await ada.request(`/v1/trash?cursor=${own}`)).toBeProblem(400, 'invalid-cursor')
    expect((await page(ada, `?cursor=${own}`)).events).not.toHaveLength(0)
  })

  it('with the cursor of another user finds only what is one’s own', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    app.clock.turn(SECOND)
    await paired(app, ben)
    await app.settled()
    const { nextCursor } = await page(ben, '?limit=1')
    const found = (await page(ada, `?cursor=${nextCursor}`)).events
    expect(found.map(({ sessionId }) => sessionId)).toEqual([ada.sessionId])
  })
})

describe('what happened long ago', () => {
  it('is not listed after ACTIVITY_DAYS, and the next sweep removes it', async () => {
    const app = await testApp({ ACTIVITY_DAYS: '7' })
    const ada = await member(app)
    const rows = () => databaseOf(app).prepare('SELECT kind FROM activity').pluck().all()
    app.clock.turn(7 * DAY - 1)
    expect(await kinds(app, ada)).toEqual(['new-device'])
    app.clock.turn(1)
    expect(await kinds(app, ada)).toEqual([])
    await pinFrom(ada, newDeviceId())
    await app.settled()
    expect(rows()).toHaveLength(2)
    app.sweep()
    await app.settled()
    expect(rows()).toEqual(['pin-issued'])
  })

  it('is not kept at all where ACTIVITY_DAYS is 0', async () => {
    const app = await testApp({ ACTIVITY_DAYS: '0' })
    const ada = await member(app)
    expect(await kinds(app, ada)).toEqual([])
    app.sweep()
    await app.settled()
    expect(databaseOf(app).prepare('SELECT * FROM activity').all()).toEqual([])
  })

  it('goes with its user', async () => {
    const app = await testApp()
    const [ada, ben] = [await member(app), await member(app)]
    await ada.request('/v1/me', { method: 'DELETE' })
    await app.settled()
    const owners = databaseOf(app).prepare('SELECT user_id FROM activity').pluck().all()
    expect(owners).toEqual([ben.userId])
  })
})

describe('a user agent', () => {
  it.each([
    ['of 256 characters stays', 'x'.repeat(256), 'x'.repeat(256)],
    ['that is longer is cut', 'x'.repeat(4000), 'x'.repeat(256)],
    ['with markup is text', '</script><img src=x onerror=alert(1)>', '</script><img src=x onerror=alert(1)>'],
    ['with quotes and backslashes is text', '"\\u0000",\\"kind":"x"', '"\\u0000",\\"kind":"x"'],
    [
      'with bytes beyond ASCII is read as latin1',
      utf8AsLatin1('Téléphone 🐈 \u2028'),
      utf8AsLatin1('Téléphone 🐈 \u2028'),
    ],
    ['that is empty is empty', '', ''],
  ])('%s', async (_what, sent, listed) => {
    const app = await testApp()
    const ada = await member(app)
    await app.settled()
    app.clock.turn(SECOND)
    const headers = { 'content-type': 'application/json', 'user-agent': sent }
    // Beside a body of bytes the headers go out as latin1, byte for byte.
    const body = Buffer.from(JSON.stringify({ deviceId: newDeviceId() }))
    await ada.request('/v1/pins', { method: 'POST', headers, body })
    const [event, ...others] = await events(app, ada)
    expect([event?.kind, event?.userAgent, others.length]).toEqual(['pin-issued', listed.trim(), 1])
    expect((await ada.request('/v1/activity')).headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
    })
  })
})

/** What a server reads of a header in UTF-8. */
function utf8AsLatin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}

const pinIn = (app: TestApp) => /.*PIN (\d{4})/s.exec(app.log.join('\n'))?.[1] ?? ''

/** A user whose PIN stood in the log. */
async function consoleMember(app: TestApp): Promise<{ email: string; member: Member }> {
  const [email, deviceId] = ['ada@example.org', newDeviceId()]
  await app.post('/v1/users', { name: 'Ada', email, deviceId })
  await app.settled()
  const { body } = await app.post('/v1/sessions', { deviceId, pin: pinIn(app) })
  const session = body as { token: string; userId: string; sessionId: string }
  return { email, member: memberWith(app, { ...session, deviceId, email }) }
}
