import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { describe, expect, it, onTestFinished } from 'vitest'
import { certificateIn } from '../../src/adapters/disk/certificate.ts'
import { attempts, cached } from '../../src/plugins/metrics/figures.ts'
import { VERSION } from '../../src/version.ts'
import { DAY, MINUTE, member, newDeviceId, otherThan, pinFrom, temporaryFolder, testApp } from '../support/app.ts'
import { pathOf } from '../support/blobs.ts'
import { WEB_FOLDER } from '../support/build.ts'
import { newCertificate } from '../support/certificates.ts'
import { call } from '../support/http.ts'
import { measuredApp } from '../support/metrics.ts'
import { backedUp, databaseOf } from '../support/operator.ts'
import { describePostgres, emptySchema, run } from '../support/postgres.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024

describe('the port of the metrics', () => {
  it('is closed by default, and the port of the server never serves them', async () => {
    const off = await testApp()
    expect(off.log.join('\n')).not.toContain('metrics at')
    expect(await off.request('/metrics')).toBeProblem(404, 'not-found')
    const { app } = await measuredApp()
    expect(await app.request('/metrics')).toBeProblem(404, 'not-found')
  })

  it('serves the format of Prometheus, at one path and to one method', async () => {
    const { url } = await measuredApp()
    const answer = await call(url)
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(answer.body).toContain(`minikeepsafe_build_info{version="${VERSION}"} 1`)
    expect((await call(`${url}?from=prometheus`)).status).toBe(200)
    expect((await call(url.replace('/metrics', '/v1/files'))).status).toBe(404)
    const posted = await call(url, { method: 'POST', body: 'x' })
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET'])
  })

  it('asks for its token, if there is one', async () => {
    const { url } = await measuredApp({}, {}, 'a-token')
    const as = (authorization: string) => call(url, { headers: { authorization } })
    const refused = await call(url)
    expect([refused.status, refused.headers['www-authenticate'], refused.body]).toEqual([401, 'Bearer', ''])
    for (const wrong of ['Bearer another', 'Bearer a-token2', 'Bearer', 'Basic a-token', 'a-token']) {
      expect((await as(wrong)).status).toBe(401)
    }
    expect((await as('Bearer a-token')).status).toBe(200)
  })

  it('answers while the port of the server has no room for more connections', async () => {
    const { app, scrape } = await measuredApp({}, { mostConnections: 2 })
    const { port } = new URL(app.url)
    for (let n = 0; n < 2; n += 1) {
      const socket = connect(Number(port), '127.0.0.1')
      onTestFinished(() => void socket.destroy())
    }
    await expect.poll(async () => (await scrape()).of('minikeepsafe_http_connections')).toBe(2)
    expect((await app.request('/health/live')).status).toBe(503)
  })

  it('closes a connection with requests that do not wait for a response, and answers others', async () => {
    const { url } = await measuredApp()
    const hasty = wire(url)
    hasty.socket.write(head('GET /metrics').repeat(50))
    expect((await hasty.ended).split('HTTP/1.1 200').length - 1).toBeLessThanOrEqual(1)
    const patient = wire(url)
    for (let n = 1; n <= 3; n += 1) {
      patient.socket.write(head('GET /metrics'))
      await expect.poll(() => patient.received().split('HTTP/1.1 200').length - 1).toBe(n)
      await expect.poll(() => patient.received().split('minikeepsafe_build_info{').length - 1).toBe(n)
      await expect.poll(() => patient.received().endsWith('\n')).toBe(true)
    }
    patient.socket.destroy()
  })

  it('is closed with the server', async () => {
    const { app, url } = await measuredApp()
    await app.close()
    await expect(call(url)).rejects.toThrow('ECONNREFUSED')
  })
})

