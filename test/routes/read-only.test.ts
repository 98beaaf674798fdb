import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DAY, type Member, member, memberWith, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { call } from '../support/http.ts'
import { describePostgres, emptySchema } from '../support/postgres.ts'
import { command, serverProcess } from '../support/process.ts'
import { postgresRows, sqliteRows } from '../support/rows.ts'
import { head, wire } from '../support/wire.ts'

const CORS_ORIGINS = 'https://app.example.org'

interface Kept {
  app: TestApp
  ada: Member
  folder: string
  /** The path of an upload that is not complete. */
  upload: string
}

/** A vault with something in it, behind a server that lets nobody change it. */
async function readOnlyApp(settings: Record<string, string> = {}): Promise<Kept> {
  const folder = await temporaryFolder()
  const writing = await testApp(settings, folder)
  const ada = await member(writing)
  await ada.put('beach.jpg', 'sand and sea')
  const picture = { method: 'PUT', headers: { 'content-type': 'image/jpeg' }, body: 'picture' }
  await ada.request('/v1/files/beach.jpg/thumbnail', picture)
  await ada.put('gone.jpg', 'nothing')
  await ada.request('/v1/files/gone.jpg', { method: 'DELETE' })
  const begun = { 'content-disposition': 'attachment; filename="film"', 'upload-complete': '?0' }
  const { headers } = await ada.request('/v1/uploads', { method: 'POST', headers: begun, body: 'first bytes' })
  await writing.settled()
  await writing.close()
  const app = await testApp({ READ_ONLY: 'on', CORS_ORIGINS, ...settings }, folder)
  return { app, ada: memberWith(app, ada), folder, upload: String(headers.location) }
}

/** Every route of the document, its parameters filled in. */
async function operationsOf(app: TestApp) {
  const { paths } = (await app.request('/docs/json')).body as {
    paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>
  }
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace(/\{\w+\}/g, 'beach.jpg'),
      operation,
    })),
  )
}

