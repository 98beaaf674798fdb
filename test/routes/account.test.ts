import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { standing } from '../contracts/rows.ts'
import {
  blobsOnDisk,
  type Member,
  member,
  memberWith,
  newDeviceId,
  pinFrom,
  SECOND,
  SESSIONS_CHECKED_OFTEN,
  type TestApp,
  testApp,
} from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const me = (owner: Member) => owner.request('/v1/me')
const leave = (owner: Member) => owner.request('/v1/me', { method: 'DELETE' })

describe('who is signed in', () => {
  it('is told with what it uses', async () => {
    const app = await testApp()
    const createdAt = new Date(app.clock()).toISOString()
    const ada = await member(app, 'Ada@Example.org')
    app.clock.turn(5 * SECOND)
    for (const name of ['a', 'b', 'c']) await ada.put(name, 'four')
    await ada.put('empty', '')
    await ada.request('/v1/files/a', { method: 'DELETE' })
    expect((await me(ada)).body).toEqual({
      userId: ada.userId,
      name: 'Ada',
      email: 'ada@example.org',
      createdAt,
      usage: { files: 3, trashFiles: 1, bytes: 12 },
      quota: { bytes: null, files: 1_000_000 },
    })
  })

  it('is told its quota', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    expect((await me(ada)).body).toMatchObject({ usage: { files: 0, bytes: 0 }, quota: { bytes: 1000 } })
  })

  it('answers HEAD as well', async () => {
    const app = await testApp()
    const ada = await member(app)
    const answer = await ada.request('/v1/me', { method: 'HEAD' })
    expect([answer.status, answer.bytes.length]).toEqual([200, 0])
  })
})