describe('requests', () => {
  it('are counted by method, route and status, and timed by route', async () => {
    const { app, scrape } = await measuredApp()
    const ada = await member(app)
    await ada.put('beach.jpg', 'sand')
    await ada.get('beach.jpg')
    await ada.get('beach.jpg')
    await ada.get('absent.jpg')
    const { of } = await scrape()
    const route = 'route="/v1/files/:name"'
    expect(of(`minikeepsafe_http_requests_total{method="PUT",${route},status="201"}`)).toBe(1)
    expect(of(`minikeepsafe_http_requests_total{method="GET",${route},status="200"}`)).toBe(2)
    expect(of(`minikeepsafe_http_requests_total{method="GET",${route},status="404"}`)).toBe(1)
    expect(of(`minikeepsafe_http_request_duration_seconds_count{method="GET",${route}}`)).toBe(3)
    expect(of(`minikeepsafe_http_request_duration_seconds_bucket{le="600",method="GET",${route}}`)).toBe(3)
    expect(of('minikeepsafe_http_open_requests')).toBe(0)
    expect(of('minikeepsafe_problems_total{code="file-not-found"}')).toBe(1)
  })

  it('to unknown paths and by unknown methods make no series of their own', async () => {
    const { app, scrape } = await measuredApp()
    await app.request('/secret-path')
    await app.request('/v1/files', { method: 'PROPFIND' })
    await app.request('/v1/files/name', { method: 'LOCK' })
    const { text, of } = await scrape()
    expect(of('minikeepsafe_http_requests_total{method="none",route="none",status="404"}')).toBe(1)
    expect(of('minikeepsafe_http_requests_total{method="none",route="none",status="405"}')).toBe(2)
    expect(text).not.toMatch(/secret-path|PROPFIND|LOCK/)
  })

  it('for the parts of the web vault are one series', async () => {
    const { app, scrape } = await measuredApp({}, { web: WEB_FOLDER })
    await app.request('/')
    await app.request('/sw.js')
    await app.request('/manifest.webmanifest')
    await app.request('/health/live')
    const { of, text } = await scrape()
    expect(of('minikeepsafe_http_requests_total{method="GET",route="/",status="200"}')).toBe(1)
    expect(of('minikeepsafe_http_requests_total{method="GET",route="web-parts",status="200"}')).toBe(2)
    expect(of('minikeepsafe_http_requests_total{method="GET",route="/health/live",status="200"}')).toBe(1)
    expect(text).not.toContain('sw.js')
  })

  it('whose response breaks off are counted as broken, and are not open any more', async () => {
    const { app, scrape } = await measuredApp()
    const ada = await member(app)
    await ada.put('film', Buffer.alloc(3 * MiB))
    const path = await pathOf(app, ada, 'film')
    const blob = await readFile(path)
    await writeFile(path, blob.fill(0, 2 * MiB))
    await expect(ada.get('film')).rejects.toThrow()
    const broken = 'minikeepsafe_http_requests_total{method="GET",route="/v1/files/:name",status="broken"}'
    await expect.poll(async () => (await scrape()).of(broken)).toBe(1)
    const { of } = await scrape()
    expect(of('minikeepsafe_http_open_requests')).toBe(0)
    expect(of('minikeepsafe_damaged_reads_total{found="request"}')).toBe(1)
  })

  it('over quota are counted by the code of their problem', async () => {
    const { app, scrape } = await measuredApp({ QUOTA_BYTES: '10' })
    const ada = await member(app)
    expect((await scrape()).of('minikeepsafe_problems_total{code="quota-exceeded"}')).toBe(0)
    await ada.put('film', Buffer.alloc(11))
    expect((await scrape()).of('minikeepsafe_problems_total{code="quota-exceeded"}')).toBe(1)
  })
})

describe.each([
  ['HTTP', async () => measuredApp()],
  [
    'TLS',
    async () => {
      const files = newCertificate(await temporaryFolder())
      const tls = { read: certificateIn(files.cert, files.key), rereadMs: MINUTE }
      return measuredApp({ TLS_CERT: files.cert, TLS_KEY: files.key }, { tls })
    },
  ],
])('bytes over %s', (_protocol, start) => {
  it('are counted in both directions', async () => {
    const { app, scrape } = await start()
    const ada = await member(app)
    await ada.put('film', Buffer.alloc(MiB))
    await ada.get('film')
    await ada.get('film')
    await expect.poll(async () => (await scrape()).of('minikeepsafe_http_connections')).toBe(0)
    const { of } = await scrape()
    const [received = 0, sent = 0] = ['received', 'sent'].map((way) => of(`minikeepsafe_http_${way}_bytes_total`))
    expect(received).toBeGreaterThan(MiB)
    expect(received).toBeLessThan(1.1 * MiB)
    expect(sent).toBeGreaterThan(2 * MiB)
    expect(sent).toBeLessThan(2.1 * MiB)
  })
})

