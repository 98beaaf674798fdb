import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { SealedFile } from '../../src/ports/files.ts'
import { openSecrets, sealSecrets } from '../../src/vault/crypto/envelope.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { appForMany, DAY, type Member, member, memberWith, type TestApp, testApp } from '../support/app.ts'
import { pathOf, spoil } from '../support/blobs.ts'
import type { Answer } from '../support/http.ts'
import { databaseOf } from '../support/operator.ts'
import { describePostgres, emptySchema } from '../support/postgres.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const flipped = (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)))

interface Found {
  sha256: string
  id: string
  name: string
  size: number
  state: string
  verifiedAt: string | null
}

function lookup(who: Member, digests: unknown, more: object = {}): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return who.request('/v1/files/lookup', {
    method: 'POST',
    headers,
    body: JSON.stringify({ sha256: digests, ...more }),
  })
}

async function found(who: Member, digests: string[], more: object = {}): Promise<Found[]> {
  const answer = await lookup(who, digests, more)
  expect(answer.status).toBe(200)
  return (answer.body as { found: Found[] }).found
}

const shared = appForMany()

async function ada(contents: Record<string, string | Buffer> = {}) {
  const app = await shared()
  const ada = await member(app)
  for (const [name, bytes] of Object.entries(contents)) await ada.put(name, bytes)
  return { app, ada }
}

