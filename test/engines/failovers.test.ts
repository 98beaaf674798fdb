/** Engines that fail over to another server, with and without what was written last. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { newDeviceId } from '../support/app.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { describeEngines, type Installation, installation } from '../support/installation.ts'
import { ownPostgresPair } from '../support/postgres.ts'
import { type ServerProcess, signedIn } from '../support/process.ts'
import { clientOf, ownRedis } from '../support/redis.ts'
import { trafficThrough } from '../support/traffic.ts'

const MiB = 1024 * 1024
/** Three parts. */
const FILM = randomBytes(20 * MiB)

const readiness = ({ servers }: Pick<Installation, 'servers'>) =>
  Promise.all(servers.map(async (server) => (await server.request('/health/ready')).status))

describeEngines('PostgreSQL that fails over', () => {
  it('to its synchronous standby loses nothing that was acknowledged, and nobody starts again', async () => {
    const pair = await ownPostgresPair()
    const { servers, lines, expectSound } = await installation({ database: pair.url })
    const traffic = await trafficThrough(servers)
    await pause(1000)
    pair.killPrimary()
    await expect.poll(() => readiness({ servers }), { timeout: 30_000 }).toEqual([503, 503])

    // The address leads there before it is promoted.
    lines.database.leadTo(pair.standbyPort)
    const { headers } = traffic
    const read = () => servers[0].request('/v1/files/small', { headers })
    await expect.poll(async () => (await read()).status, { timeout: 30_000 }).toBe(200)
    for (const server of servers) {
      const put = () => server.request('/v1/files/another', { method: 'PUT', headers, body: 'bytes' })
      // A connection to the old primary may break first.
      const answer = async () => {
        const { status, body } = await put()
        return { status, ...(body as object) }
      }
      await expect
        .poll(answer)
        .toMatchObject({ status: 503, code: 'not-ready', detail: expect.stringContaining('cannot be written') })
      expect((await server.request('/health/ready')).body).toMatchObject({ detail: 'Not working: database.' })
    }

    pair.promoteStandby()
    await expect.poll(() => readiness({ servers }), { timeout: 30_000 }).toEqual([200, 200])
    await pause(500)
    const seen = await traffic.sinceLast()
    expect(seen.filter(({ status }) => status === 503).length).toBeGreaterThan(0)
    const put = (server: ServerProcess) => server.request('/v1/files/new', { method: 'PUT', headers, body: 'bytes' })
    for (const server of servers) {
      await expect.poll(async () => (await put(server)).status, { timeout: 30_000 }).toBeLessThan(300)
    }
    await traffic.end()
    const url = new URL(pair.url)
    url.port = String(pair.standbyPort)
    await expectSound(url.href)
  }, 180_000)
})