it('transfers are shown with the memory that they hold, and those that wait for it', async () => {
  const memory = { totalBytes: MiB, networkBytes: MiB, userBytes: MiB, waitMs: MINUTE, uploadBytes: MiB }
  const { app, scrape } = await measuredApp({}, { memory })
  const ada = await member(app)
  const bodies = [1, 2].map(() => {
    const body = new Readable({ read() {} })
    body.push(Buffer.alloc(100_000))
    return body
  })
  const uploads = bodies.map((body, n) => ada.request(`/v1/files/film-${n}`, { method: 'PUT', body }))
  await expect.poll(async () => (await scrape()).of('minikeepsafe_transfers{state="waiting"}')).toBe(1)
  const { of } = await scrape()
  expect(of('minikeepsafe_transfers{state="open"}')).toBe(1)
  expect(of('minikeepsafe_transfer_memory_bytes')).toBe(MiB)
  expect(of('minikeepsafe_transfer_memory_limit_bytes')).toBe(MiB)
  expect(of('minikeepsafe_http_open_requests')).toBe(2)
  for (const body of bodies) body.push(null)
  expect((await Promise.all(uploads)).map(({ status }) => status)).toEqual([201, 201])
  await expect.poll(async () => (await scrape()).of('minikeepsafe_transfers{state="open"}')).toBe(0)
})

