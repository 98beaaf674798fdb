/** Several processes on PostgreSQL, Redis and S3 behind nginx: to its clients they are one server. */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { member, memberWith, newDeviceId, otherThan, paired, pinFrom, type Reachable } from '../support/app.ts'
import { cluster, describeCluster } from '../support/cluster.ts'
import type { Answer, Call } from '../support/http.ts'
import { run } from '../support/postgres.ts'
import type { ServerProcess } from '../support/process.ts'

interface ChangePage {
  changes: { file: { name: string } }[]
  nextCursor: string
}

const statuses = (answers: Answer[]) => answers.map(({ status }) => status).sort()
const signIn = (server: Reachable, deviceId: string, pin: string) => server.post('/v1/sessions', { deviceId, pin })

describeCluster('a cluster', { timeout: 120_000 }, () => {
  it('whose servers start together makes its schema once', async () => {
    const { nginx, servers, databaseUrl } = await cluster(4)
    expect(await run(databaseUrl, 'SELECT version FROM schema_version')).toHaveLength(1)
    const ada = await member(nginx)
    expect((await ada.put('file', 'bytes')).status).toBe(201)
    for (const server of servers) {
      const there = { headers: { authorization: `Bearer ${ada.token}` } }
      expect((await server.request('/v1/files/file', there)).body).toBe('bytes')
    }
  })

  it('redeems a PIN once, whoever issued it and whoever is asked', async () => {
    const { one, other, ada } = await pair({ PIN_MAX_ATTEMPTS: '10' })
    for (let round = 0; round < 10; round += 1) {
      const deviceId = newDeviceId()
      const pin = await pinFrom(ada, deviceId)
      const racing = Array.from({ length: 10 }, (_, n) => signIn(n % 2 ? one : other, deviceId, pin))
      expect(statuses(await Promise.all(racing))).toEqual([201, ...Array(9).fill(401)])
      expect(await signIn(other, deviceId, pin)).toBeProblem(401, 'invalid-pin')
    }
  })

  it('counts wrong guesses together', async () => {
    const { one, other, ada } = await pair()
    const deviceId = newDeviceId()
    const pin = await pinFrom(ada, deviceId)
    for (const server of [one, other, one, other, one]) await signIn(server, deviceId, otherThan(pin))
    expect(await signIn(other, deviceId, pin)).toBeProblem(401, 'invalid-pin')
  })

  it('knows at once, everywhere, that a session is over, and cuts what it has under way', async () => {
    const { one, other, ada } = await pair()
    await ada.put('film', randomBytes(40_000_000))
    for (let round = 0; round < 5; round += 1) {
      const phone = await paired(other, ada)
      expect((await phone.request('/v1/me')).status).toBe(200)
      await ada.request(`/v1/sessions/${phone.sessionId}`, { method: 'DELETE' })
      for (const server of [one, other]) {
        const answer = await server.request('/v1/me', { headers: { authorization: `Bearer ${phone.token}` } })
        expect(answer).toBeProblem(401, 'unauthorized')
      }
    }
    const lost = await paired(other, ada)
    const headers = { authorization: `Bearer ${lost.token}` }
    const url = `${await other.url}/v1/files/film`
    const film = await new Promise<IncomingMessage>((resolve) => void get(url, { headers }, resolve))
    await ada.request(`/v1/sessions/${lost.sessionId}`, { method: 'DELETE' })
    // So slowly that it comes to no other end.
    const reading = async () => {
      for await (const _ of film) await pause(50)
    }
    await expect(reading()).rejects.toThrow('aborted')
  })

  it('tells a client that waits for changes at one server what another client does at the other', async () => {
    const { one, other, ada } = await pair()
    const waiter = memberWith(one, ada)
    const writer = memberWith(other, ada)
    const feed = async (query: string) => (await waiter.request(`/v1/changes?${query}`)).body as ChangePage
    let { nextCursor: cursor } = await feed('')
    for (const name of ['a', 'b', 'c']) {
      const waiting = feed(`cursor=${cursor}&wait=50`)
      await pause(200)
      await writer.put(name, name)
      const page = await waiting
      expect(page.changes.map(({ file }) => file.name)).toEqual([name])
      cursor = page.nextCursor
    }
  })

  it('has limits in common, for each client', async () => {
    const { nginx } = await cluster(2, { RATE_LIMIT: 'on', RATE_LIMITS: 'sign-in=20/1m' })
    const body = JSON.stringify({ deviceId: 'nobodys-device', pin: '0000' })
    const guess = (from: string) => {
      const headers = { 'content-type': 'application/json' }
      return nginx.request('/v1/sessions', { method: 'POST', headers, body, from })
    }
    const answers = statuses(await Promise.all(Array.from({ length: 50 }, () => guess('127.0.0.2'))))
    expect(answers).toEqual([...Array(20).fill(401), ...Array(30).fill(429)])
    expect((await guess('127.0.0.3')).status).toBe(401)
    expect(new Set(nginx.passages().flatMap((passage) => passage.servers)).size).toBe(2)
  })

  it('loses a server in the middle of everything, and nothing else', async () => {
    const { nginx, servers, databaseUrl, restart, expectSound } = await cluster(2)
    const ada = await member(nginx)
    const lanes = Array.from({ length: 4 }, (_, n) => lane(nginx, { authorization: `Bearer ${ada.token}` }, n))
    const acted = (count: number) => {
      const from = lanes.map(({ acts }) => acts())
      const enough = () => lanes.every(({ acts }, n) => acts() >= (from[n] as number) + count)
      return expect.poll(enough, { timeout: 60_000, interval: 20 }).toBe(true)
    }
    const addresses = await Promise.all(servers.map(async ({ url }) => new URL(await url).host))
    const answersOf = (n: number) =>
      nginx.passages().filter(({ servers, status }) => servers.at(-1) === addresses[n] && status < 300).length

    await acted(5)
    await servers[0]?.stop('SIGKILL')
    await acted(5)
    await restart(0)
    const before = answersOf(0)
    await expect.poll(() => answersOf(0), { timeout: 30_000 }).toBeGreaterThan(before)
    expect(await servers[1]?.stop('SIGTERM')).toBe(0)
    await acted(5)
    await restart(1)
    await acted(2)

    const kept = await Promise.all(lanes.map(({ end }) => end()))
    const failed = nginx.passages().filter(({ status }) => status >= 500)
    expect(failed.filter((passage) => passage.servers.every((address) => address === addresses[1]))).toEqual([])
    for (const [name, digest] of kept.flatMap((files) => [...files])) {
      expect(sha256((await ada.get(name)).bytes), name).toBe(digest)
    }
    for (const server of servers) expect(await server.stop('SIGTERM')).toBe(0)
    await run(databaseUrl, "UPDATE runs SET beat_at = beat_at - interval '1 hour'")
    await expectSound()
  })
})