describe('a lookup', () => {
  it('finds every file and trash entry with a digest, in the order of the digests', async () => {
    const { ada: one } = await ada({ a: 'sand', b: 'sea', 'a again': 'sand', c: 'other' })
    await one.request('/v1/files/a again', { method: 'DELETE' })
    await one.put('b', 'replaced the sea')
    const entries = await found(one, [sha256('sea'), sha256('none'), sha256('sand'), sha256('sea')])
    const { body } = await one.request('/v1/files')
    const { id } = (body as { files: Found[] }).files.find(({ name }) => name === 'a') as Found
    expect(entries.map(({ name, state, size, sha256 }) => [name, state, size, sha256])).toEqual([
      ['b', 'trash', 3, sha256('sea')],
      ...[
        ['a', 'live', 4, sha256('sand')],
        ['a again', 'trash', 4, sha256('sand')],
      ].sort((x, y) => (x[0] === entries[1]?.name ? -1 : y[0] === entries[1]?.name ? 1 : 0)),
    ])
    expect(entries.find(({ name }) => name === 'a')).toEqual({
      ...{ sha256: sha256('sand'), id, name: 'a', size: 4, state: 'live', verifiedAt: null },
    })
    expect(await found(one, [])).toEqual([])
  })

  it('finds nothing of another user, and needs a session', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    expect(await found(await member(app), [sha256('sand')])).toEqual([])
    expect(await lookup(memberWith(app, { ...one, token: 'mks_none' }), [])).toBeProblem(401, 'unauthorized')
  })

  it('leaves out trash that has expired', async () => {
    const app = await testApp()
    const one = await member(app)
    await one.put('a', 'sand')
    await one.request('/v1/files/a', { method: 'DELETE' })
    app.clock.turn(30 * DAY - 1)
    expect(await found(one, [sha256('sand')])).toHaveLength(1)
    app.clock.turn(1)
    expect(await found(memberWith(app, one), [sha256('sand')])).toEqual([])
  })

  it.each([
    ['1001 digests', { sha256: Array(1001).fill(sha256('')) }, '/sha256'],
    ['21 digests to verify', { sha256: Array(21).fill(sha256('')), verify: true }, '/sha256'],
    ['upper case', { sha256: [sha256('sand').toUpperCase()] }, '/sha256/0'],
    ['another length', { sha256: ['abc'] }, '/sha256/0'],
    ['no list', { sha256: sha256('sand') }, '/sha256'],
    ['nothing', {}, '/sha256'],
    ['verify as text', { sha256: [], verify: 'true' }, '/verify'],
  ])('refuses %s', async (_what, body, path) => {
    const { ada: one } = await ada()
    const answer = await lookup(one, undefined, body)
    expect(answer).toBeProblem(400, 'invalid-request')
    expect((answer.body as { errors: { path: string }[] }).errors[0]?.path).toBe(path)
  })

  it('takes a body of 80 KiB and 1,000 digests, and names its limit', async () => {
    const { ada: one } = await ada({ a: 'sand' })
    const digests = Array.from({ length: 999 }, (_, n) => sha256(String(n)))
    expect(await found(one, [...digests, sha256('sand')], { more: 'x'.repeat(10_000) })).toHaveLength(1)
    const refused = await lookup(one, digests, { more: 'x'.repeat(20_000) })
    expect(refused).toBeProblem(413, 'body-too-large')
    expect((refused.body as { detail: string }).detail).toContain('81920')
    // Every other body is still limited to 16 KiB.
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify({ name: 'x', more: 'x'.repeat(17_000) })
    const other = await one.request('/v1/files/a', { method: 'PATCH', headers, body })
    expect(other).toBeProblem(413, 'body-too-large')
    expect((other.body as { detail: string }).detail).toContain('16384')
  })

  it('lists a bounded number of errors of a large body', async () => {
    const { ada: one } = await ada()
    const answer = await lookup(one, Array(40_000).fill(1))
    expect(answer).toBeProblem(400, 'invalid-request')
    const { errors } = answer.body as { errors: { path: string; message: string }[] }
    expect(errors[0]).toEqual({ path: '/sha256', message: 'must have at most 1000 items' })
    expect(errors).toHaveLength(100)
    const nested = `{"sha256":${'['.repeat(40_000)}${']'.repeat(40_000)}}`
    const headers = { 'content-type': 'application/json' }
    const refused = await one.request('/v1/files/lookup', { method: 'POST', headers, body: nested })
    expect(refused).toBeProblem(413, 'body-too-large')
  })

  it('has every copy of a content, however many there are, and streams them', async () => {
    const { app, ada: one } = await ada({ copy: 'sand', b: 'sea' })
    await copied(app, one, 2998)
    const answer = await lookup(one, [sha256('sea'), sha256('sand')])
    const { found: entries } = answer.body as { found: Found[] }
    expect(entries).toHaveLength(3000)
    expect(new Set(entries.map(({ id }) => id)).size).toBe(3000)
    expect(entries.filter(({ state }) => state === 'trash')).toHaveLength(1499)
    expect(entries[0]?.name).toBe('b')
    expect(answer.headers['content-length']).toBeUndefined()
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  })

  it('counts in proportion to its digests', async () => {
    const app = await testApp({ RATE_LIMIT: 'on', RATE_LIMITS: 'requests=22/1h' })
    const one = await member(app)
    expect((await lookup(one, Array(1000).fill(sha256('x')))).headers.ratelimit).toContain('"requests";r=2;')
    expect((await lookup(one, [sha256('x')])).headers.ratelimit).toContain('"requests";r=1;')
    expect((await lookup(one, [])).status).toBe(200)
    expect(await lookup(one, [])).toBeProblem(429, 'too-many-requests')
  })

  it('shows when a file was read back, also if that is not recorded yet', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    await one.get('a')
    const [entry] = await found(one, [sha256('sand')])
    expect(entry?.verifiedAt).toBe(new Date(app.clock()).toISOString())
    await app.vault.recordReadBacks()
    expect(await found(one, [sha256('sand')])).toEqual([entry])
  })

  it('leaves out a row whose seal does not open, and one whose tag was moved, and notes the damage', async () => {
    const { app, ada: one } = await ada({ a: 'sand', b: 'sea', c: 'stones' })
    const db = databaseOf(app)
    const of = ' WHERE user_id = :owner AND name = :name'
    db.prepare(`UPDATE files SET seal = zeroblob(105)${of}`).run({ owner: one.userId, name: 'a' })
    db.prepare(`UPDATE files SET tag = (SELECT tag FROM files${of}) WHERE user_id = :owner AND name = 'b'`).run({
      owner: one.userId,
      name: 'c',
    })
    const entries = await found(one, [sha256('sand'), sha256('sea'), sha256('stones')])
    expect(entries.map(({ name }) => name)).toEqual(['c'])
    await app.settled()
    expect(await damagedReads(one)).toHaveLength(1)
  })
})

