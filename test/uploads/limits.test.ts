/** Uploads that a session, a quota or a disk stops: the offset stays, and the upload goes on once it may. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { expect, it, onTestFinished } from 'vitest'
import {
  blobsOnDisk,
  type Member,
  MINUTE,
  member,
  memberWith,
  paired,
  SESSIONS_CHECKED_OFTEN,
  type TestApp,
  testApp,
} from '../support/app.ts'
import { atOnce } from '../support/at-once.ts'
import { smallDisk } from '../support/disk.ts'
import {
  appending,
  asking,
  beginning,
  type Dialect,
  isComplete,
  type Sending,
  toldOffset,
} from '../support/resuming.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const NOTHING = Buffer.alloc(0)
const PROTOCOLS = ['tus', 6, 10] as const

const send = (ada: Member, { path, call }: Sending) => ada.request(path, call)

async function begun(ada: Member, dialect: Dialect, size?: number): Promise<string> {
  const piece = { bytes: NOTHING, isLast: false, ...(size !== undefined && { size }) }
  const answer = await send(ada, beginning(dialect, 'film', piece))
  expect(answer.status).toBe(201)
  return answer.headers.location as string
}

/** An append of which some bytes have arrived. */
async function halfAppended(app: TestApp, phone: Member, dialect: Dialect, path: string, bytes: Buffer) {
  const line = wire(app.url)
  onTestFinished(() => void line.socket.destroy())
  const { headers = {} } = appending(dialect, path, 0, { bytes: NOTHING, isLast: true }).call
  const fields = { ...headers, authorization: `Bearer ${phone.token}`, 'content-length': bytes.length }
  line.socket.write(head(`PATCH ${path}`, fields))
  line.socket.write(bytes.subarray(0, 3 * MiB))
  await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
  return line
}

/** The upload of a user goes on with another device. */
async function finish(ada: Member, dialect: Dialect, path: string, bytes: Buffer) {
  const offset = toldOffset(await send(ada, asking(dialect, path))) ?? -1
  expect(offset).toBeGreaterThan(0)
  expect(offset).toBeLessThanOrEqual(3 * MiB)
  const rest = { bytes: bytes.subarray(offset), isLast: true, size: bytes.length }
  expect(isComplete(await send(ada, appending(dialect, path, offset, rest)))).toBe(true)
  expect((await ada.get('film')).bytes.equals(bytes)).toBe(true)
}

const stopped = async (dialect: Dialect) => {
  const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
  const ada = await member(app)
  const lost = await paired(app, ada)
  const bytes = randomBytes(4 * MiB)
  const path = await begun(lost, dialect, bytes.length)
  const line = await halfAppended(app, lost, dialect, path, bytes)

  await ada.request(`/v1/sessions/${lost.sessionId}`, { method: 'DELETE' })
  expect(await line.ended).toMatch(/^HTTP\/1\.1 401 .*"code":"unauthorized"/s)
  expect(line.fault()).toBeNull()
  const again = { bytes: bytes.subarray(0, MiB), isLast: false, size: bytes.length }
  expect(await send(lost, appending(dialect, path, 0, again))).toBeProblem(401, 'unauthorized')
  await finish(ada, dialect, path, bytes)
}

atOnce({
  'an append stops when its device is signed out, in tus': () => stopped('tus'),
  'an append stops when its device is signed out, in 6': () => stopped(6),
  'an append stops when its device is signed out, in 10': () => stopped(10),
  'an append stops when its session expires': async () => {
    const app = await testApp({ SESSION_TTL_DAYS: '0.01' }, undefined, SESSIONS_CHECKED_OFTEN)
    const ada = await member(app)
    const phone = await paired(app, ada)
    const bytes = randomBytes(4 * MiB)
    const path = await begun(phone, 'tus', bytes.length)
    const line = await halfAppended(app, phone, 'tus', path, bytes)

    app.clock.turn(10 * MINUTE)
    await ada.request('/v1/me')
    app.clock.turn(10 * MINUTE)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 401 .*"code":"unauthorized"/s)
    await finish(ada, 'tus', path, bytes)
  },
})

