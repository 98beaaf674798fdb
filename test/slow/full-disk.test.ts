import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, type TestContext } from 'vitest'
import { blobsOnDisk, form, type Member, MINUTE, member, type TestApp, testApp } from '../support/app.ts'
import { type Disk, smallDisk } from '../support/disk.ts'
import { call } from '../support/http.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const RESERVE_BYTES = 8 * MiB

const WAYS = {
  raw: (ada: Member, bytes: Buffer) => ada.put('film', bytes),
  'as a form': (ada: Member, bytes: Buffer) =>
    ada.request('/v1/files', { method: 'POST', ...form([{ name: 'file', filename: 'film', content: bytes }]) }),
}

describe('an upload that does not fit the disk', () => {
  it.for(Object.entries(WAYS))('is refused %s, and nothing of it is kept', async ([, upload], { skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    await ada.put('photo', 'sand')
    disk.fill(4 * MiB)
    expect(await upload(ada, randomBytes(6 * MiB))).toBeProblem(507, 'insufficient-storage')
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect(disk.freeBytes()).toBeGreaterThan(3 * MiB)
    expect((await upload(ada, randomBytes(MiB))).status).toBe(201)
    expect((await ada.get('photo')).body).toBe('sand')
  })

  it.for([
    ['raw', 'PUT /v1/files/film', 'video/mp4', ''],
    [
      'as a form',
      'POST /v1/files',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="film"\r\n\r\n',
    ],
  ] as const)('hears of it while it is still being sent %s', async ([, line, type, start], { skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    disk.fill(2 * MiB)
    const film = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, 'content-length': 1000 * MiB }
    film.socket.write(head(line, headers) + start)
    film.socket.write(randomBytes(4 * MiB))
    expect(await film.until('insufficient-storage')).toMatch(/^HTTP\/1\.1 507 .*connection: close/is)
    film.socket.end()
    await film.ended
    expect(film.fault()).toBeNull()
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
  })

  it('of many at once leaves those whole that were acknowledged, and nothing else', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    const contents = Array.from({ length: 16 }, () => randomBytes(5 * MiB))
    const answers = await Promise.all(contents.map((bytes, n) => ada.put(`film-${n}`, bytes)))
    const stored = answers.flatMap(({ status }, n) => (status === 201 ? [n] : []))
    expect(answers.filter(({ status }) => status === 507)).toHaveLength(16 - stored.length)
    expect(stored.length).toBeLessThan(16)
    for (const n of stored) expect((await ada.get(`film-${n}`)).bytes.equals(contents[n] as Buffer)).toBe(true)
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(stored.length)
    await expectSound(app, disk)
  })
})

