import { chmodSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { rulesOf } from '../../src/compose/rules.ts'
import { readConfig } from '../../src/config/config.ts'
import { openVault } from '../../src/vault/vault.ts'
import { blobsIn, blobsOnDisk, form, member, temporaryFolder, testApp } from '../support/app.ts'
import { smallDisk } from '../support/disk.ts'
import { serverProcess, signedIn } from '../support/process.ts'

describe('uploads on a disk that is read-only', () => {
  it('are refused and reads go on, until it takes writes again', async ({ skip }) => {
    const uploads = smallDisk(skip)
    const app = await testApp({ UPLOADS_DIR: uploads.path })
    const ada = await member(app)
    const phone = await member(app)
    await ada.put('photo', 'sand')
    uploads.readOnly()

    const refusals = [
      await ada.put('film', 'bytes'),
      await ada.put('photo', 'more sand'),
      await ada.request('/v1/files', { method: 'POST', ...form([{ name: 'file', filename: 'f', content: 'bytes' }]) }),
    ]
    for (const refusal of refusals) {
      expect(refusal).toBeProblem(503, 'not-ready')
      expect(refusal.headers['retry-after']).toBe('5')
      expect(refusal.body).toMatchObject({
        detail: 'The storage cannot be written at the moment. Nothing was changed.',
      })
    }
    const ready = await app.request('/health/ready')
    expect(ready).toBeProblem(503, 'not-ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: uploads.' })
    expect(app.log.filter((line) => line.includes('checking uploads failed')).join()).toContain(uploads.path)
    expect(app.log.join()).not.toMatch(/photo|film/)
    expect((await ada.get('photo')).body).toBe('sand')
    expect((await phone.request('/v1/sessions/current', { method: 'DELETE' })).status).toBe(204)

    uploads.writable()
    expect((await app.request('/health/ready')).status).toBe(200)
    expect((await ada.replace('photo', 'more sand')).status).toBe(200)
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('were not written before: the server starts and reads, and takes them once it can', async ({ skip }) => {
    const uploads = smallDisk(skip)
    const home = await temporaryFolder()
    const first = await testApp({ UPLOADS_DIR: uploads.path }, home)
    const { token } = await member(first)
    await first.close()
    uploads.readOnly()
    const app = await testApp({ UPLOADS_DIR: uploads.path }, home)
    const headers = { authorization: `Bearer ${token}` }
    const put = () => app.request('/v1/files/photo', { method: 'PUT', headers, body: 'sand' })
    expect(await put()).toBeProblem(503, 'not-ready')
    expect((await app.request('/v1/files', { headers })).status).toBe(200)
    uploads.writable()
    expect((await put()).status).toBe(201)
  })
})

describe('a folder that lost its write permission', () => {
  it('of the uploads is named, and nothing else stops', async () => {
    const { server, folder, headers, put } = await withoutPrivileges()
    const folders = ['uploads', ...readdirSync(join(folder, 'uploads')).map((run) => `uploads/${run}`)]
    for (const path of folders) chmodSync(join(folder, path), 0o500)
    expect(await put()).toBeProblem(503, 'not-ready')
    expect((await server.request('/v1/files/photo', { headers })).body).toBe('sand')
    const ready = await server.request('/health/ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: uploads.' })
    await expect.poll(server.output).toContain("EACCES: permission denied, access './uploads'")
    for (const path of folders) chmodSync(join(folder, path), 0o700)
    expect((await server.request('/health/ready')).status).toBe(200)
    expect((await put()).status).toBe(201)
  })

  it('of one run alone is named too', async () => {
    const { server, folder } = await withoutPrivileges()
    const [run] = readdirSync(join(folder, 'uploads'))
    chmodSync(join(folder, 'uploads', run as string), 0o500)
    const ready = await server.request('/health/ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: uploads.' })
    chmodSync(join(folder, 'uploads', run as string), 0o700)
  })

  it('of the data is named, and what the open database can do goes on', async () => {
    const { server, folder, headers } = await withoutPrivileges()
    chmodSync(join(folder, 'data'), 0o500)
    const ready = await server.request('/health/ready')
    expect(ready).toBeProblem(503, 'not-ready')
    expect(ready.body).toMatchObject({ detail: 'Not working: database.' })
    await expect.poll(server.output).toContain("EACCES: permission denied, access './data'")
    expect((await server.request('/v1/files/photo', { headers })).body).toBe('sand')
    expect((await server.request('/v1/sessions/current', { method: 'DELETE', headers })).status).toBe(204)
    chmodSync(join(folder, 'data'), 0o700)
    expect((await server.request('/health/ready')).status).toBe(200)
  })

  it('is told at the start', async () => {
    const folder = await temporaryFolder()
    chmodSync(folder, 0o500)
    const server = serverProcess(folder, {}, { under: bound })
    expect(await server.exit).toBe(1)
    expect(server.output()).toContain('DATA_DIR is ./data, which cannot be used: EACCES: permission denied')
    chmodSync(folder, 0o700)
  })
})