it.for(PROTOCOLS)('a full quota refuses appends until files are deleted, in %s', async (dialect) => {
  const app = await testApp({ QUOTA_BYTES: String(3 * MiB) })
  const ada = await member(app)
  const bytes = randomBytes(2 * MiB)
  await ada.put('old', randomBytes(1.5 * MiB))
  const path = await begun(ada, dialect)
  const first = { bytes: bytes.subarray(0, MiB), isLast: false }
  expect((await send(ada, appending(dialect, path, 0, first))).status).toBeLessThan(300)

  const { call } = appending(dialect, path, MiB, { bytes: bytes.subarray(MiB), isLast: true, size: bytes.length })
  expect(await ada.request(path, call)).toBeProblem(507, 'quota-exceeded')
  // Without a length, the server finds out only when the bytes are there.
  const chunked = { ...call, body: Readable.from([bytes.subarray(MiB)]) }
  expect(await ada.request(path, chunked)).toBeProblem(507, 'quota-exceeded')
  expect(toldOffset(await send(ada, asking(dialect, path)))).toBe(MiB)
  await expect.poll(() => blobsOnDisk(app)).toHaveLength(2)

  await ada.request('/v1/files/old', { method: 'DELETE' })
  await ada.request('/v1/trash', { method: 'DELETE' })
  expect(isComplete(await ada.request(path, call))).toBe(true)
  expect((await ada.get('film')).bytes.equals(bytes)).toBe(true)
  expect((await ada.request('/v1/me')).body).toMatchObject({ usage: { files: 1, bytes: bytes.length } })
})

it('a full disk refuses an append, and the upload goes on once there is room', async ({ skip }) => {
  const disk = smallDisk(skip)
  const app = await testApp({}, disk.path)
  const ada = await member(app)
  const bytes = randomBytes(8 * MiB)
  const path = await begun(ada, 'tus', bytes.length)
  const first = { bytes: bytes.subarray(0, 2 * MiB), isLast: false }
  expect((await send(ada, appending('tus', path, 0, first))).status).toBe(204)
  disk.fill(2 * MiB)

  const rest = appending('tus', path, 2 * MiB, { bytes: bytes.subarray(2 * MiB), isLast: false })
  expect(await send(ada, rest)).toBeProblem(507, 'insufficient-storage')
  expect(toldOffset(await send(ada, asking('tus', path)))).toBe(2 * MiB)
  disk.free()
  await expect.poll(async () => (await send(ada, rest)).status).toBe(204)
  expect((await ada.get('film')).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => blobsOnDisk(app)).toHaveLength(2)
})

it.each(PROTOCOLS)('appends of one byte take no blob each (%s)', async (dialect) => {
  const before = await testApp()
  const ada = await member(before)
  const bytes = randomBytes(100_000)
  const path = await begun(ada, dialect)
  const upTo = (start: number, end: number, isLast = false) =>
    appending(dialect, path, start, {
      bytes: bytes.subarray(start, end),
      isLast,
      digest: 'right',
      ...(isLast && { size: bytes.length }),
    })
  for (let at = 0; at < 20; at += 1) expect((await send(ada, upTo(at, at + 1))).status).toBeLessThan(300)
  await expect.poll(() => blobsOnDisk(before)).toHaveLength(1)
  // Another process has not seen the first bytes, and reads them back.
  await before.close()
  const after = await testApp({}, join(before.config.DATA_DIR, '..'))
  const again = memberWith(after, ada)
  expect((await send(again, upTo(20, 99_990))).status).toBeLessThan(300)
  expect(toldOffset(await send(again, asking(dialect, path)))).toBe(99_990)
  await expect.poll(() => blobsOnDisk(after)).toHaveLength(1)
  expect(isComplete(await send(again, upTo(99_990, bytes.length, true)))).toBe(true)
  const file = await again.get('film')
  expect(file.bytes.equals(bytes)).toBe(true)
  await expect.poll(() => blobsOnDisk(after)).toHaveLength(2)
  expect((await again.request('/v1/me')).body).toMatchObject({ usage: { files: 1, bytes: bytes.length } })
})
