import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../src/adapters/sqlite/database.ts'
import { sqliteFiles } from '../../src/adapters/sqlite/files.ts'
import { groupCommit } from '../../src/adapters/sqlite/group-commit.ts'
import { sqliteLedger } from '../../src/adapters/sqlite/ledger.ts'
import { sqliteSessions } from '../../src/adapters/sqlite/sessions.ts'
import { sqliteTrash } from '../../src/adapters/sqlite/trash.ts'
import { sqliteUsers } from '../../src/adapters/sqlite/users.ts'
import type { Usage } from '../../src/ports/accounts.ts'
import { BOUNDS, newEvent } from '../contracts/rows.ts'
import { blobsOnDisk, form, type Member, member, memberWith, temporaryFolder, testApp } from '../support/app.ts'
import { head, wire } from '../support/wire.ts'

const remove = (owner: Member, path: string) => owner.request(path, { method: 'DELETE' })
const bytesOf = (count: number, fill = 'x') => Buffer.alloc(count, fill)

async function usage(owner: Member): Promise<Usage> {
  const { body } = await owner.request('/v1/me')
  return (body as { usage: Usage }).usage
}

describe('a quota', () => {
  it('is used to the last byte, and no further', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    expect((await ada.put('a', bytesOf(600))).status).toBe(201)
    expect(await ada.put('b', bytesOf(401))).toBeProblem(507, 'quota-exceeded')
    expect((await ada.put('b', bytesOf(400))).status).toBe(201)
    expect((await ada.put('empty', '')).status).toBe(201)
    expect(await ada.put('c', 'x')).toBeProblem(507, 'quota-exceeded')
    expect(await usage(ada)).toEqual({ files: 3, trashFiles: 0, bytes: 1000 })
    expect(await blobsOnDisk(app)).toHaveLength(3)
  })

  it('is each member’s own', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const [ada, ben] = [await member(app), await member(app)]
    await ada.put('a', bytesOf(1000))
    expect((await ben.put('a', bytesOf(1000))).status).toBe(201)
  })

  it('of nothing takes empty files', async () => {
    const app = await testApp({ QUOTA_BYTES: '0' })
    const ada = await member(app)
    expect((await ada.put('empty', '')).status).toBe(201)
    expect(await ada.put('a', 'x')).toBeProblem(507, 'quota-exceeded')
  })

  it.each([
    ['raw', 'PUT /v1/files/film.mp4', 'video/mp4'],
    ['as a form', 'POST /v1/files', 'multipart/form-data; boundary=b'],
  ])('refuses before the body what its length shows to be too much, %s', async (_what, line, type) => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    await ada.put('a', bytesOf(600))
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, 'content-length': 3_000_000 }

    const patient = wire(app.url)
    patient.socket.write(head(line, { ...headers, expect: '100-continue' }))
    expect(await patient.ended).toMatch(/^HTTP\/1\.1 507 .*\r\nconnection: close\r\n.*"quota-exceeded"/is)

    const hasty = wire(app.url)
    hasty.socket.write(head(line, headers))
    const answer = await hasty.until('"requestId"')
    expect(answer).toMatch(/^HTTP\/1\.1 507 .*\r\nconnection: close\r\n/is)
    hasty.socket.write(bytesOf(500_000))
    hasty.socket.end()
    expect(await hasty.ended).toBe(answer)
    expect(hasty.fault()).toBeNull()
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('refuses at the end what did not say how long it is, and keeps nothing of it', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    await ada.put('a', bytesOf(600))
    const body = () => Readable.from([bytesOf(200), bytesOf(201)])
    const raw = await ada.request('/v1/files/b', { method: 'PUT', body: body() })
    expect(raw).toBeProblem(507, 'quota-exceeded')
    const photo = form([{ name: 'file', filename: 'b', content: bytesOf(401) }])
    const posted = await ada.request('/v1/files', { method: 'POST', ...photo })
    expect(posted).toBeProblem(507, 'quota-exceeded')
    expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 600 })
    expect(await blobsOnDisk(app)).toHaveLength(1)
  })

  it('refuses in the middle what is more than all of it', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000000' })
    const ada = await member(app)
    const line = wire(app.url)
    const headers = { authorization: `Bearer ${ada.token}`, 'transfer-encoding': 'chunked' }
    line.socket.write(head('PUT /v1/files/endless', headers))
    line.socket.write(`${(1_100_000).toString(16)}\r\n`)
    line.socket.write(bytesOf(1_100_000))
    expect(await line.until('"requestId"')).toMatch(/^HTTP\/1\.1 507 .*connection: close/is)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('bounds what unfinished uploads have on the disk together, and leaves room to send one again', async () => {
    const app = await testApp({ QUOTA_BYTES: '4000000' })
    const ada = await member(app)
    const authorization = `Bearer ${ada.token}`
    const begin = async (name: string) => {
      const line = wire(app.url)
      line.socket.write(head(`PUT /v1/files/${name}`, { authorization, 'content-length': 4_000_000 }))
      line.socket.write(bytesOf(3_900_000))
      return line
    }
    const first = await begin('film')
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    // The first connection is dead, but the server does not know it yet.
    expect((await ada.put('film', bytesOf(3_900_000))).status).toBe(201)
    first.socket.destroy()
    await ada.request('/v1/files/film?replaced=discard', { method: 'PUT', body: '' })

    const lines = await Promise.all(Array.from({ length: 8 }, (_, n) => begin(`film-${n}`)))
    const refused = () => lines.filter((line) => line.received().includes('"quota-exceeded"'))
    await expect.poll(() => refused().length).toBeGreaterThanOrEqual(6)
    await expect.poll(async () => (await blobsOnDisk(app)).length).toBeLessThanOrEqual(3)
    for (const line of lines) line.socket.destroy()
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    expect((await ada.put('film', bytesOf(3_900_000))).status).toBe(200)
  })

  it('refuses an append with a digest in the middle once it is more than all of it', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000000' })
    const ada = await member(app)
    const tus = { authorization: `Bearer ${ada.token}`, 'tus-resumable': '1.0.0' }
    const created = await ada.request('/v1/uploads', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-defer-length': '1', 'upload-metadata': 'filename YQ==' },
    })
    const line = wire(app.url)
    const headers = {
      ...tus,
      'content-type': 'application/offset+octet-stream',
      'upload-offset': 0,
      'upload-checksum': `sha1 ${Buffer.alloc(20).toString('base64')}`,
      'transfer-encoding': 'chunked',
    }
    line.socket.write(head(`PATCH ${created.headers.location}`, headers))
    line.socket.write(`${(1_100_000).toString(16)}\r\n`)
    line.socket.write(bytesOf(1_100_000))
    expect(await line.until('"requestId"')).toMatch(/^HTTP\/1\.1 507 .*connection: close/is)
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it.each([
    ['raw', 'PUT /v1/files/b', 'video/mp4', '', ''],
    [
      'as a form',
      'POST /v1/files',
      'multipart/form-data; boundary=b',
      '--b\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n\r\n',
      '\r\n--b--\r\n',
    ],
  ])('refuses an upload whose room another one took meanwhile, and keeps nothing of it, %s', async (...upload) => {
    const [, line, type, before, after] = upload
    const app = await testApp({ QUOTA_BYTES: '5000000' })
    const ada = await member(app)
    const slow = wire(app.url)
    const length = before.length + 4_000_000 + after.length
    const headers = { authorization: `Bearer ${ada.token}`, 'content-type': type, 'content-length': length }
    slow.socket.write(head(line, { ...headers, connection: 'close' }))
    slow.socket.write(before)
    slow.socket.write(bytesOf(3_000_000))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    expect((await ada.put('a', bytesOf(4_000_000))).status).toBe(201)
    slow.socket.write(bytesOf(1_000_000))
    slow.socket.write(after)
    expect(await slow.ended).toMatch(/^HTTP\/1\.1 507 .*"quota-exceeded"/s)
    expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 4_000_000 })
    expect(await blobsOnDisk(app)).toHaveLength(1)
    expect(await ada.get('b')).toBeProblem(404, 'file-not-found')
  })

  it('always takes a smaller version, also of what is over a quota that was lowered', async () => {
    const folder = await temporaryFolder()
    const generous = await testApp({ QUOTA_BYTES: '1000' }, folder)
    const before = await member(generous)
    await before.put('a', bytesOf(600))
    await before.put('b', bytesOf(400))
    await generous.close()
    const app = await testApp({ QUOTA_BYTES: '100' }, folder)
    const ada = memberWith(app, before)
    expect((await ada.replace('a', bytesOf(600, 'y'))).status).toBe(200)
    expect((await ada.replace('a', bytesOf(599))).status).toBe(200)
    expect(await ada.replace('a', bytesOf(600))).toBeProblem(507, 'quota-exceeded')
    const chunked = await ada.request('/v1/files/a?replaced=discard', {
      method: 'PUT',
      body: Readable.from([bytesOf(90)]),
    })
    expect(chunked.status).toBe(200)
    expect(await usage(ada)).toEqual({ files: 2, trashFiles: 0, bytes: 490 })
  })

  it('takes again what is there already, as after a lost answer', async () => {
    const app = await testApp({ QUOTA_BYTES: '3000000' })
    const ada = await member(app)
    const film = { name: 'file', filename: 'film.mp4', content: bytesOf(3_000_000) }
    for (const status of [201, 200]) {
      expect((await ada.request('/v1/files', { method: 'POST', ...form([film]) })).status).toBe(status)
    }
    expect((await ada.put('film.mp4', film.content, { 'content-type': 'text/plain' })).status).toBe(200)
  })

  it('counts the trash, and is free at once when that is emptied', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    const { body } = await ada.put('a', bytesOf(500))
    await ada.put('b', bytesOf(500))
    for (const name of ['a', 'b']) await remove(ada, `/v1/files/${name}`)
    expect(await usage(ada)).toEqual({ files: 0, trashFiles: 2, bytes: 1000 })
    expect(await ada.put('c', 'x')).toBeProblem(507, 'quota-exceeded')

    await remove(ada, `/v1/trash/${(body as { id: string }).id}`)
    expect((await ada.put('c', bytesOf(500))).status).toBe(201)
    await remove(ada, '/v1/trash')
    expect(await usage(ada)).toEqual({ files: 1, trashFiles: 0, bytes: 500 })
    expect((await ada.put('d', bytesOf(500))).status).toBe(201)
  })

  it('is not in the way of what needs no room', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    const { body } = await ada.put('a', bytesOf(1000))
    const headers = { 'content-type': 'application/json' }
    const renamed = await ada.request('/v1/files/a', { method: 'PATCH', headers, body: '{"name":"b"}' })
    await remove(ada, '/v1/files/b')
    const restored = await ada.request(`/v1/trash/${(body as { id: string }).id}/restore`, { method: 'POST' })
    expect([renamed.status, restored.status]).toEqual([200, 200])
  })

  it('holds however many uploads race for the last of it', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    await ada.put('kept', bytesOf(300))
    // None says its length, so all of them come to the end.
    const uploads = Array.from({ length: 12 }, (_, n) =>
      ada.request(`/v1/files/file-${n}`, { method: 'PUT', body: Readable.from([bytesOf(100), bytesOf(50)]) }),
    )
    const answers = await Promise.all(uploads)
    expect(answers.map(({ status }) => status).sort()).toEqual([...new Array(4).fill(201), ...new Array(8).fill(507)])
    expect(await usage(ada)).toEqual({ files: 5, trashFiles: 0, bytes: 900 })
    expect(await blobsOnDisk(app)).toHaveLength(5)
  })

  it('holds however many replace one file', async () => {
    const app = await testApp({ QUOTA_BYTES: '1000' })
    const ada = await member(app)
    await ada.put('one', bytesOf(500))
    await ada.put('other', bytesOf(300))
    const sizes = [100, 600, 700, 701, 900, 650, 200, 701]
    const answers = await Promise.all(
      sizes.map((size) =>
        ada.request('/v1/files/one?replaced=discard', { method: 'PUT', body: Readable.from([bytesOf(size)]) }),
      ),
    )
    expect(answers.map(({ status }) => status)).toEqual(sizes.map((size) => (size > 700 ? 507 : 200)))
    expect((await usage(ada)).bytes).toBe(300 + (await ada.get('one')).bytes.length)
  })
})