describeEngines('Redis that', () => {
  it('fails over to a replica that lags has spent PINs back, which open nothing, and lacks others; what it has lost has to be asked for again', async () => {
    const [primary, replica] = [await ownRedis(), await ownRedis()]
    const link = await faultyProxy({ host: '127.0.0.1', port: portOf(primary.url) })
    const atReplica = clientOf(replica.url)
    await atReplica.replicaof('127.0.0.1', link.port)
    const { servers, lines, expectSound } = await installation({ redis: primary.url })
    const phone = await phoneOn(servers[0])
    const [spent, alsoSpent] = [await phone.pair(), await phone.pair()]
    const atPrimary = clientOf(primary.url)
    const keys = await atPrimary.keys('*:pin:*')
    atPrimary.disconnect()
    await expect.poll(() => atReplica.keys('*:pin:*'), { timeout: 30_000 }).toHaveLength(keys.length)

    link.hang()
    for (const used of [spent, alsoSpent]) expect(await signIn(servers[1], used)).toBe(201)
    const lost = await phone.pair()
    primary.kill()
    await expect.poll(() => signIn(servers[0], lost), { timeout: 30_000 }).toBe(503)
    for (const server of servers) expect((await phone.files(server)).status).toBe(200)
    await atReplica.replicaof('NO', 'ONE')
    lines.redis.leadTo(portOf(replica.url))
    await expect.poll(() => readiness({ servers }), { timeout: 30_000 }).toEqual([200, 200])

    expect(await atReplica.keys('*:pin:*')).toHaveLength(keys.length)
    const answers = await Promise.all(
      servers.flatMap((server) => [spent, alsoSpent, lost].map((pin) => signIn(server, pin))),
    )
    expect(answers).toEqual(Array(6).fill(401))
    expect(await signIn(servers[1], await phone.pair())).toBe(201)
    for (const server of servers) expect((await phone.files(server)).body).toMatchObject({ files: [{ name: 'kept' }] })

    const [forgotten, used] = [await phone.pair(), await phone.pair()]
    expect(await signIn(servers[1], used)).toBe(201)
    await atReplica.flushall()
    for (const pin of [forgotten, used]) expect(await signIn(servers[1], pin)).toBe(401)
    expect(await signIn(servers[0], await phone.pair())).toBe(201)
    for (const server of servers) expect((await phone.files(server)).body).toMatchObject({ files: [{ name: 'kept' }] })
    await expectSound()
  }, 120_000)
})

describeEngines('S3 that breaks off', () => {
  it('in the middle of an upload leaves nothing of it, and in the middle of a download goes on or ends it', async () => {
    const { servers, lines, expectSound } = await installation()
    const [server] = servers
    const headers = await signedIn(server)
    const put = (body: Readable | Buffer) => server.request('/v1/files/film', { method: 'PUT', headers, body })
    async function* halfAndHalf() {
      yield FILM.subarray(0, 12 * MiB)
      await pause(300)
      await lines.uploads.refuse()
      yield FILM.subarray(12 * MiB)
    }
    expect(await put(Readable.from(halfAndHalf()))).toBeProblem(503, 'not-ready')
    expect((await server.request('/v1/files', { headers })).body).toMatchObject({ files: [] })
    await lines.uploads.heal()
    await expect.poll(async () => (await put(FILM)).status, { timeout: 30_000 }).toBe(201)

    // The system's buffers could otherwise take the whole film before the connection breaks.
    lines.uploads.delay(10)
    const whole = await downloaded(server, headers, lines.uploads.cut)
    expect(whole?.equals(FILM)).toBe(true)
    expect(await downloaded(server, headers, lines.uploads.refuse)).toBeNull()
    await lines.uploads.heal()
    await expectSound()
  }, 120_000)
})

/** The film, with something that happens after its first bytes; `null` where it broke off. */
async function downloaded(server: ServerProcess, headers: Record<string, string>, meanwhile: () => unknown) {
  const request = get(`${await server.url}/v1/files/film`, { headers })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  expect(response.statusCode).toBe(200)
  await pause(300)
  await meanwhile()
  return buffer(response).catch(() => null)
}

interface Issued {
  deviceId: string
  pin: string
}

/** Somebody who is signed in, has a file, and pairs devices through one of the servers. */
async function phoneOn(server: ServerProcess) {
  const headers = await signedIn(server)
  const stored = await server.request('/v1/files/kept', { method: 'PUT', headers, body: 'bytes' })
  expect(stored.status).toBe(201)
  return {
    files: (from: ServerProcess) => from.request('/v1/files', { headers }),
    async pair(): Promise<Issued> {
      const deviceId = newDeviceId()
      const answer = await server.post('/v1/pins', { deviceId }, headers)
      expect(answer.status).toBe(201)
      return answer.body as Issued
    },
  }
}

async function signIn(server: ServerProcess, { deviceId, pin }: Issued): Promise<number> {
  return (await server.post('/v1/sessions', { deviceId, pin })).status
}

const portOf = (url: string) => Number(new URL(url).port)
