/** An upload whose session ends in the middle is a 401 that its client can read, and leaves nothing. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { blobsOnDisk, member, paired, SESSIONS_CHECKED_OFTEN, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const ORIGIN = 'https://app.example.org'

const RAW = { method: 'PUT', path: '/v1/files/slow', type: 'image/jpeg', beginning: '', end: '' }
const FORM = {
  method: 'POST',
  path: '/v1/files',
  type: 'multipart/form-data; boundary=b',
  beginning: '--b\r\nContent-Disposition: form-data; name="file"; filename="slow"\r\n\r\n',
  end: '\r\n--b--\r\n',
}
type Upload = typeof RAW

/** A server with a user who has two devices; the one that uploads is signed out by the other. */
async function scene() {
  const app = await testApp({ CORS_ORIGINS: ORIGIN }, undefined, SESSIONS_CHECKED_OFTEN)
  const ada = await member(app)
  const lost = await paired(app, ada)
  return {
    app,
    authorization: `Bearer ${lost.token}`,
    async signOut() {
      await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
      expect((await ada.request(`/v1/sessions/${lost.sessionId}`, { method: 'DELETE' })).status).toBe(204)
    },
    async expectNothing() {
      await expect.poll(() => blobsOnDisk(app)).toEqual([])
      expect((await ada.request('/v1/files')).body).toEqual({ files: [], nextCursor: null })
      expect(app.log.filter((entry) => entry.includes('"level":50'))).toEqual([])
    },
  }
}

/** An upload of which some bytes are on the disk, and so many are yet to come. */
function begun(url: string, { method, path, type, beginning, end }: Upload, fields: object, bytesLeft: number) {
  const line = wire(url)
  const length = beginning.length + 3_000_000 + bytesLeft + end.length
  line.socket.write(head(`${method} ${path}`, { ...fields, 'content-type': type, 'content-length': length }))
  line.socket.write(beginning)
  line.socket.write(randomBytes(3_000_000))
  return line
}

/** 64 KiB every few milliseconds, for ever. */
async function* endless({ beginning }: Upload) {
  yield Buffer.from(beginning)
  for (;;) {
    yield randomBytes(65_536)
    await pause(5)
  }
}

/** A look at the session takes seconds, so both ways are looked at together. */
const both = (test: (upload: Upload) => Promise<void>) => async () => {
  await Promise.all([RAW, FORM].map(test))
}

it(
  'is a 401 for a client that sends nothing any more',
  both(async (upload) => {
    const { app, authorization, signOut, expectNothing } = await scene()
    const line = begun(app.url, upload, { authorization, origin: ORIGIN, 'x-request-id': 'mine' }, 5_000_000)
    await signOut()
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 401 .*"code":"unauthorized","requestId":"mine"\}$/s)
    for (const field of ['connection: close', 'www-authenticate: bearer', `access-control-allow-origin: ${ORIGIN}`]) {
      expect(answer.toLowerCase()).toContain(`\r\n${field}\r\n`)
    }
    expect(line.fault()).toBeNull()
    await expectNothing()
  }),
)

it(
  'is a 401 and is not stored, where the rest of the body comes after the response',
  both(async (upload) => {
    const { app, authorization, signOut, expectNothing } = await scene()
    const line = begun(app.url, upload, { authorization }, 500_000)
    await signOut()
    const answer = await line.until('"requestId"')
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
    line.socket.write(randomBytes(500_000))
    line.socket.write(upload.end)
    expect(await line.ended).toBe(answer)
    expect(line.fault()).toBeNull()
    await expectNothing()
  }),
)

it(
  'is a 401 that http.request and fetch read while they send',
  both(async (upload) => {
    const { method, path, type } = upload
    const [one, other] = [await scene(), await scene()]
    const headersOf = ({ authorization }: typeof one) => ({ authorization, 'content-type': type })
    const requested = one.app.request(path, { method, headers: headersOf(one), body: Readable.from(endless(upload)) })
    const body = Readable.toWeb(Readable.from(endless(upload)))
    const options = { method, headers: headersOf(other), body, duplex: 'half' }
    const fetched = fetch(other.app.url + path, options as RequestInit)
    await Promise.all([one.signOut(), other.signOut()])
    expect(await requested).toBeProblem(401, 'unauthorized')
    const answer = await fetched
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'unauthorized' }])
    await Promise.all([one.expectNothing(), other.expectNothing()])
  }),
)

it(
  'is a 201 where all of it was there before',
  both(async (upload) => {
    const { app, authorization, signOut } = await scene()
    const { commit } = app.ports.files
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    let isWhole = false
    app.ports.files.commit = async (...args) => {
      isWhole = true
      await held
      return commit(...args)
    }
    const line = begun(app.url, upload, { authorization, connection: 'close' }, 0)
    line.socket.write(upload.end)
    await expect.poll(() => isWhole).toBe(true)
    await signOut()
    await pause(1000)
    expect(line.received()).toBe('')
    goOn()
    expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
  }),
)