describe('a quota of files', () => {
  const FULL = /^You may have 2 files, including those in the trash\./
  const detailOf = ({ body }: { body: unknown }) => (body as { detail: string }).detail

  it('bounds empty files, too, and says so', async () => {
    const app = await testApp({ QUOTA_FILES: '2' })
    const ada = await member(app)
    for (const name of ['a', 'b']) expect((await ada.put(name, '')).status).toBe(201)
    const refused = await ada.put('c', '')
    expect(refused).toBeProblem(507, 'quota-exceeded')
    expect(detailOf(refused)).toMatch(FULL)
    const posted = await ada.request('/v1/files', {
      method: 'POST',
      ...form([{ name: 'file', filename: 'c', content: '' }]),
    })
    expect(posted).toBeProblem(507, 'quota-exceeded')
    expect(detailOf(posted)).toMatch(FULL)
    expect(await usage(ada)).toEqual({ files: 2, trashFiles: 0, bytes: 0 })
    expect(await blobsOnDisk(app)).toHaveLength(2)
    expect(detailOf(await (await member(await testApp({ QUOTA_BYTES: '5' }))).put('a', 'sixsix'))).toContain('5 bytes')
  })

  it('counts the trash, and takes replacements, retries and what comes back from it', async () => {
    const app = await testApp({ QUOTA_FILES: '2' })
    const ada = await member(app)
    await ada.put('a', 'one')
    const { body } = await ada.put('b', 'two')
    await remove(ada, '/v1/files/b')
    expect(await usage(ada)).toMatchObject({ files: 1, trashFiles: 1 })
    expect(await ada.put('c', '')).toBeProblem(507, 'quota-exceeded')
    expect((await ada.replace('a', 'another')).status).toBe(200)
    const again = form([{ name: 'file', filename: 'a', content: 'another' }])
    expect((await ada.request('/v1/files', { method: 'POST', ...again })).status).toBe(200)
    const { id } = body as { id: string }
    expect((await ada.request(`/v1/trash/${id}/restore`, { method: 'POST' })).status).toBe(200)
    expect(await usage(ada)).toMatchObject({ files: 2, trashFiles: 0 })
    await remove(ada, '/v1/files/b')
    await remove(ada, '/v1/trash')
    expect((await ada.put('c', '')).status).toBe(201)
  })

  it.each([
    ['raw', 'PUT /v1/files/c', { 'transfer-encoding': 'chunked' }],
    ['as a form', 'POST /v1/files', { 'content-type': 'multipart/form-data; boundary=b', 'content-length': 3_000_000 }],
  ])('refuses before the body what can be told then, %s', async (_what, line, headers) => {
    const app = await testApp({ QUOTA_FILES: '2' })
    const ada = await member(app)
    for (const name of ['a', 'b']) await ada.put(name, '')
    const patient = wire(app.url)
    patient.socket.write(head(line, { ...headers, authorization: `Bearer ${ada.token}`, expect: '100-continue' }))
    expect(await patient.ended).toMatch(/^HTTP\/1\.1 507 .*"You may have 2 files, /is)
  })

  it('takes a large form again whose bytes may be there already', async () => {
    const app = await testApp({ QUOTA_FILES: '1' })
    const ada = await member(app)
    const film = form([{ name: 'file', filename: 'film.mp4', content: bytesOf(2_000_000) }])
    for (const status of [201, 200]) {
      expect((await ada.request('/v1/files', { method: 'POST', ...film })).status).toBe(status)
    }
  })

  it('holds however many uploads race for the last of it', async () => {
    const app = await testApp({ QUOTA_FILES: '5' })
    const ada = await member(app)
    await ada.put('kept', '')
    const answers = await Promise.all(Array.from({ length: 12 }, (_, n) => ada.put(`file-${n}`, '')))
    expect(answers.map(({ status }) => status).sort()).toEqual([...new Array(4).fill(201), ...new Array(8).fill(507)])
    expect(await usage(ada)).toMatchObject({ files: 5 })
  })

  it.each([
    [{}, 1_000_000],
    [{ QUOTA_BYTES: '1024' }, 1000],
    [{ QUOTA_BYTES: '2097663' }, 2048],
    [{ QUOTA_BYTES: '107374182400' }, 1_000_000],
    [{ QUOTA_BYTES: '1024', QUOTA_FILES: '7' }, 7],
  ])('with %j is %d', async (settings, files) => {
    const ada = await member(await testApp(settings))
    expect((await ada.request('/v1/me')).body).toMatchObject({ quota: { files } })
  })
})

describe('what a member uses', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'minikeepsafe-usage-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const NAMES = ['a', 'b', 'c']
  const anAct = fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'rename', 'discard', 'restore', 'remove', 'empty', 'expire'),
    name: fc.constantFrom(...NAMES),
    other: fc.constantFrom(...NAMES),
    sizeBytes: fc.nat(60),
    chosen: fc.nat(5),
  })

  it('is the sum over its files, whatever was done to them', async () => {
    const db = openDatabase(folder)
    // A power cut is not what this is about.
    db.pragma('synchronous = OFF')
    const inTransaction = groupCommit(db)
    const [users, sessions] = [sqliteUsers(db, inTransaction), sqliteSessions(db, inTransaction)]
    const [files, trash, ledger] = [
      sqliteFiles(db, inTransaction),
      sqliteTrash(db, inTransaction),
      sqliteLedger(db, inTransaction, true),
    ]
    await ledger.openRun('run', 0, [])
    let last = 0
    const next = () => {
      last += 1
      return `${last}`
    }
    const QUOTA = { bytes: 100, files: 4 }

    await fc.assert(
      fc.asyncProperty(fc.array(anAct, { maxLength: 40 }), async (acts) => {
        const owner = next()
        const session = { id: next(), deviceId: next(), deviceName: null, tokenHash: Buffer.from(next()), createdAt: 0 }
        const slot = { kind: 'server' as const, keyId: 'key', sealed: Buffer.alloc(0) }
        const user = { id: owner, name: owner, email: owner, confirmedBy: 'response' as const, createdAt: 0, slot }
        await sessions.redeem({ pinId: next(), session, user, givenBack: null, event: newEvent(), bounds: BOUNDS })
        const live = new Map<string, { id: string; version: string; sizeBytes: number }>()
        let deleted: { id: string; name: string; version: string; sizeBytes: number; deletedAt: number }[] = []
        const bytes = () => [...live.values(), ...deleted].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)

        for (const [now, { kind, name, other, sizeBytes, chosen }] of acts.entries()) {
          const standing = live.get(name)
          const seen = standing && { id: standing.id, name, version: standing.version }
          const inTrash = deleted[chosen % Math.max(1, deleted.length)]
          if (kind === 'put') {
            const version = next()
            const id = standing?.id ?? next()
            const row = {
              id,
              name,
              sizeBytes,
              contentType: 'a/b',
              createdAt: now,
              updatedAt: now,
              namedAt: now,
              version,
            }
            const grown = sizeBytes - (standing?.sizeBytes ?? 0)
            const fits = grown <= 0 || bytes() + grown <= QUOTA.bytes
            const isRoom = standing !== undefined || live.size + deleted.length < QUOTA.files
            const answer = await files.commit(
              owner,
              { ...row, blob: `run/${version}`, seal: Buffer.alloc(0), tag: null, takenAt: null, takenOffset: 0 },
              standing?.version ?? null,
              QUOTA,
            )
            expect(answer).toBe(!fits ? 'quota' : isRoom ? 'done' : 'quota-files')
            if (fits && isRoom) live.set(name, { id, version, sizeBytes })
          } else if (kind === 'rename' && standing && seen) {
            const taken = other !== name && live.has(other)
            expect(await files.edit(owner, seen, { name: other, taken: null }, 9)).toBe(taken ? 'taken' : 'done')
            if (!taken && live.delete(name)) live.set(other, standing)
          } else if (kind === 'discard' && standing && seen) {
            expect(await files.discard(owner, seen, now)).toBe('done')
            expect(await files.discard(owner, seen, now)).toBe('stale')
            live.delete(name)
            deleted.push({ ...standing, name, deletedAt: now })
          } else if (kind === 'restore' && inTrash) {
            const taken = live.has(other)
            expect(await trash.restore(owner, inTrash, other, 9)).toBe(taken ? 'taken' : 'done')
            if (!taken) live.set(other, inTrash)
            if (!taken) deleted = deleted.filter((file) => file !== inTrash)
          } else if (kind === 'remove' && inTrash) {
            expect(await trash.remove(owner, inTrash.id)).toBe(inTrash.version)
            deleted = deleted.filter((file) => file !== inTrash)
          } else if (kind === 'empty') {
            const emptied = await trash.empty(owner, now, 2)
            expect(emptied).toEqual(deleted.slice(0, 2).map(({ version }) => version))
            deleted = deleted.slice(2)
          } else if (kind === 'expire') {
            await trash.expire(now - 3, 1000)
            deleted = deleted.filter(({ deletedAt }) => deletedAt > now - 3)
          }
          expect(await users.usage(owner)).toEqual({ files: live.size, trashFiles: deleted.length, bytes: bytes() })
        }
        const query = { prefix: '', sort: 'name', order: 'asc', after: null, limit: 100 } as const
        const [left, gone] = [
          await files.list(owner, query),
          await trash.list(owner, { since: -1, after: null, limit: 100 }),
        ]
        expect(left.map(({ name, version }) => [name, version])).toEqual(
          [...live].map(([name, { version }]) => [name, version]).sort(([a = ''], [b = '']) => (a < b ? -1 : 1)),
        )
        expect(gone.map(({ version }) => version).sort()).toEqual(deleted.map(({ version }) => version).sort())
      }),
      { numRuns: 100 },
    )
    db.close()
  })
})