describe('a lookup with verify', () => {
  it('reads everything back before it answers', async () => {
    const { app, ada: one } = await ada({ a: 'sand', empty: '', large: randomBytes(3 * MiB) })
    await one.request('/v1/files/a', { method: 'DELETE' })
    const opened: string[] = []
    const { open } = app.ports.blobs
    app.ports.blobs.open = (blob, start, end) => {
      opened.push(blob)
      return open(blob, start, end)
    }
    const entries = await found(one, [sha256('sand'), sha256('')], { verify: true })
    app.ports.blobs.open = open
    expect(opened).toHaveLength(2)
    expect(entries.map(({ name, state, verifiedAt }) => [name, state, verifiedAt])).toEqual([
      ['a', 'trash', new Date(app.clock()).toISOString()],
      ['empty', 'live', new Date(app.clock()).toISOString()],
    ])
    await app.vault.recordReadBacks()
    expect(await found(one, [sha256('sand'), sha256('')])).toEqual(entries)
  })

  it('leaves out what does not open, and notes the damage', async () => {
    const { app, ada: one } = await ada({ good: 'sand', bad: randomBytes(200_000), lost: 'sea' })
    const digests = await digestsOf(one)
    await spoil(await pathOf(app, one, 'bad'), flipped)
    const lost = await app.ports.files.snapshot(one.userId, 'lost')
    await app.ports.blobs.delete([lost?.firstPart?.blob as string])
    expect((await found(one, digests)).map(({ name }) => name).sort()).toEqual(['bad', 'good', 'lost'])
    expect((await found(one, digests, { verify: true })).map(({ name }) => name)).toEqual(['good'])
    await app.settled()
    expect(await damagedReads(one)).toHaveLength(2)
    expect(app.log.join('\n')).toContain(`its blob ${lost?.firstPart?.blob} is missing`)
    // Sent again, both are whole again.
    await one.put('lost', 'sea')
    expect((await found(one, [sha256('sea')], { verify: true })).map(({ name }) => name)).toEqual(['lost'])
  })

  it('is a 503 if the store does not answer', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    const { open } = app.ports.blobs
    app.ports.blobs.open = async () => {
      throw Object.assign(new Error('no answer'), { code: 'EUNREACHABLE' })
    }
    expect(await lookup(one, [sha256('sand')], { verify: true })).toBeProblem(503, 'not-ready')
    app.ports.blobs.open = open
    expect(await found(one, [sha256('sand')], { verify: true })).toHaveLength(1)
  })

  it('stops reading when the client leaves, and runs twice at once for a user, not more', async () => {
    const { app, ada: one } = await ada({ a: randomBytes(4 * MiB), b: 'sand' })
    const [digest] = await digestsOf(one)
    let reads = 0
    const { open } = app.ports.blobs
    const waiting: (() => void)[] = []
    app.ports.blobs.open = async (blob, start, end) => {
      const reader = await open(blob, start, end)
      return (
        reader && {
          ...reader,
          async read(count) {
            reads += 1
            await new Promise<void>((resolve) => waiting.push(resolve))
            return reader.read(count)
          },
        }
      )
    }
    const body = JSON.stringify({ sha256: [digest], verify: true })
    const lines = [wire(app.url), wire(app.url)]
    const fields = {
      authorization: `Bearer ${one.token}`,
      'content-type': 'application/json',
      'content-length': body.length,
    }
    for (const { socket } of lines) socket.write(head('POST /v1/files/lookup', fields) + body)
    await expect.poll(() => reads).toBe(2)
    const refused = await lookup(one, [digest], { verify: true })
    expect(refused).toBeProblem(429, 'too-many-requests')
    expect(refused.headers['retry-after']).toBe('30')
    expect(await lookup(one, [digest])).toMatchObject({ status: 200 })
    expect(await lookup(await member(app), [digest], { verify: true })).toMatchObject({ status: 200 })
    const ports = lines.map(({ socket }) => socket.localPort as number)
    const theirs = app.connections.filter(({ remotePort }) => ports.includes(remotePort as number))
    for (const { socket } of lines) socket.destroy()
    await expect.poll(() => theirs.map(({ destroyed }) => destroyed)).toEqual([true, true])
    app.ports.blobs.open = open
    for (const go of waiting) go()
    // Both have ended with the read that was under way, so there is room again.
    await expect.poll(async () => (await lookup(one, [digest], { verify: true })).status).toBe(200)
    expect(reads).toBe(2)
    expect(app.log.filter((line) => line.includes('"level":50') && line.includes('client is gone'))).toEqual([])
  })

  it('ends when the client leaves, also without verification', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    const asked: string[] = []
    const { withTags } = app.ports.files
    let goOn = () => {}
    const gone = new Promise<void>((resolve) => {
      goOn = resolve
    })
    app.ports.files.withTags = async (owner, ...given) => {
      if (asked.push(owner) === 1) await gone
      return withTags(owner, ...given)
    }
    const digests = Array.from({ length: 1000 }, (_, n) => String(n).padStart(64, '0'))
    const body = JSON.stringify({ sha256: digests })
    const { socket } = wire(app.url)
    const fields = { authorization: `Bearer ${one.token}`, 'content-type': 'application/json' }
    socket.write(head('POST /v1/files/lookup', { ...fields, 'content-length': body.length }) + body)
    await expect.poll(() => asked).toHaveLength(1)
    const theirs = app.connections.find(({ remotePort }) => remotePort === socket.localPort)
    socket.destroy()
    await expect.poll(() => theirs?.destroyed).toBe(true)
    goOn()
    // The users take turns, so as many pieces of the first would have had theirs.
    expect(await lookup(await member(app), digests)).toMatchObject({ status: 200 })
    expect(asked.filter((owner) => owner === asked[0])).toHaveLength(1)
    expect(asked).toHaveLength(11)
  })

  it('leaves out what is deleted for good meanwhile', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    const { length } = app.ports.blobs
    app.ports.blobs.length = async (blob) => {
      app.ports.blobs.length = length
      await one.request('/v1/files/a', { method: 'DELETE' })
      await one.request('/v1/trash', { method: 'DELETE' })
      return length(blob)
    }
    expect(await found(one, [sha256('sand')], { verify: true })).toEqual([])
    expect(await damagedReads(one)).toEqual([])
  })

  it('reads the version that replaces it meanwhile, if its bytes are the same', async () => {
    const { app, ada: one } = await ada({ a: 'sand' })
    const { length } = app.ports.blobs
    app.ports.blobs.length = async (blob) => {
      app.ports.blobs.length = length
      await one.put('a', 'sand')
      await app.settled()
      return length(blob)
    }
    expect(await found(one, [sha256('sand')], { verify: true })).toHaveLength(1)
    const row = await app.ports.files.snapshot(one.userId, 'a')
    await app.vault.recordReadBacks()
    expect((await app.ports.files.byId(row?.file?.id as string))?.file.verifiedAt).toBe(app.clock())
  })

  it('works on a read-only server, which records nothing', async () => {
    const app = await testApp()
    const one = await member(app)
    await one.put('a', 'sand')
    await app.close()
    const next = await testApp({ READ_ONLY: 'on' }, `${app.config.DATA_DIR}/..`)
    const reader = memberWith(next, one)
    expect(await found(reader, [sha256('sand')], { verify: true })).toHaveLength(1)
    await next.vault.recordReadBacks()
    expect((await found(reader, [sha256('sand')]))[0]?.verifiedAt).toBeNull()
  })
})