/** Two servers, and somebody who is signed in. */
async function pair(settings: Record<string, string> = {}) {
  const { servers } = await cluster(2, settings)
  const [one, other] = servers as [ServerProcess, ServerProcess]
  return { one, other, ada: await member(one) }
}

interface Lane {
  /** How many acts were acknowledged. */
  acts(): number
  /** Ends it, and answers what it has by name. */
  end(): Promise<Map<string, string>>
}

/** Uploads, replaces and reads, one after another, and tries again where it is told to, or told nothing. */
function lane(server: Reachable, headers: Record<string, string>, n: number): Lane {
  const kept = new Map<string, string>()
  let acts = 0
  let over = false
  const working = (async () => {
    while (!over) {
      const name = `lane-${n}-${randomInt(5)}`
      const body = randomBytes(randomInt(10) === 0 ? 2_000_000 : randomInt(100_000))
      await acknowledged(`/v1/files/${name}`, { method: 'PUT', headers, body }, [200, 201])
      kept.set(name, sha256(body))
      const { bytes } = await acknowledged(`/v1/files/${name}`, { headers }, [200])
      expect(sha256(bytes)).toBe(kept.get(name))
      acts += 1
    }
    return kept
  })()
  working.catch(() => {})
  return {
    acts: () => acts,
    end() {
      over = true
      return working
    },
  }

  async function acknowledged(path: string, call: Call, usual: number[]): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      const answer = await server.request(path, call).catch((error: Error) => error)
      if (!(answer instanceof Error) && usual.includes(answer.status)) return answer
      const mayTryAgain = answer instanceof Error || (answer.status === 503 && answer.headers['retry-after'])
      if (!mayTryAgain || tries === 20) throw new Error(`${call.method} ${path}: ${JSON.stringify(answer)}`)
      await pause(100)
    }
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