describe('the vault', () => {
  it('counts PINs that are issued, right, wrong and unknown', async () => {
    const { app, scrape } = await measuredApp()
    const ada = await member(app)
    const deviceId = newDeviceId()
    const pin = await pinFrom(ada, deviceId)
    await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
    await app.post('/v1/sessions', { deviceId: newDeviceId(), pin })
    const { of } = await scrape()
    const counts = ['issued', 'right', 'wrong', 'none', 'paused'].map((event) =>
      of(`minikeepsafe_pins_total{event="${event}"}`),
    )
    expect(counts).toEqual([2, 1, 1, 1, 0])
  })

  it('counts pauses that wrong PINs cause', async () => {
    const { app, scrape } = await measuredApp({ PIN_DELIVERY: 'console', PIN_MAX_ATTEMPTS: '10' })
    const deviceId = newDeviceId()
    await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })
    await app.settled()
    const [, pin = ''] = /"pin":"(\d{4})"/.exec(app.log.join('\n')) ?? []
    for (let n = 0; n < 5; n += 1) await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
    const { of } = await scrape()
    expect(of('minikeepsafe_pins_total{event="wrong"}')).toBe(5)
    expect(of('minikeepsafe_pins_total{event="paused"}')).toBe(1)
  })

  it('counts sessions, files and bytes', async () => {
    const { app, scrape } = await measuredApp()
    const ada = await member(app)
    await member(app)
    await ada.put('a', 'sand')
    await ada.put('b', 'water')
    await ada.request('/v1/files/b', { method: 'DELETE' })
    const { of } = await scrape()
    expect(of('minikeepsafe_sessions')).toBe(2)
    expect(of('minikeepsafe_stored_files')).toBe(1)
    expect(of('minikeepsafe_stored_trash_files')).toBe(1)
    expect(of('minikeepsafe_stored_bytes')).toBe(9)
  })

  it('counts what the scrubber reads back and finds damaged, and shows which file has waited longest', async () => {
    const { app, scrape } = await measuredApp({ SCRUB_DAYS: '0.1' })
    const ada = await member(app)
    const since = app.clock() / 1000
    const oldest = async () => (await scrape()).of('minikeepsafe_oldest_unverified_timestamp_seconds')
    expect(await oldest()).toBeUndefined()
    await ada.put('good', 'sand')
    await ada.put('bad', 'water')
    app.clock.turn(MINUTE)
    await ada.put('late', 'stone')
    expect(await oldest()).toBe(since)
    const path = await pathOf(app, ada, 'bad')
    await writeFile(path, (await readFile(path)).fill(0, 50))
    const counts = async () => {
      const { of } = await scrape()
      return ['opened', 'damaged', 'gone'].map((outcome) =>
        of(`minikeepsafe_scrubber_files_total{outcome="${outcome}"}`),
      )
    }
    for (let tries = 0; tries < 50 && String(await counts()) !== '2,1,0'; tries += 1) {
      app.clock.turn(3 * MINUTE)
      await app.vault.scrub()
    }
    await app.vault.recordReadBacks()
    expect(await counts()).toEqual([2, 1, 0])
    const { of } = await scrape()
    expect(of('minikeepsafe_scrubber_read_bytes_total')).toBe(14)
    expect(of('minikeepsafe_damaged_reads_total{found="scrubber"}')).toBe(1)
    expect(of('minikeepsafe_scrubber_period_seconds')).toBe(8640)
    expect(await oldest()).toBeGreaterThanOrEqual(since + 60)
  })

  it('shows when it was swept last, and counts work that fails', async () => {
    const { app, scrape } = await measuredApp()
    await app.settled()
    databaseOf(app).exec('DROP TABLE tombstones')
    app.clock.turn(MINUTE)
    app.sweep()
    await app.settled()
    const { of } = await scrape()
    expect(of('minikeepsafe_sweeper_last_round_timestamp_seconds')).toBe(app.clock() / 1000)
    expect(of('minikeepsafe_sweeper_last_round_duration_seconds')).toBe(0)
    expect(of('minikeepsafe_background_failures_total{work="forgetting old changes"}')).toBe(1)
  })

  it('shows the time of the last backup, and nothing before there is one', async () => {
    const { app, scrape } = await measuredApp()
    const lastBackup = async () => (await scrape()).of('minikeepsafe_last_backup_timestamp_seconds')
    expect(await lastBackup()).toBeUndefined()
    await backedUp(app, join(await temporaryFolder(), 'backup'))
    const at = app.clock() / 1000
    expect(await lastBackup()).toBe(at)
    app.clock.turn(DAY)
    expect(await lastBackup()).toBe(at)
  })

  it('shows the bytes of its database and of its disks', async () => {
    const { scrape } = await measuredApp()
    const { of } = await scrape()
    for (const part of ['used', 'wal']) expect(of(`minikeepsafe_sqlite_bytes{part="${part}"}`)).toBeGreaterThan(0)
    expect(of('minikeepsafe_sqlite_bytes{part="free"}')).toBeGreaterThanOrEqual(0)
    for (const folder of ['data', 'uploads']) {
      const [size = 0, free = 0] = ['disk', 'disk_free'].map((name) =>
        of(`minikeepsafe_${name}_bytes{folder="${folder}"}`),
      )
      expect(free).toBeGreaterThan(0)
      expect(size).toBeGreaterThan(free)
    }
    expect(of('minikeepsafe_postgres_connections{state="idle"}')).toBeUndefined()
    expect(of('minikeepsafe_postgres_waiting_transactions')).toBeUndefined()
  })
})

it('a figure that cannot be had is absent, and counted', async () => {
  const { app, scrape } = await measuredApp()
  await member(app)
  databaseOf(app).exec('DROP TABLE last_backup')
  await scrape()
  const { of } = await scrape()
  expect(of('minikeepsafe_scrape_errors_total')).toBeGreaterThan(0)
  expect(of('minikeepsafe_last_backup_timestamp_seconds')).toBeUndefined()
  expect(of('minikeepsafe_sessions')).toBe(1)
})

