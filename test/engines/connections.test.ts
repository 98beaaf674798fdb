/** Engines that take no more connections. */
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { describeEngines, installation } from '../support/installation.ts'
import { connection, emptySchema, run, SERVER } from '../support/postgres.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { clientOf, describeRedis, ownRedis } from '../support/redis.ts'

const CONNECTIONS = 6

/** An empty schema, and a role that may have only so many connections to it. */
async function limitedDatabase() {
  const url = new URL(await emptySchema())
  const [, schema] = /search_path=(\w+)/.exec(url.searchParams.get('options') ?? '') as unknown as [string, string]
  const role = `role_${randomBytes(8).toString('hex')}`
  await run(SERVER, `CREATE ROLE ${role} LOGIN CONNECTION LIMIT ${CONNECTIONS}`)
  onTestFinished(async () => {
    await run(SERVER, `DROP OWNED BY ${role} CASCADE`)
    await run(SERVER, `DROP ROLE ${role}`)
  })
  await run(SERVER, `GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${role}`)
  url.username = role
  return { url: url.href, role }
}

/** All connections of the role are somebody else's now. */
async function takeAll({ url, role }: { url: string; role: string }): Promise<pg.Client[]> {
  const taken: pg.Client[] = []
  while (taken.length < CONNECTIONS) {
    const ours = taken.map((client) => (client as unknown as { processID: number }).processID)
    const theirs = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1 AND pid <> ALL ($2)'
    await run(SERVER, theirs, [role, ours])
    await connection(url).then(
      (client) => taken.push(client),
      () => {},
    )
  }
  return taken
}

describeEngines('a server whose', () => {
  it('PostgreSQL has no connections left for it is not ready until there are some', async () => {
    const database = await limitedDatabase()
    const { servers, expectSound } = await installation({ database: database.url })
    const headers = await signedIn(servers[0])
    const others = await takeAll(database)
    for (const server of servers) {
      const refused = await server.request('/v1/files', { headers })
      expect(refused).toBeProblem(503, 'not-ready')
      expect(refused.headers['retry-after']).toBe('5')
      expect((await server.request('/health/ready')).body).toMatchObject({ detail: 'Not working: database.' })
    }
    for (const other of others) await other.end()
    for (const server of servers) {
      await expect.poll(async () => (await server.request('/health/ready')).status, { timeout: 30_000 }).toBe(200)
      expect((await server.request('/v1/files', { headers })).status).toBe(200)
    }
    await expectSound()
  }, 120_000)
})

describeRedis('a server whose', () => {
  it('Redis has no connections left for it lets nobody sign in until there are some, and starts all the same', async () => {
    const { url } = await ownRedis()
    const folder = await temporaryFolder()
    const running = serverProcess(folder, { REDIS_URL: url })
    const headers = await signedIn(running)
    const other = clientOf(url)
    await other.config('SET', 'maxclients', '1')
    await other.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')

    const started = serverProcess(await temporaryFolder(), { REDIS_URL: url })
    for (const server of [running, started]) {
      const refused = await server.post('/v1/sessions', { deviceId: 'some-device', pin: '0000' })
      expect(refused).toBeProblem(503, 'not-ready')
      expect((await server.request('/health/ready')).body).toMatchObject({ detail: 'Not working: redis.' })
    }
    expect((await running.request('/v1/files', { headers })).status).toBe(200)
    await other.config('SET', 'maxclients', '100')
    for (const server of [running, started]) {
      await expect.poll(async () => (await server.request('/health/ready')).status, { timeout: 30_000 }).toBe(200)
      await signedIn(server)
    }
  }, 120_000)
})