describePostgres('a lookup on PostgreSQL', () => {
  it('finds and verifies', async () => {
    const settings = { DATABASE_URL: await emptySchema(), MASTER_KEY: randomBytes(32).toString('base64') }
    const app = await testApp(settings)
    const one = await member(app)
    await Promise.all(Array.from({ length: 10 }, (_, n) => one.put(`${n}`, 'sand')))
    for (const name of ['1', '2']) await one.request(`/v1/files/${name}`, { method: 'DELETE' })
    const digests = Array.from({ length: 999 }, (_, n) => sha256(String(n)))
    const entries = await found(one, [...digests, sha256('sand')])
    expect(new Set(entries.map(({ name }) => name)).size).toBe(10)
    expect(entries.filter(({ state }) => state === 'trash')).toHaveLength(2)
    await one.put('sea', 'sea')
    expect(await found(one, [sha256('sea')], { verify: true })).toHaveLength(1)
    await app.vault.recordReadBacks()
    expect((await found(one, [sha256('sea')]))[0]?.verifiedAt).toBe(new Date(app.clock()).toISOString())
  })
})

/** Adds rows with the content of the file `copy`, every second of them in the trash, all at one moment. */
async function copied({ ports, clock, ...app }: TestApp, { userId }: Member, count: number): Promise<void> {
  const vaultKey = await openKeyring({ ports }).vaultKey(userId)
  const { file } = (await ports.files.snapshot(userId, 'copy')) as { file: SealedFile }
  const secrets = openSecrets(vaultKey, userId, file)
  const db = databaseOf(app)
  const add = db.prepare(
    `INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, named_at, version, seal, tag, deleted_at)
     VALUES (:id, :userId, :name, :size, 'x', 0, 0, 0, :id, :seal, :tag, :deletedAt)`,
  )
  db.transaction(() => {
    for (let n = 0; n < count; n += 1) {
      const id = `copy-${n}`
      const seal = sealSecrets(vaultKey, randomBytes(12), userId, id, secrets)
      const deletedAt = n % 2 === 0 ? null : clock()
      add.run({ id, userId, name: `name-${n - (n % 2)}`, size: file.sizeBytes, seal, tag: file.tag, deletedAt })
    }
  })()
}

async function digestsOf(who: Member): Promise<string[]> {
  const { files } = (await who.request('/v1/files')).body as { files: Found[] }
  return files.map(({ sha256 }) => sha256)
}

async function damagedReads(who: Member): Promise<unknown[]> {
  const { events } = (await who.request('/v1/activity')).body as { events: { kind: string }[] }
  return events.filter(({ kind }) => kind === 'damaged-read')
}