describe('deleting an account', () => {
  it('answers 204, and every token of the user is worth nothing', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const paired = await app.post('/v1/pins', { deviceId }, { authorization: `Bearer ${ada.token}` })
    const { pin } = paired.body as { pin: string }
    const phone = (await app.post('/v1/sessions', { deviceId, pin })).body as { token: string }

    const answer = await leave(ada)

    expect([answer.status, answer.bytes.length]).toEqual([204, 0])
    for (const token of [ada.token, phone.token]) {
      const later = await app.request('/v1/me', { headers: { authorization: `Bearer ${token}` } })
      expect(later).toBeProblem(401, 'unauthorized')
    }
  })

  it('voids the PINs that were on their way', async () => {
    const app = await testApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const paired = await app.post('/v1/pins', { deviceId }, { authorization: `Bearer ${ada.token}` })
    await leave(ada)
    const { pin } = paired.body as { pin: string }
    expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(401, 'invalid-pin')
  })

  it('frees the address, for a vault with nothing in it', async () => {
    const app = await testApp()
    const ada = await member(app, 'ada@example.org')
    await ada.put('beach.jpg', 'sand')
    await leave(ada)
    const again = await member(app, 'ada@example.org')
    expect(again.userId).not.toBe(ada.userId)
    expect((await me(again)).body).toMatchObject({ usage: { files: 0, bytes: 0 } })
    expect(await again.get('beach.jpg')).toBeProblem(404, 'file-not-found')
  })

  it('leaves nothing in any table, nor in what was their space, nor on the disk', async () => {
    const app = await testApp()
    // Enough for pages to be split and merged.
    const others = await Promise.all(Array.from({ length: 40 }, () => member(app)))
    const first = await member(app, 'ada.lovelace@example.org')
    const { deviceId } = first
    const entered = { deviceId, pin: await pinFrom(first, deviceId), deviceName: 'secret phone' }
    const renewed = await app.post('/v1/sessions', entered)
    const ada = memberWith(app, { ...first, ...(renewed.body as { token: string; sessionId: string }) })
    for (let n = 0; n < 60; n += 1) await ada.put(`secret-name-${n}`, randomBytes(100))
    for (let n = 0; n < 20; n += 1) await ada.request(`/v1/files/secret-name-${n}`, { method: 'DELETE' })
    const headers = { 'content-disposition': 'attachment; filename="secret-name-x"', 'upload-complete': '?0' }
    const begun = await ada.request('/v1/uploads', { method: 'POST', headers, body: 'first bytes' })
    expect(begun.status).toBe(201)
    await Promise.all(others.slice(0, 20).map((other) => other.put('kept', 'kept')))
    const picture = { method: 'PUT', headers: { 'content-type': 'image/jpeg' }, body: randomBytes(50_000) }
    await ada.request('/v1/files/secret-name-58/thumbnail', picture)
    const tag = (await standing(app.ports.files, ada.userId, 'secret-name-58'))?.thumbnail as string
    const sealed = (await app.ports.thumbnails.byTag(ada.userId, tag))?.sealed.subarray(0, 500)
    const [slot] = await app.ports.keySlots.find(ada.userId)
    const seal = (await standing(app.ports.files, ada.userId, 'secret-name-59'))?.seal
    const traces = [slot?.sealed, seal, sealed, ada.deviceId, 'ada.lovelace@example.org', 'secret phone', 'secret-name']
    expect(traces.map((trace) => isInDatabase(app, trace))).toEqual(new Array(7).fill(true))

    await leave(ada)
    await app.settled()

    expect(traces.map((trace) => isInDatabase(app, trace))).toEqual(new Array(7).fill(false))
    expect(rowsLeft(app)).toEqual({
      activity: 40,
      departed: 0,
      devices: 40,
      files: 20,
      garbage: 0,
      // Nobody's, of guesses without an address.
      guesses: 1,
      handed_out_pins: 0,
      // The server's own is one of them.
      key_slots: 41,
      last_backup: 0,
      parts: 20,
      sessions: 40,
      thumbnails: 0,
      tombstones: 0,
      uploads: 0,
      users: 40,
      vacated_names: 0,
    })
    expect(await blobsOnDisk(app)).toHaveLength(20)
    expect((await others[0]?.get('kept'))?.body).toBe('kept')
    // That the removal is finished is the last thing that was written, with the id of whom.
    await app.close()
    expect(isInDatabase(app, ada.userId)).toBe(false)
  })

  it('of more files than are removed in one act leaves none', async () => {
    const app = await testApp()
    const ada = await member(app)
    const names = Array.from({ length: 101 }, (_, n) => `file ${n}`)
    await Promise.all(names.map((name) => ada.put(name, name)))
    expect((await leave(ada)).status).toBe(204)
    await app.settled()
    expect(rowsLeft(app)).toMatchObject({ departed: 0, files: 0, garbage: 0 })
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('is answered before the last of very many files is removed', async () => {
    const { app, ada, gate } = await withManyFiles()
    expect((await leave(ada)).status).toBe(204)
    gate.open()
    await app.settled()
    expect(rowsLeft(app)).toMatchObject({ departed: 0, files: 0, garbage: 0 })
  })

  it('does not delay the end of the process, and the sweeper of the next one finishes it', async () => {
    const { app, ada, gate } = await withManyFiles()
    expect((await leave(ada)).status).toBe(204)
    const closing = app.close()
    gate.open()
    await closing
    expect(rowsLeft(app)).toMatchObject({ departed: 1, files: 150 })

    const next = await testApp({}, join(app.config.DATA_DIR, '..'))
    next.sweep()
    await next.settled()
    expect(rowsLeft(next)).toMatchObject({ departed: 0, files: 0, garbage: 0 })
  })

  it('that broke off in the middle is finished by the sweeper', async () => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const clearOut = app.ports.users.clearOut
    app.ports.users.clearOut = async () => {
      throw new Error('the disk is full')
    }
    expect(await leave(ada)).toBeProblem(500, 'internal-error')
    expect(await me(ada)).toBeProblem(401, 'unauthorized')
    app.ports.users.clearOut = clearOut
    app.sweep()
    await app.settled()
    expect(rowsLeft(app)).toMatchObject({ departed: 0, files: 0, garbage: 0, users: 0 })
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('happens once, however many ask at once', async () => {
    const app = await testApp()
    const ada = await member(app)
    const answers = await Promise.all(Array.from({ length: 4 }, () => leave(ada)))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 401, 401, 401])
  })

  it('cuts what is under way, and keeps nothing of it', async () => {
    const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
    const ada = await member(app)
    const headers = { authorization: `Bearer ${ada.token}` }
    const film = Buffer.alloc(32_000_000, 'film')
    await ada.put('film.mp4', film)
    const download = wire(app.url)
    download.socket.write(head('GET /v1/files/film.mp4', headers))
    await download.until('\r\n\r\n')
    download.socket.pause()
    const upload = wire(app.url)
    upload.socket.write(head('PUT /v1/files/half', { ...headers, 'content-length': 8_000_000 }))
    upload.socket.write(randomBytes(3_000_000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(2)

    expect((await leave(ada)).status).toBe(204)
    await upload.ended
    download.socket.resume()

    expect((await download.ended).length).toBeLessThan(film.length)
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
  })

  it('refuses an upload that ends after it', async () => {
    const app = await testApp()
    const ada = await member(app)
    const upload = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 3_000_004, connection: 'close' }
    upload.socket.write(head('PUT /v1/files/late', headers))
    upload.socket.write(randomBytes(3_000_000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    await leave(ada)
    upload.socket.write('late')
    expect(await upload.ended).toMatch(/^HTTP\/1\.1 401 .*"unauthorized"/s)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('refuses an upload whose commit comes after it', async () => {
    const app = await testApp()
    const ada = await member(app)
    const commit = app.ports.files.commit
    app.ports.files.commit = async (...args) => {
      await leave(ada)
      return commit(...args)
    }
    expect(await ada.put('late', 'late')).toBeProblem(401, 'unauthorized')
    expect(await blobsOnDisk(app)).toEqual([])
    expect(rowsLeft(app)).toMatchObject({ files: 0, users: 0 })
  })

  it('is answered also where it takes longer than a session is left unwatched', async () => {
    const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    const clearOut = app.ports.users.clearOut
    app.ports.users.clearOut = async (...args) => {
      await pause(1000)
      return clearOut(...args)
    }
    expect((await leave(ada)).status).toBe(204)
  })
})

const databaseOf = ({ config }: TestApp) => join(config.DATA_DIR, 'minikeepsafe.db')

/** Whether the bytes stand anywhere in the database or its log. */
function isInDatabase(app: TestApp, trace: string | Buffer | undefined): boolean {
  const files = [databaseOf(app), `${databaseOf(app)}-wal`].filter((path) => existsSync(path))
  return files.some((path) => trace !== undefined && readFileSync(path).includes(trace))
}

/** How many rows there are, but for the books on runs. */
function rowsLeft(app: TestApp): Record<string, number> {
  const db = new Database(databaseOf(app), { readonly: true })
  try {
    const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all()
    const counted = (tables as string[]).filter((table) => !['runs', 'holds'].includes(table))
    return Object.fromEntries(
      counted.map((table) => [table, db.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number]),
    )
  } finally {
    db.close()
  }
}

/** A user with 1,200 files. After 1,000 of them, the removal waits at the gate. */
async function withManyFiles() {
  const app = await testApp()
  const ada = await member(app)
  const db = new Database(databaseOf(app))
  db.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
     INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, version, seal)
     SELECT 'id-' || i, ?, 'name-' || i, 0, 'a/b', 0, 0, 'version-' || i, x'00' FROM n`,
  ).run(ada.userId)
  db.exec("INSERT INTO parts (version, start, size, blob) SELECT version, 0, 0, 'run/' || version FROM files")
  db.close()
  const clearOut = app.ports.users.clearOut
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let batches = 0
  app.ports.users.clearOut = async (...args) => {
    batches += 1
    if (batches > 20) await opened
    return clearOut(...args)
  }
  return { app, ada, gate: { open } }
}
