import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { member, temporaryFolder, testApp } from '../support/app.ts'
import { filesBelow } from '../support/disk.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const CLIENTS = 250
const BYTES = randomBytes(100_000)

describe('a process that may have 200 files open', () => {
  it('answers every one of many clients at once, and none after that with a refusal', async () => {
    const { server, folder, headers } = await crowdedServer()
    const answers = await Promise.all(
      Array.from({ length: CLIENTS }, (_, n) =>
        n % 2 === 0
          ? server.request('/v1/files/photo', { headers })
          : server.request(`/v1/files/film-${n}`, { method: 'PUT', headers, body: BYTES }),
      ),
    )
    for (const answer of answers.filter(({ status }) => status !== 200 && status !== 201)) {
      expect(answer).toBeProblem(503, 'not-ready')
      expect(answer.headers['retry-after']).toBe('5')
    }
    const downloads = answers.filter(({ status }) => status === 200)
    expect(downloads.length).toBeGreaterThan(0)
    for (const { bytes } of downloads) expect(bytes.equals(BYTES)).toBe(true)

    const stored = answers.flatMap(({ status }, n) => (status === 201 ? [n] : []))
    for (const n of stored) {
      expect((await server.request(`/v1/files/film-${n}`, { headers })).bytes.equals(BYTES)).toBe(true)
    }
    await expect.poll(() => filesBelow(join(folder, 'uploads'))).toHaveLength(1 + stored.length)
    expect((await server.request('/health/ready')).status).toBe(200)
    expect(await server.stop('SIGTERM')).toBe(0)
  })

  it('serves those it took while others only hold connections, and everybody once they leave', async () => {
    const { server, headers } = await crowdedServer()
    const url = await server.url
    const holding = Array.from({ length: CLIENTS }, () => wire(url))
    // They are taken in the order in which they come.
    await wire(url).until('not-ready')
    for (const { socket } of holding) {
      if (socket.writable) socket.write(head('GET /v1/files/photo', { ...headers, connection: 'close' }))
    }
    const answers = await Promise.all(holding.map(({ ended }) => ended))
    expect(answers.filter((answer) => answer.startsWith('HTTP/1.1 200 '))).not.toHaveLength(0)
    expect(answers.filter((answer) => !/^HTTP\/1\.1 (200|503) /.test(answer))).toEqual([])
    expect(server.output()).not.toContain('EMFILE')
    await expect.poll(async () => (await server.request('/v1/files/photo', { headers })).status).toBe(200)
  })
})

it.each(['EMFILE', 'ENFILE'])('a file that cannot be opened for %s is a 503', async (code) => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('photo', 'sand')
  const { open } = app.ports.blobs
  app.ports.blobs.open = async () => {
    throw Object.assign(new Error('too many open files'), { code })
  }
  const answer = await ada.get('photo')
  expect(answer).toBeProblem(503, 'not-ready')
  expect(answer.headers['retry-after']).toBe('5')
  app.ports.blobs.open = open
  expect((await ada.get('photo')).body).toBe('sand')
})

it('a connection that the system could not hand over does not end the process', async () => {
  const app = await testApp()
  app.server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))
  expect((await app.request('/health/live')).status).toBe(200)
  expect(app.log.join()).toContain('accepting a connection failed')
})

/** A server with a member who has the file `photo`, in a process that may not open many files. */
async function crowdedServer() {
  const folder = await temporaryFolder()
  const server = serverProcess(folder, {}, { under: ['prlimit', '--nofile=200:200'] })
  const headers = await signedIn(server)
  expect((await server.request('/v1/files/photo', { method: 'PUT', headers, body: BYTES })).status).toBe(201)
  return { server, folder, headers }
}