describe('on a full disk', () => {
  it('reads and whatever brings room back go on, and uploads are taken again by themselves', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    const phone = await member(app)
    await ada.put('photo', 'sand')
    await ada.put('old', 'older')
    disk.fill()
    const deletes = [
      () => ada.request('/v1/files/old', { method: 'DELETE' }),
      () => ada.request('/v1/trash', { method: 'DELETE' }),
      () => phone.request('/v1/sessions/current', { method: 'DELETE' }),
    ]
    for (const remove of deletes) expect((await remove()).status).toBe(204)

    expect((await phone.get('photo')).status).toBe(401)
    expect(existsSync(reserveOf(app))).toBe(false)
    disk.fill()
    app.clock.turn(2 * MINUTE)
    expect((await ada.get('photo')).body).toBe('sand')
    expect((await ada.request('/v1/files')).status).toBe(200)
    expect(await ada.put('photo', '')).toBeProblem(507, 'insufficient-storage')
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect(app.log.join()).toContain(`the disk of ${app.config.DATA_DIR} is full: its reserve is given up`)

    disk.free()
    await expect.poll(async () => (await ada.put('photo', 'more sand')).status).toBe(200)
    expect(statSync(reserveOf(app)).size).toBe(RESERVE_BYTES)
    expect(app.log.join()).toContain(`there is room in ${app.config.DATA_DIR} again`)
    await expectSound(app, disk)
  })

  it('devices sign out for as long as there are any', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const devices = await Promise.all(Array.from({ length: 200 }, () => member(app)))
    disk.fill()
    for (const device of devices) {
      expect((await device.request('/v1/sessions/current', { method: 'DELETE' })).status).toBe(204)
    }
    disk.free()
    await expectSound(app, disk)
  })

  it('without room for anything the refusal is a clear one, and nothing has changed', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    await ada.put('photo', 'sand')
    rmSync(reserveOf(app))
    disk.fill()
    const signOut = () => ada.request('/v1/sessions/current', { method: 'DELETE' })
    expect(await signOut()).toBeProblem(507, 'insufficient-storage')
    expect((await ada.get('photo')).body).toBe('sand')
    disk.free()
    expect((await signOut()).status).toBe(204)
    await expectSound(app, disk)
  })

  it.for(Object.keys(WAYS))('an upload %s is refused before its body is sent', async (way, { skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await withoutReserve(app, disk)
    const film = wire(app.url)
    const [line, type] =
      way === 'raw' ? ['PUT /v1/files/film', 'video/mp4'] : ['POST /v1/files', 'multipart/form-data; boundary=b']
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type as string }
    film.socket.write(head(line as string, { ...headers, 'content-length': 9, expect: '100-continue' }))
    expect(await film.ended).toMatch(/^HTTP\/1\.1 507 /)
  })

  it('an upload under way does not take the room that was given up', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    const ada = await member(app)
    const film = wire(app.url)
    film.socket.write(
      head('PUT /v1/files/film', { authorization: `Bearer ${ada.token}`, 'content-length': 1000 * MiB }),
    )
    film.socket.write(randomBytes(2 * MiB))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    await withoutReserve(app, disk)
    film.socket.write(randomBytes(2 * MiB))
    await film.until('insufficient-storage')
    film.socket.destroy()
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
    expect(disk.freeBytes()).toBeGreaterThan(6 * MiB)
  })

  it('the server is alive, not ready, and says what it lacks', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    await withoutReserve(app, disk)
    disk.fill()
    const answer = await app.request('/health/ready')
    expect(answer).toBeProblem(503, 'not-ready')
    expect(answer.body).toMatchObject({ detail: 'Not working: space.' })
    expect((await app.request('/health/live')).status).toBe(200)
    disk.free()
    await expect.poll(async () => (await app.request('/health/ready')).status).toBe(200)
  })
})

describe('of two disks', () => {
  it('the full one of the uploads leaves the database alone', async ({ skip }) => {
    const [data, uploads] = [smallDisk(skip), smallDisk(skip)]
    const app = await testApp({ DATA_DIR: data.path, UPLOADS_DIR: uploads.path })
    const ada = await member(app)
    await ada.put('photo', 'sand')
    uploads.fill()
    expect(await ada.put('photo', 'more sand')).toBeProblem(507, 'insufficient-storage')
    expect((await ada.get('photo')).body).toBe('sand')
    expect(existsSync(reserveOf(app))).toBe(true)
    uploads.free()
    expect((await ada.put('photo', 'more sand')).status).toBe(200)
    await expectSound(app, data)
  })

  it('the full one of the database keeps uploads out, and takes their bytes from the other', async ({ skip }) => {
    const [data, uploads] = [smallDisk(skip), smallDisk(skip)]
    const app = await testApp({ DATA_DIR: data.path, UPLOADS_DIR: uploads.path })
    const ada = await member(app)
    const phone = await member(app)
    rmSync(reserveOf(app))
    data.fill()
    expect(await ada.put('photo', 'sand')).toBeProblem(507, 'insufficient-storage')
    expect((await blobsOnDisk(app)).filter((name) => name !== 'foreign')).toEqual([])
    expect(await ada.put('photo', 'sand')).toBeProblem(507, 'insufficient-storage')
    data.free()
    expect((await phone.request('/v1/sessions/current', { method: 'DELETE' })).status).toBe(204)
    await expect.poll(async () => (await ada.put('photo', 'sand')).status).toBe(201)
    await expectSound(app, data)
  })
})