describe('a read-only server', () => {
  it('refuses whatever changes something, on every route, and says so in its document', async () => {
    const { app, ada } = await readOnlyApp()
    const operations = await operationsOf(app)
    const isLookup = (path: string) => path === '/v1/files/lookup'
    const changing = operations.filter(({ method, path }) => method !== 'GET' && method !== 'HEAD' && !isLookup(path))
    expect(changing.length).toBeGreaterThan(10)
    for (const { method, path, operation } of changing) {
      for (const request of [app.request, ada.request]) {
        const answer = await request(path, { method })
        expect(answer, `${method} ${path}`).toBeProblem(503, 'read-only')
        expect(answer.headers['retry-after']).toBe('60')
      }
      expect(operation.responses[503]?.description, `${method} ${path}`).toContain('`read-only`')
    }
  })

  it('answers whatever reads, on every route', async () => {
    const { app, ada, upload } = await readOnlyApp()
    const reading = (await operationsOf(app)).filter(({ method }) => method === 'GET' || method === 'HEAD')
    for (const { method, path, operation } of reading) {
      const { status } = await ada.request(path.replace('/v1/uploads/beach.jpg', upload), { method })
      expect(status, `${method} ${path}`).toBe(path.startsWith('/v1/uploads/') ? 204 : 200)
      expect(operation.responses[503]?.description ?? '', `${method} ${path}`).not.toContain('read-only')
    }
    expect((await ada.get('beach.jpg', { range: 'bytes=5-7' })).body).toBe('and')
    expect((await ada.request('/v1/trash')).body).toMatchObject({ files: [{ name: 'gone.jpg' }] })
    expect(await app.request('/v1/files')).toBeProblem(401, 'unauthorized')
  })

  it('lets browsers ask what they may do, and knows its paths and methods', async () => {
    const { app } = await readOnlyApp()
    const headers = { origin: CORS_ORIGINS, 'access-control-request-method': 'PUT' }
    expect((await app.request('/v1/files/beach.jpg', { method: 'OPTIONS', headers })).status).toBe(204)
    expect(await app.request('/v1/nothing', { method: 'POST' })).toBeProblem(404, 'not-found')
    expect(await app.request('/v1/trash', { method: 'PUT' })).toBeProblem(405, 'method-not-allowed')
    const refused = await app.request('/v1/files/x', { method: 'PUT', headers: { origin: CORS_ORIGINS } })
    expect(refused).toBeProblem(503, 'read-only')
    expect(refused.headers['access-control-allow-origin']).toBe(CORS_ORIGINS)
  })

  it('refuses an upload before its body', async () => {
    const { app, ada } = await readOnlyApp()
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'content-length': 10_000_000, expect: '100-continue' }
    line.socket.write(head('PUT /v1/files/film', headers))
    const answer = await line.ended
    expect(answer).toMatch(/^HTTP\/1\.1 503 /)
    expect(answer.toLowerCase()).toContain('connection: close')
  })

  it('writes nothing of its own accord, whatever is read', async () => {
    const { app, ada, folder } = await readOnlyApp({ TRASH_DAYS: '1' })
    const before = sqliteRows(join(folder, 'data'))
    app.clock.turn(2 * DAY)
    expect((await ada.get('beach.jpg')).body).toBe('sand and sea')
    expect((await ada.request('/v1/me/export')).status).toBe(200)
    app.sweep()
    await app.settled()
    expect(sqliteRows(join(folder, 'data'))).toEqual(before)
    expect(app.log.filter((line) => /failed|"level":50/.test(line))).toEqual([])
    await app.close()
    expect(sqliteRows(join(folder, 'data'))).toEqual(before)
  })

  it('is ready, with others of its kind on the same data, and none that writes', async () => {
    const { app, ada, folder } = await readOnlyApp()
    const other = await testApp({ READ_ONLY: 'on' }, folder)
    expect((await app.request('/health/ready')).status).toBe(200)
    expect((await memberWith(other, ada).get('beach.jpg')).body).toBe('sand and sea')
    await expect(testApp({}, folder)).rejects.toThrow('another server is using it')
  })

  it('does not start beside one that writes, and makes no vault and no key', async () => {
    const folder = await temporaryFolder()
    await expect(testApp({ READ_ONLY: 'on' }, folder)).rejects.toThrow('there is no vault in')
    expect(await readdir(folder)).toEqual([])
    await testApp({}, folder)
    await expect(testApp({ READ_ONLY: 'on' }, folder)).rejects.toThrow('another server is using it, and it writes')
  })

  it('warns its operator, whose commands change nothing either', async () => {
    const { app, folder } = await readOnlyApp()
    await app.close()
    const server = serverProcess(folder, { READ_ONLY: 'on' })
    expect((await call(`${await server.url}/health/ready`)).status).toBe(200)
    await expect.poll(server.output).toContain('READ_ONLY=on: files can be read, and nothing can be changed')
    const calls = [['sweep'], ['rotate-key'], ['pin', 'a@example.org', 'device-one'], ['user', 'delete', 'x', '--yes']]
    for (const args of calls) {
      const { code, report } = await command(folder, args, { READ_ONLY: 'on' })
      expect([code, report.error]).toEqual([1, 'READ_ONLY is on, and this command would change the vault'])
    }
    expect(await command(folder, ['verify'], { READ_ONLY: 'on' })).toMatchObject({ code: 0, report: { files: 2 } })
  })
})

describePostgres('a read-only server on PostgreSQL', () => {
  it('reads, and changes nothing', async () => {
    const DATABASE_URL = await emptySchema()
    const settings = { DATABASE_URL, MASTER_KEY: Buffer.alloc(32, 7).toString('base64') }
    const { app, ada } = await readOnlyApp(settings)
    const before = await postgresRows(DATABASE_URL)
    app.clock.turn(2 * DAY)
    expect((await app.request('/health/ready')).status).toBe(200)
    expect((await ada.get('beach.jpg')).body).toBe('sand and sea')
    expect((await ada.request('/v1/me/export')).status).toBe(200)
    expect(await ada.put('beach.jpg', 'stones')).toBeProblem(503, 'read-only')
    await app.settled()
    expect(await postgresRows(DATABASE_URL)).toEqual(before)
    await expect(app.ports.sessions.touch(ada.userId, ada.sessionId, Date.now())).rejects.toMatchObject({
      code: 'EROFS',
    })
  })

  it('does not start where there is no vault', async () => {
    const settings = { DATABASE_URL: await emptySchema(), MASTER_KEY: Buffer.alloc(32, 7).toString('base64') }
    await expect(testApp({ READ_ONLY: 'on', ...settings })).rejects.toThrow('there is no vault in this database')
  })
})