/** What root may do in spite of permissions, this command takes away; nobody else may do it anyway. */
const bound = process.getuid?.() === 0 ? ['setpriv', '--inh-caps=-all', '--bounding-set=-all'] : []

/** A server that permissions hold for, with a member who has the file `photo`. */
async function withoutPrivileges() {
  const folder = await temporaryFolder()
  const server = serverProcess(folder, {}, { under: bound })
  const headers = await signedIn(server)
  const put = (name = 'film') => server.request(`/v1/files/${name}`, { method: 'PUT', headers, body: 'sand' })
  expect((await put('photo')).status).toBe(201)
  return { server, folder, headers, put }
}

it.each(['EACCES', 'EPERM', 'EIO', 'SQLITE_CORRUPT'])(
  'a blob that cannot be read for %s is still a 500',
  async (code) => {
    const app = await testApp()
    const ada = await member(app)
    await ada.put('photo', 'sand')
    app.ports.blobs.open = async () => {
      throw Object.assign(new Error('a fault'), { code })
    }
    expect(await ada.get('photo')).toBeProblem(500, 'internal-error')
  },
)

it('an upload that the database does not take at the moment leaves nothing, at once', async () => {
  const app = await testApp()
  const ada = await member(app)
  app.ports.files.commit = async () => {
    throw Object.assign(new Error('the database takes no writes'), { code: 'EROFS' })
  }
  expect(await ada.put('photo', 'sand')).toBeProblem(503, 'not-ready')
  expect(await blobsOnDisk(app)).toEqual([])
})

it('a vault whose database is broken does not start', async () => {
  const { ports } = await testApp()
  ports.ledger.openRun = () => Promise.reject(new Error('the database is broken'))
  await expect(openVault(ports, rulesOf(readConfig({})))).rejects.toThrow('is broken')
})

it('a vault on a full disk starts without a run, tells its operator, and opens the run once there is room', async () => {
  const { ports } = await testApp()
  const alarms: string[] = []
  let isFull = true
  const full = {
    ...ports,
    room: async () => {
      if (isFull) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
    },
    alarm: (error: unknown, doing: string) => void alarms.push(`${doing}: ${(error as Error).message}`),
  }
  const before = await ports.ledger.livingRuns()
  const vault = await openVault(full, rulesOf(readConfig({})))
  expect(alarms).toEqual(['getting ready for uploads: the disk is full'])
  expect(await ports.ledger.livingRuns()).toEqual(before)

  isFull = false
  const put = vault.files.put('nobody', 'a', (async function* () {})(), {} as never)
  await put.catch(() => {})
  expect(await ports.ledger.livingRuns()).toHaveLength(before.length + 1)
})

it('a disk of files that is unmounted makes no file damaged, and no upload goes to the folder below', async () => {
  const uploads = join(await temporaryFolder(), 'uploads')
  const app = await testApp({ UPLOADS_DIR: uploads })
  const ada = await member(app)
  await ada.put('photo', 'sand')
  renameSync(uploads, `${uploads}-away`)
  mkdirSync(uploads)
  for (const refusal of [await ada.get('photo'), await ada.put('film', 'bytes'), await ada.replace('photo', 'more')]) {
    expect(refusal).toBeProblem(503, 'not-ready')
  }
  expect((await app.request('/health/ready')).body).toMatchObject({ detail: 'Not working: uploads.' })
  expect(readdirSync(uploads)).toEqual([])

  rmdirSync(uploads)
  renameSync(`${uploads}-away`, uploads)
  expect((await ada.get('photo')).body).toBe('sand')
  expect((await ada.put('film', 'bytes')).status).toBe(201)
  await app.settled()
  const { events } = (await ada.request('/v1/activity')).body as { events: { type: string }[] }
  expect(events.map(({ type }) => type)).not.toContain('damaged-read')
  expect(app.log.join()).not.toContain('damaged')
})

it('a file that is too large for the file system is no defect, and leaves nothing', async () => {
  const folder = await temporaryFolder()
  // SQLite's shared memory and log are below it. FAT32 has such a limit, of 4 GiB.
  const server = serverProcess(folder, {}, { under: ['prlimit', '--fsize=9000000'] })
  const headers = await signedIn(server)
  const put = (bytes: number) => server.request('/v1/files/film', { method: 'PUT', headers, body: Buffer.alloc(bytes) })
  const refusal = await put(9_500_000)
  expect(refusal).toBeProblem(413, 'file-too-large')
  expect(refusal.body).toMatchObject({
    detail: expect.stringContaining('A resumable upload in smaller pieces may work.'),
  })
  expect(server.output()).not.toContain('"level":50')
  expect(await blobsIn(folder)).toEqual([])
  expect((await put(1_000_000)).status).toBe(201)
})