describe('a server that starts on a full disk', () => {
  it('gives its reserve up, hands out what it has, and takes uploads once there is room', async ({ skip }) => {
    const { app: first, disk } = await onOneDisk(skip)
    const known = await member(first)
    await known.put('photo', 'sand')
    await first.close()
    disk.fill()

    const app = await testApp({}, disk.path)
    const ada = again(app, known)
    expect(existsSync(reserveOf(app))).toBe(false)
    expect((await ada('GET', 'photo')).body).toBe('sand')
    expect(await ada('PUT', 'film')).toBeProblem(507, 'insufficient-storage')
    disk.free()
    await expect.poll(async () => (await ada('PUT', 'film')).status).toBe(201)
    await expectSound(app, disk)
  })

  it('does without a reserve, and without room for a single row', async ({ skip }) => {
    const { app: first, disk } = await onOneDisk(skip)
    const known = await member(first)
    await known.put('photo', 'sand')
    await first.close()
    rmSync(reserveOf(first))
    // What SQLite needs to open a database, and a little less than it needs to write to it.
    disk.fill(36 * 1024)

    const app = await testApp({}, disk.path)
    const ada = again(app, known)
    expect((await ada('GET', 'photo')).body).toBe('sand')
    expect(await ada('PUT', 'film')).toBeProblem(507, 'insufficient-storage')
    disk.free()
    await expect.poll(async () => (await ada('PUT', 'film')).status).toBe(201)
    await expectSound(app, disk)
  })

  it('says so where there is no room to open the database', async ({ skip }) => {
    const { app, disk } = await onOneDisk(skip)
    await app.close()
    rmSync(reserveOf(app))
    disk.fill()
    const server = serverProcess(disk.path)
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('DATA_DIR is ./data, which cannot be used: the disk of ./data is full')
  })

  it('after it was killed on one has lost nothing that it acknowledged', async ({ skip }) => {
    const disk = smallDisk(skip)
    const first = serverProcess(disk.path)
    const headers = await signedIn(first)
    const contents = Array.from({ length: 40 }, () => randomBytes(2 * MiB))
    const put = (n: number) =>
      first.request(`/v1/files/film-${n}`, { method: 'PUT', headers, body: contents[n] as Buffer })
    // Alone, these fit. All others at once may fill the disk before one of them is whole.
    const answers = [await put(0), await put(1), await put(2)]
    answers.push(...(await Promise.all(contents.slice(3).map((_, n) => put(n + 3)))))
    const stored = answers.flatMap(({ status }, n) => (status === 201 ? [n] : []))
    expect(stored.slice(0, 3)).toEqual([0, 1, 2])
    expect(stored.length).toBeLessThan(contents.length)
    disk.fill()
    await first.stop('SIGKILL')

    const app = await testApp({}, disk.path)
    for (const n of stored) {
      const film = await app.request(`/v1/files/film-${n}`, { headers })
      expect(film.bytes.equals(contents[n] as Buffer)).toBe(true)
    }
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(stored.length)
    disk.free()
    await expectSound(app, disk)
  })
})

it('goes on where its log does not fit the disk, and logs again once it does', async ({ skip }) => {
  const disk = smallDisk(skip)
  const port = await freePort()
  serverProcess(disk.path, { PORT: String(port) }, { under: ['sh', '-c', 'exec "$@" >> server.log', 'sh'] })
  const url = `http://127.0.0.1:${port}`
  const alive = () =>
    call(`${url}/health/live`).then(
      ({ status }) => status,
      () => 0,
    )
  await expect.poll(alive, { timeout: 20_000 }).toBe(200)
  disk.fill()
  const logged = () => call(`${url}/nowhere`)
  // More than the rest of the log's last page.
  for (let n = 0; n < 60; n += 1) expect((await logged()).status).toBe(404)
  const full = readFileSync(join(disk.path, 'server.log')).length
  disk.free()
  expect((await logged()).status).toBe(404)
  await expect.poll(() => readFileSync(join(disk.path, 'server.log')).length).toBeGreaterThan(full)
})

async function onOneDisk(skip: TestContext['skip']): Promise<{ app: TestApp; disk: Disk }> {
  const disk = smallDisk(skip)
  return { app: await testApp({}, disk.path), disk }
}

const reserveOf = ({ config }: TestApp) => join(config.DATA_DIR, 'reserve')

/** Fills the disk until the reserve is given up, and answers a member who is signed in. */
async function withoutReserve(app: TestApp, disk: Disk): Promise<Member> {
  const [ada, ben] = [await member(app), await member(app)]
  disk.fill()
  expect((await ben.request('/v1/sessions/current', { method: 'DELETE' })).status).toBe(204)
  expect(existsSync(reserveOf(app))).toBe(false)
  return ada
}

/** The member's requests to a later life of the server. */
function again(app: TestApp, { token }: Member) {
  return (method: string, name: string) =>
    app.request(`/v1/files/${name}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(method === 'PUT' && { body: 'bytes' }),
    })
}

/** Closes the app and asks SQLite about the whole database. */
async function expectSound(app: TestApp, disk: Disk) {
  await app.close()
  if (existsSync(join(disk.path, 'foreign'))) disk.free()
  const db = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'))
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
  db.close()
}

async function freePort(): Promise<number> {
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  const { port } = holder.address() as { port: number }
  await new Promise((resolve) => holder.close(resolve))
  return port
}
