import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { blobsOnDisk, form, type Member, member, type TestApp, testApp } from '../support/app.ts'
import { atOnce } from '../support/at-once.ts'
import { iteration } from '../support/iteration.ts'
import { head, type Wire, wire } from '../support/wire.ts'

/** The server's own patience is counted in minutes. */
const HURRIED = { headerMs: 400, pace: { everyMs: 400, bodyBytes: 1024, checksPerWrite: 3 } }

/** On a busy machine these requests may be too slow, too. */
async function signedIn(app: TestApp): Promise<Member> {
  for (;;) {
    const owner = await member(app)
    if (owner.token) return owner
  }
}

const ada = JSON.stringify({ name: 'Ada', email: 'ada@example.org', deviceId: 'ios-6f1c2b9a4d8e4f7a' })

describe('a client that says next to nothing', () => {
  const silent = async (start: string) => {
    const app = await testApp({}, undefined, HURRIED)
    const line = wire(app.url)
    line.socket.write(start)
    if (start) trickle(line)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 408 .*"code":"request-timeout"/s)
  }

  const inBody = async (request: (owner: Member) => string) => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    const line = wire(app.url)
    line.socket.write(request(owner))
    trickle(line)
    expect(await line.ended).toMatch(/^HTTP\/1\.1 408 .*"code":"request-timeout"/s)
    await app.settled()
    expect(await blobsOnDisk(app)).toEqual([])
    expect(app.log.join('\n')).not.toContain('"level":50')
  }

  const afterwards = async (request: (owner: Member) => string, rest: string) => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    const line = wire(app.url)
    line.socket.write(request(owner))
    const answer = await line.until('"requestId"')
    line.socket.write(rest)
    expect(await line.ended).toBe(answer)
    await app.settled()
    expect(await owner.get('a')).toBeProblem(404, 'file-not-found')
  }

  atOnce({
    'after nothing gets a 408 and no more time': () => silent(''),
    'after half a header field gets a 408 and no more time': () => silent('GET /health/live HTTP/1.1\r\nx-long: '),
    'in the body of JSON gets a 408, and nothing is kept': () =>
      inBody(() => `${head('POST /v1/users', { 'content-type': 'application/json', 'content-length': ada.length })}{`),
    'in the body of an upload gets a 408, and nothing is kept': () =>
      inBody((owner) => head('PUT /v1/files/a', { ...tokenOf(owner), 'content-length': 100_000 })),
    'in the body of an upload of unknown length gets a 408, and nothing is kept': () =>
      inBody((owner) => `${head('PUT /v1/files/a', { ...tokenOf(owner), ...chunked })}ffff\r\n`),
    'in the body of a form gets a 408, and nothing is kept': () => inBody((owner) => startOfForm(owner)),
    'and sends the rest of an upload after the 408 has stored nothing': () =>
      afterwards((owner) => `${head('PUT /v1/files/a', { ...tokenOf(owner), 'content-length': 4 })}a`, 'bcd'),
    'and sends the rest of chunks after the 408 has stored nothing': () =>
      afterwards((owner) => `${head('PUT /v1/files/a', { ...tokenOf(owner), ...chunked })}4\r\na`, 'bcd\r\n0\r\n\r\n'),
  })

  it('is one of few that get their 408 in an iteration', async () => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    const refused = new Map<number, number>()
    app.server.on('request', (_request, response: ServerResponse) => {
      response.on('finish', () => void refused.set(iteration(), (refused.get(iteration()) ?? 0) + 1))
    })
    const lines = Array.from({ length: 100 }, () => wire(app.url))
    for (const { socket } of lines)
      socket.write(head('PUT /v1/files/a', { ...tokenOf(owner), 'content-length': 100_000 }))
    for (const { ended } of lines) expect(await ended).toMatch(/^HTTP\/1\.1 408 /)
    expect(Math.max(...refused.values())).toBeLessThan(65)
  })

  it('and reads next to nothing of a download is cut', async () => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    await owner.put('film', Buffer.alloc(30_000_000))
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files/film', tokenOf(owner)))
    await line.until('\r\n\r\n')
    line.socket.pause()
    await expect.poll(() => app.connections.at(-1)?.destroyed, { timeout: 10_000 }).toBe(true)
    line.socket.destroy()
  })
})

describe('a client that is slow', () => {
  it('uploads for as long as it takes', async () => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    const line = wire(app.url)
    line.socket.write(head('PUT /v1/files/a', { ...tokenOf(owner), 'content-length': 60_000, connection: 'close' }))
    for (let sent = 0; sent < 60_000; sent += 1000) {
      line.socket.write('x'.repeat(1000))
      await pause(30)
    }
    expect(await line.ended).toMatch(/^HTTP\/1\.1 201 /)
  })

  it('downloads for as long as it takes', async () => {
    const app = await testApp({}, undefined, HURRIED)
    const owner = await signedIn(app)
    await owner.put('film', Buffer.alloc(30_000_000))
    const line = wire(app.url)
    line.socket.write(head('GET /v1/files/film', { ...tokenOf(owner), connection: 'close' }))
    const nap = setInterval(() => {
      line.socket.pause()
      setTimeout(() => line.socket.resume(), 100)
    }, 110)
    onTestFinished(() => clearInterval(nap))
    expect((await line.ended).length).toBeGreaterThan(30_000_000)
  })

  it('is not blamed where the server is', async () => {
    const app = await testApp({}, undefined, { pace: { everyMs: 50, bodyBytes: 1024, checksPerWrite: 3 } })
    const owner = await signedIn(app)
    const { put } = app.ports.blobs
    app.ports.blobs.put = async (id, batches) => {
      await pause(400)
      return put(id, batches)
    }
    expect((await owner.put('a', Buffer.alloc(2_000_000))).status).toBe(201)
  })
})

describe('connections beyond what the server takes', () => {
  it('are refused with a 503 and closed, and taken again once the silent ones were closed', async () => {
    const app = await testApp({}, undefined, { headerMs: 3000, mostConnections: 20, networkShare: 1 })
    const silent = Array.from({ length: 20 }, () => wire(app.url))
    await expect.poll(() => app.connections.length).toBe(20)
    const refused = await Promise.all(Array.from({ length: 200 }, () => wire(app.url).ended))
    for (const answer of refused) expect(answer).toMatch(/^$|^HTTP\/1\.1 503 .*"not-ready"/s)
    expect(refused.filter((answer) => answer !== '')).not.toHaveLength(0)
    expect(app.log.filter((line) => line.includes('more than 20 connections'))).toHaveLength(1)
    await Promise.all(silent.map(({ ended }) => ended))
    await expect.poll(async () => (await app.request('/health/live')).status).toBe(200)
  })
})

const chunked = { 'transfer-encoding': 'chunked' }
const tokenOf = ({ token }: Member) => ({ authorization: `Bearer ${token}` })

/** The head of a form, and the first bytes of its file. */
function startOfForm(owner: Member): string {
  const { headers, body } = form([{ name: 'file', filename: 'a', content: 'x'.repeat(5000) }])
  const start = String(body).slice(0, 500)
  return head('POST /v1/files', { ...tokenOf(owner), ...headers, 'content-length': String(body).length }) + start
}

/** A byte now and then, until the connection ends. */
function trickle({ socket }: Wire) {
  const timer = setInterval(() => socket.write('x'), 50)
  socket.once('close', () => clearInterval(timer))
}