it('a disk that cannot be asked hides no other figure', async () => {
  const { app, scrape } = await measuredApp()
  await rm(app.config.UPLOADS_DIR, { recursive: true })
  const { of } = await scrape()
  expect(of('minikeepsafe_disk_free_bytes{folder="uploads"}')).toBeUndefined()
  expect(of('minikeepsafe_disk_free_bytes{folder="data"}')).toBeGreaterThan(0)
  expect(of('minikeepsafe_sqlite_bytes{part="used"}')).toBeGreaterThan(0)
})

it('a figure that hangs is left out after a while, and asked for only once', async () => {
  let errors = 0
  let questions = 0
  const attempt = attempts(() => {
    errors += 1
  }, 10)
  const hanging = cached(() => {
    questions += 1
    return new Promise<number>(() => {})
  }, 0)
  expect(await attempt(hanging)).toBeNull()
  expect(await attempt(hanging)).toBeNull()
  expect([errors, questions]).toEqual([2, 1])
})

it('a figure from the database is kept for a while', async () => {
  const metrics = { host: '127.0.0.1', port: 0, token: null, figuresMs: DAY }
  const { app, scrape } = await measuredApp({}, { metrics })
  await member(app)
  expect((await scrape()).of('minikeepsafe_sessions')).toBe(1)
  await member(app)
  expect((await scrape()).of('minikeepsafe_sessions')).toBe(1)
})

it('metrics contain nothing about people, devices and files', async () => {
  const { app, scrape } = await measuredApp({ QUOTA_BYTES: '100' })
  const deviceId = `Jolanthe-phone-${newDeviceId()}`
  const person = { name: 'Jolanthe', email: 'jolanthe@secret.example.org', deviceId }
  const { pin } = (await app.post('/v1/users', person)).body as { pin: string }
  await app.post('/v1/sessions', { deviceId, pin: otherThan(pin) })
  const session = (await app.post('/v1/sessions', { deviceId, pin })).body as Record<string, string>
  const headers = { authorization: `Bearer ${session.token}`, 'user-agent': 'JolanthePhone' }
  const ask = (path: string, method = 'GET', body?: string | Buffer) =>
    app.request(path, { method, headers, ...(body && { body }) })
  const put = await ask('/v1/files/jolanthe-passport.pdf', 'PUT', 'sand')
  await ask('/v1/files/jolanthe-passport.pdf')
  await ask('/v1/files/jolanthe-film.mp4', 'PUT', Buffer.alloc(101))
  await ask('/jolanthe-path?jolanthe=query')
  await app.request('/v1/files', { headers: { authorization: `Bearer mks_jolanthe` } })
  const noise = wire(app.url)
  noise.socket.write(head('JOLANTHE /v1/files', { connection: 'close' }))
  await noise.ended
  const { text } = await scrape()
  expect(text).not.toMatch(/jolanthe|127\.0\.0\.1/i)
  const { id } = put.body as { id: string }
  for (const identity of [id, session.userId, session.sessionId, session.token, deviceId]) {
    expect(text).not.toContain(identity)
  }
  expect(text).not.toContain(`"${pin}"`)
})

describePostgres('with PostgreSQL', () => {
  it('the metrics show its connections, and a backup that is recorded as docs/operating.md says', async () => {
    const url = await emptySchema()
    const { app, scrape } = await measuredApp({ DATABASE_URL: url, MASTER_KEY: randomBytes(32).toString('base64') })
    await member(app)
    const before = Date.now() / 1000
    const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'operating.md'), 'utf8')
    const [, statement = ''] = /```sql\n(INSERT INTO last_backup .*)\n```/.exec(page) ?? []
    await run(url, statement)
    await run(url, statement)
    const { of } = await scrape()
    expect(of('minikeepsafe_postgres_connections{state="idle"}')).toBeGreaterThan(0)
    expect(of('minikeepsafe_postgres_waiting_transactions')).toBe(0)
    expect(of('minikeepsafe_last_backup_timestamp_seconds')).toBeGreaterThanOrEqual(Math.floor(before))
    expect(of('minikeepsafe_sessions')).toBe(1)
    expect(of('minikeepsafe_sqlite_bytes{part="used"}')).toBeUndefined()
  })
})
