/** The whole server on PostgreSQL and a disk. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { backupSource, backupTarget } from '../../src/compose/backups.ts'
import { blobsOnDisk, form, type Member, member, temporaryFolder, testApp } from '../support/app.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { operator } from '../support/operator.ts'
import { describePostgres, emptySchema, ownPostgresPair, postgresWire, run } from '../support/postgres.ts'
import { serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const MASTER_KEY = randomBytes(32).toString('base64')

async function postgresApp(settings: Record<string, string> = {}) {
  const url = await emptySchema()
  const app = await testApp({ DATABASE_URL: url, MASTER_KEY, ...settings })
  return { app, url }
}

/** A server whose database can be counted and broken, and a member of it. */
async function wiredApp(settings: Record<string, string> = {}) {
  const url = await emptySchema()
  const wire = await postgresWire(url)
  const app = await testApp({ DATABASE_URL: wire.url, MASTER_KEY, ...settings })
  const ada = await member(app)
  await ada.put('first', 'bytes')
  await app.settled()
  return { app, wire, ada, url }
}

const names = async (who: Member, list = 'files') =>
  ((await who.request(`/v1/${list}`)).body as { files: { name: string }[] }).files.map(({ name }) => name)

describePostgres('a server on PostgreSQL', () => {
  it('takes settings that are no whole milliseconds', async () => {
    const { app } = await postgresApp({
      ...{ TRASH_DAYS: '0.041666667', ACTIVITY_DAYS: '0.1234567', CHANGES_DAYS: '0.3333333' },
      ...{ UPLOAD_EXPIRY_HOURS: '0.3333333', SESSION_TTL_DAYS: '0.3333333', SESSION_MAX_DAYS: '0.3333333' },
    })
    const ada = await member(app)
    for (const path of ['/v1/trash', '/v1/me', '/v1/me/export', '/v1/activity', '/v1/changes', '/v1/sessions']) {
      expect([path, (await ada.request(path)).status]).toEqual([path, 200])
    }
    app.sweep()
    await app.settled()
    expect(app.log.filter((line) => line.includes('failed'))).toEqual([])
  })

  it('takes files in, keeps them, and lets go of them, from the first day of an account to the last', async () => {
    const { app, url } = await postgresApp()
    const ada = await member(app)
    const ben = await member(app)
    expect((await ada.put('beach.jpg', 'sand')).status).toBe(201)
    expect((await ada.replace('beach.jpg', 'sand and sea')).status).toBe(200)
    expect((await ada.get('beach.jpg')).body).toBe('sand and sea')
    expect(await ben.get('beach.jpg')).toBeProblem(404, 'file-not-found')

    const upload = { method: 'POST', ...form([{ name: 'file', filename: 'beach.jpg', content: 'stones' }]) }
    expect(await ada.request('/v1/files', upload)).toBeProblem(409, 'file-exists')
    expect((await ada.request('/v1/files?onConflict=rename', upload)).status).toBe(201)
    const rename = { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: '{"name":"pebbles.jpg"}' }
    expect((await ada.request('/v1/files/beach%20(1).jpg', rename)).status).toBe(200)
    expect(await names(ada)).toEqual(['beach.jpg', 'pebbles.jpg'])

    expect((await ada.request('/v1/files/beach.jpg', { method: 'DELETE' })).status).toBe(204)
    const [trashed] = ((await ada.request('/v1/trash')).body as { files: { id: string }[] }).files
    expect((await ada.request(`/v1/trash/${trashed?.id}/restore`, { method: 'POST' })).status).toBe(200)
    expect((await ada.get('beach.jpg')).body).toBe('sand and sea')
    expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { files: 2, bytes: 18 } })

    await ada.request('/v1/files/pebbles.jpg', { method: 'DELETE' })
    expect((await ada.request('/v1/trash', { method: 'DELETE' })).status).toBe(204)
    await ben.put('his', 'own')
    expect((await ada.request('/v1/me', { method: 'DELETE' })).status).toBe(204)
    expect(await ada.get('beach.jpg')).toBeProblem(401, 'unauthorized')
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect(await run(url, 'SELECT count(*)::integer AS users FROM users')).toEqual([{ users: 1 }])
    expect(await run(url, 'SELECT FROM departed')).toEqual([])
    expect((await ben.get('his')).body).toBe('own')
  })

  it('asks the database twice for an upload and once for a download, beside the session', async () => {
    const { app, wire, ada } = await wiredApp({ QUOTA_BYTES: '1000' })
    const questionsOf = async (act: () => Promise<{ status: number }>, status: number) => {
      await app.settled()
      const before = wire.asked().length
      expect((await act()).status).toBe(status)
      return wire.asked().slice(before)
    }
    const [session, look, commit] = [/FROM sessions WHERE token_hash/, /FROM users JOIN key_slots/, /commit_file/].map(
      (pattern) => expect.stringMatching(pattern),
    )
    const refusedAtOnce = () => ada.put('file', 'bytes', { 'content-range': 'bytes 0-4/5' })
    expect(await questionsOf(refusedAtOnce, 400)).toEqual([session])
    expect(await questionsOf(() => ada.put('file', 'bytes'), 201)).toEqual([session, look, commit])
    expect(await questionsOf(() => ada.get('file'), 200)).toEqual([session, look])
  })

  it('asks the database as often for a form', async () => {
    const { app, wire, ada } = await wiredApp()
    await app.settled()
    const before = wire.asked().length
    const upload = { method: 'POST', ...form([{ name: 'file', filename: 'form', content: 'bytes' }]) }
    expect((await ada.request('/v1/files', upload)).status).toBe(201)
    expect(wire.asked().slice(before)).toHaveLength(3)
  })

  it('is not ready while the database is away, refuses what needs it, and goes on by itself', async () => {
    const { app, wire, ada } = await wiredApp()
    wire.cut()
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    const refused = await ada.get('first')
    expect(refused).toBeProblem(503, 'not-ready')
    expect(refused.headers['retry-after']).toBe('5')
    expect((await app.request('/health/live')).status).toBe(200)
    await wire.mend()
    expect((await app.request('/health/ready')).status).toBe(200)
    expect((await ada.get('first')).body).toBe('bytes')
  })

  it('answers while the database hangs', async () => {
    const { app, wire, ada } = await wiredApp()
    wire.hold('everything')
    expect(await ada.get('first')).toBeProblem(503, 'not-ready')
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    await wire.mend()
    expect((await ada.get('first')).body).toBe('bytes')
  })

  it('ends requests at their first act while the database is slow, and goes on by itself', async () => {
    const url = new URL(await emptySchema())
    const line = await faultyProxy({ host: url.hostname, port: Number(url.port) })
    url.port = String(line.port)
    const app = await testApp({ DATABASE_URL: url.href, MASTER_KEY })
    const ada = await member(app)
    await ada.put('first', 'bytes')
    // Each act is in time by itself, and two of them are not.
    line.delay(1100)
    await ada.get('first')
    expect(await ada.get('first')).toBeProblem(503, 'not-ready')
    expect((await app.request('/health/ready')).body).toMatchObject({ detail: 'Not working: database.' })
    expect(await app.post('/v1/sessions', { deviceId: 'some-device', pin: '0000' })).toBeProblem(503, 'not-ready')
    await line.heal()
    await expect.poll(async () => (await ada.get('first')).status, { timeout: 10_000 }).toBe(200)
    expect((await app.request('/health/ready')).status).toBe(200)
  })

  it('keeps the file of an upload whose commit was done and not answered', async () => {
    const { app, wire, ada } = await wiredApp()
    wire.holdOne(/commit_file/, 'answers')
    expect(await ada.put('doubtful', 'bytes')).toBeProblem(503, 'outcome-unknown')
    app.sweep()
    await app.settled()
    expect((await ada.get('doubtful')).body).toBe('bytes')
    expect(await blobsOnDisk(app)).toHaveLength(2)
  })

  it('lets no commit come late once its blob is swept', async () => {
    const { app, wire, ada } = await wiredApp()
    wire.holdOne(/commit_file/, 'everything')
    expect(await ada.put('doubtful', 'bytes')).toBeProblem(503, 'outcome-unknown')
    app.sweep()
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
    await wire.mend()
    expect(await ada.get('doubtful')).toBeProblem(404, 'file-not-found')
    expect((await ada.put('doubtful', 'bytes')).status).toBe(201)
  })

  it('begins another run where other processes have ended its own', async () => {
    const { url, app } = await postgresApp()
    const ada = await member(app)
    await ada.put('first', 'bytes')
    await run(url, 'UPDATE runs SET ended = true')
    expect(await ada.put('second', 'bytes')).toBeProblem(503, 'not-ready')
    expect((await ada.put('second', 'bytes')).status).toBe(201)
    await app.close()
    expect(await run(url, 'SELECT DISTINCT ended FROM runs')).toEqual([{ ended: true }])
  })

  it('names nothing that it received under a run that others have ended and forgotten', async () => {
    const { url, app } = await postgresApp()
    const ada = await member(app)
    let finish = () => {}
    const rest = new Promise<void>((resolve) => {
      finish = resolve
    })
    async function* inTwo() {
      yield '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nbytes\r\n--b\r\n'
      await rest
      yield 'Content-Disposition: form-data; name="name"\r\n\r\nphoto\r\n--b--\r\n'
    }
    const headers = { 'content-type': 'multipart/form-data; boundary=b' }
    const slow = ada.request('/v1/files', { method: 'POST', headers, body: Readable.from(inTwo()) })
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    // As those do who take this server for dead.
    await run(url, 'DELETE FROM runs')
    // Whoever fails now looks whether the run goes on.
    const authorization = `Bearer ${ada.token}`
    const leaving = wire(app.url)
    leaving.socket.write(head('PUT /v1/files/film', { authorization, 'content-length': 9_000_000 }))
    leaving.socket.write(randomBytes(3_000_000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(2)
    leaving.socket.destroy()
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    // Whoever fails looks whether the run goes on.
    expect(await ada.get('film')).toBeProblem(404, 'file-not-found')

    finish()
    expect(await slow).toBeProblem(503, 'not-ready')
    expect((await ada.put('photo', 'bytes')).status).toBe(201)
    expect((await ada.get('photo')).body).toBe('bytes')
  })

  it('shares its vault with other servers on the same database and files', async () => {
    const home = await temporaryFolder()
    const settings = { DATABASE_URL: await emptySchema(), MASTER_KEY }
    const [one, other] = [await testApp(settings, home), await testApp(settings, home)]
    const ada = await member(one)
    await ada.put('file', 'from one')
    const there = { headers: { authorization: `Bearer ${ada.token}` } }
    expect((await other.request('/v1/files/file', there)).body).toBe('from one')
    await other.request('/v1/files/file?replaced=discard', { ...there, method: 'PUT', body: 'from the other' })
    one.sweep()
    await Promise.all([one.settled(), other.settled()])
    expect((await ada.get('file')).body).toBe('from the other')
    expect(await blobsOnDisk(one)).toHaveLength(1)
  })

  it('lets its operator verify, count, sweep, rotate keys and remove users beside it', async () => {
    const { app } = await postgresApp()
    const ada = await member(app)
    await ada.put('file', 'bytes')
    const { vault, ports, alarms } = await operator(app)
    expect(await vault.verify(() => {})).toMatchObject({ users: 1, files: 1, damaged: [], orphans: [], usage: [] })
    expect(await ports.census()).toMatchObject({
      users: 1,
      sessions: 1,
      files: { count: 1, bytes: 5 },
      trash: { count: 0, bytes: 0 },
      runs: 1,
      holds: 0,
      readBack: { never: 0, failed: 0, oldestAt: app.clock() },
      schema: 14,
    })
    await vault.sweep()
    expect((await ada.get('file')).body).toBe('bytes')
    expect(await vault.handOutPin(ada.userId, ada.deviceId)).toMatchObject({ deviceId: ada.deviceId })

    const fresh = await operator(app, {
      MASTER_KEY: randomBytes(32).toString('base64'),
      MASTER_KEY_PREVIOUS: MASTER_KEY,
    })
    await expect(fresh.vault.rotate(async () => {})).rejects.toThrow('a running server cannot open')
    await app.close()
    expect(await fresh.vault.rotate(async () => {})).toMatchObject({ replaced: 2, sealing: [], purged: true })
    expect(await fresh.vault.removeUser(ada.userId)).toBe(true)
    expect(await blobsOnDisk(app)).toEqual([])
    expect([...alarms, ...fresh.alarms]).toEqual([])
  })

  it('leaves backups to the means of its engines', async () => {
    const { app } = await postgresApp()
    const folder = await temporaryFolder()
    await expect(backupTarget(app.config, folder)).rejects.toThrow('With DATABASE_URL, see docs/operating.md')
    await expect(backupSource(app.config, folder)).rejects.toThrow('With DATABASE_URL, see docs/operating.md')
  })

  it('says where the database is, and never who is let in', async () => {
    const url = new URL(await emptySchema())
    url.password = 'a-secret'
    const server = serverProcess(await temporaryFolder(), { DATABASE_URL: url.href, MASTER_KEY, RATE_LIMIT: 'off' })
    await server.url
    await expect.poll(server.output).toContain('no rate limit')
    expect(server.output()).toContain(`data in PostgreSQL at ${url.host}${url.pathname}, files in`)
    expect(server.output()).toContain('using PostgreSQL, pending PINs in memory')
    expect(server.output()).not.toMatch(/a-secret|DATA_DIR|made a master key/)
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  it('starts with a master key that it was given, and makes none', async () => {
    const server = serverProcess(await temporaryFolder(), { DATABASE_URL: await emptySchema() })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('with DATABASE_URL set MASTER_KEY or MASTER_KEY_FILE')
  })
})

it('does not start where there is no database, and says where it looked', async () => {
  const settings = { DATABASE_URL: 'postgres://ada:a-secret@127.0.0.1:1/vault', MASTER_KEY }
  const server = serverProcess(await temporaryFolder(), settings)
  expect(await server.exit).toBe(1)
  expect(server.output()).toContain('DATABASE_URL is 127.0.0.1:1/vault, which cannot be used')
  expect(server.output()).not.toContain('a-secret')
})

describePostgres('a server whose PostgreSQL takes no commits', () => {
  it('because its standby is away is not ready, refuses writes, serves reads, and goes on by itself', async () => {
    const { url } = await ownPostgresPair()
    const standby = async (name: string) => {
      await run(url, `ALTER SYSTEM SET synchronous_standby_names = '${name}'`)
      await run(url, 'SELECT pg_reload_conf()')
    }
    const app = await testApp({ DATABASE_URL: url, MASTER_KEY })
    const ada = await member(app)
    await ada.put('photo', 'sand')
    expect((await app.request('/health/ready')).status).toBe(200)
    await standby('nobody')
    expect(await ada.put('photo', 'more sand')).toBeProblem(503, 'outcome-unknown')
    const detail = async () => (await app.request('/health/ready')).body
    await expect.poll(detail).toMatchObject({ detail: 'Not working: database.' })
    const registration = { name: 'Ada', email: 'eve@example.org', deviceId: 'a-device-of-eve-00000000000000000' }
    const { pin } = (await app.post('/v1/users', registration)).body as { pin: string }
    for (let n = 0; n < 5; n += 1) {
      expect(await ada.put(`film-${n}`, 'x')).toBeProblem(503, 'not-ready')
      expect(await app.post('/v1/sessions', { deviceId: registration.deviceId, pin })).toBeProblem(503, 'not-ready')
    }
    expect((await ada.get('photo')).body).toBe('sand')
    // That of the refused upload, and that of the probe. The others did not reach the database.
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    expect((await run(url, waiting)).length).toBeLessThanOrEqual(2)

    await standby('*')
    await expect.poll(detail, { timeout: 10_000 }).toEqual({ status: 'ok' })
    expect((await ada.replace('photo', 'even more sand')).status).toBe(200)
  }, 60_000)
})
