import { createHash, randomBytes } from 'node:crypto'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  appForMany,
  DAY,
  type Member,
  member,
  memberWith,
  SECOND,
  SESSIONS_CHECKED_OFTEN,
  type TestApp,
  testApp,
} from '../support/app.ts'
import { pathOf } from '../support/blobs.ts'
import { putInParts } from '../support/parts.ts'
import { unzip } from '../support/unzip.ts'
import { head, type Wire, wire } from '../support/wire.ts'

const sharedApp = appForMany()

const MiB = 1024 * 1024
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')

const NAMES_BY_CASE = ['IMG_0001.JPG', 'img_0001.jpg', 'Img_0001.jpg', 'É.jpg', 'é.jpg', 'report.TXT', 'report.txt']
const NAMES_OF_NO_WINDOWS = ['what?.txt', 'q"uote.jpg', '<script>.jpg', 'a:b.jpg', 'CON', 'AUX.jpg', 'trail.', 'trail ']

interface Account {
  exportedAt: string
  user: object
  files: { id: string; name: string; size: number; sha256: string; deletedAt: string | null; path: string }[]
}

/** Takes everything out, and holds what `account.json` says to what the zip has. */
async function taken(owner: Member): Promise<{ account: Account; contents: Map<string, string> }> {
  const answer = await owner.request('/v1/me/export')
  expect(answer.status).toBe(200)
  const found = await unzip(answer.bytes)
  const last = found.pop()
  expect(last?.path).toBe('account.json')
  const account = JSON.parse(String(last?.bytes)) as Account
  expect(account.files.map(({ path, size, sha256 }) => [path, size, sha256])).toEqual(
    found.map(({ path, bytes }) => [path, bytes.length, sha256(bytes)]),
  )
  expect(new Set(account.files.map(({ path }) => path)).size).toBe(found.length)
  return { account, contents: new Map(found.map(({ path, bytes }) => [path, bytes.toString('latin1')])) }
}

/** Files whose names cannot be compressed. */
async function withLongNames(app: TestApp): Promise<Member> {
  const ada = await member(app)
  for (let n = 0; n < 20; n += 1) {
    const putting = Array.from({ length: 20 }, () => ada.put(randomBytes(120).toString('hex'), ''))
    for (const { status } of await Promise.all(putting)) expect(status).toBe(201)
  }
  return ada
}

const pathsOf = async (owner: Member) => [...(await taken(owner)).contents.keys()]

async function put(owner: Member, name: string, bytes: string | Buffer = name): Promise<string> {
  return ((await owner.put(name, bytes)).body as { id: string }).id
}

async function trashed(owner: Member, name: string, bytes: string | Buffer = name): Promise<string> {
  const id = await put(owner, name, bytes)
  await discard(owner, name)
  return id
}

const discard = (owner: Member, name: string) =>
  owner.request(`/v1/files/${encodeURIComponent(name)}`, { method: 'DELETE' })
const restore = (owner: Member, id: string) => owner.request(`/v1/trash/${id}/restore`, { method: 'POST' })
const rename = (owner: Member, name: string, newName: string) =>
  owner.request(`/v1/files/${name}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: newName }),
  })

/** Does something once, after the list of live files, or of the trash, was read for the first time. */
function afterReading(app: TestApp, list: 'files' | 'trash', act: () => Promise<unknown>): void {
  const ports = app.ports as unknown as Record<string, { list: (...args: unknown[]) => Promise<unknown> }>
  const repository = ports[list] as (typeof ports)[string]
  const read = repository.list
  repository.list = async (...args) => {
    const page = await read(...args)
    repository.list = read
    await act()
    await app.settled()
    return page
  }
}

/** Counts the readers that were opened and are not closed yet, and what was read. */
function watchReaders(app: TestApp): { open: number; opened: number; bytes: number } {
  const seen = { open: 0, opened: 0, bytes: 0 }
  const openBlob = app.ports.blobs.open
  app.ports.blobs.open = async (...args) => {
    const reader = await openBlob(...args)
    if (!reader) return null
    seen.open += 1
    seen.opened += 1
    return {
      async read(count) {
        const bytes = await reader.read(count)
        seen.bytes += bytes.length
        return bytes
      },
      async close() {
        seen.open -= 1
        await reader.close()
      },
    }
  }
  return seen
}

async function damage(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 1), 0, 1, at)
  await file.close()
}

function asking(app: TestApp, owner: Member): Wire {
  const line = wire(app.url)
  const headers = { authorization: `Bearer ${owner.token}`, connection: 'close' }
  line.socket.write(head('GET /v1/me/export', headers))
  return line
}

describe('an export', () => {
  it('is a zip file with every file, the trash, and what there is to know of them', async () => {
    const app = await testApp()
    const ada = await member(app, 'ada@example.org')
    const film = randomBytes(3 * MiB)
    const first = await ada.put('film.mp4', film, { 'content-type': 'video/mp4' })
    for (const [name, bytes] of [
      ['Ünï & 日本 🏖.jpg', 'sand'],
      ['empty', ''],
      ['account.json', '{}'],
    ] as const) {
      await put(ada, name, bytes)
    }
    const [one, two] = [await trashed(ada, 'gone.jpg', 'first'), await trashed(ada, 'gone.jpg', 'second')]
    const before = app.clock()
    app.clock.turn(5 * SECOND)

    const { account, contents } = await taken(ada)

    expect(contents.get('files/film.mp4') === film.toString('latin1')).toBe(true)
    contents.delete('files/film.mp4')
    expect(Object.fromEntries(contents)).toEqual({
      'files/Ünï & 日本 🏖.jpg': 'sand',
      'files/empty': '',
      'files/account.json': '{}',
      [`trash/${one}/gone.jpg`]: 'first',
      [`trash/${two}/gone.jpg`]: 'second',
    })
    expect({ ...account, files: [] }).toEqual({
      exportedAt: new Date(app.clock()).toISOString(),
      user: { userId: ada.userId, name: 'Ada', email: 'ada@example.org', createdAt: new Date(before).toISOString() },
      files: [],
    })
    expect(account.files.find(({ name }) => name === 'film.mp4')).toEqual({
      ...(first.body as object),
      deletedAt: null,
      path: 'files/film.mp4',
    })
    expect(account.files.find(({ id }) => id === two)?.deletedAt).toBe(new Date(before).toISOString())
  })

  it("has names that can be unpacked everywhere, and tells the files' own", async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const names = [...NAMES_BY_CASE, ...NAMES_OF_NO_WINDOWS]
    for (const name of names) await put(ada, name)
    const id = await trashed(ada, 'CON', 'in the trash')

    const { account, contents } = await taken(ada)

    expect(contents.get(`trash/${id}/_CON`)).toBe('in the trash')
    const live = account.files.filter(({ deletedAt }) => deletedAt === null)
    expect(live.map(({ name }) => name).sort()).toEqual(names.filter((name) => name !== 'CON').sort())
    for (const { name, path } of live) expect(contents.get(path)).toBe(Buffer.from(name).toString('latin1'))
    expect(new Set(live.map(({ path }) => path.toLowerCase())).size).toBe(live.length)
    expect(live.filter(({ path }) => /[<>:"|?*]|[. ]$/.test(path))).toEqual([])
  })

  it('gives the same files the same names, in whatever order they were uploaded', async () => {
    const app = await testApp()
    const names = [...NAMES_BY_CASE, ...NAMES_OF_NO_WINDOWS, 'img_0001 (1).jpg', 'IMG_0001 (2).JPG', 'trail_']
    const pathsByName = async (order: string[]) => {
      const owner = await member(app)
      for (const name of order) {
        app.clock.turn(1)
        await put(owner, name)
      }
      return Object.fromEntries((await taken(owner)).account.files.map(({ name, path }) => [name, path]))
    }
    const paths = await pathsByName(names)
    expect(Object.keys(paths)).toHaveLength(names.length)
    expect(await pathsByName([...names].reverse())).toEqual(paths)
  })

  it.each([
    ['a name that Windows forbids', { 'IMG:1.jpg': 'IMG_1 (1).jpg', 'IMG_1.jpg': 'IMG_1.jpg' }],
    ['a quote', { 'p"q': 'p_q (1)', p_q: 'p_q' }],
    ['a dot at the end', { 'zz.': 'zz_ (1)', zz_: 'zz_' }],
    ['another case', { 'IMG:1.JPG': 'IMG_1 (1).JPG', 'img_1.jpg': 'img_1.jpg' }],
    [
      'a real numbered name',
      { 'IMG:1.jpg': 'IMG_1 (2).jpg', 'IMG_1 (1).jpg': 'IMG_1 (1).jpg', 'IMG_1.jpg': 'IMG_1.jpg' },
    ],
    ['a real numbered name that comes later', { 'B.TXT': 'B.TXT', 'B.txt': 'B (2).txt', 'b (1).txt': 'b (1).txt' }],
  ])('leaves a file its name where it needs no change, beside %s', async (_, expected) => {
    const app = await testApp()
    const pathsByName = async (order: string[]) => {
      const owner = await member(app)
      for (const name of order) {
        app.clock.turn(1)
        await put(owner, name)
      }
      const { account, contents } = await taken(owner)
      for (const { name, path } of account.files) expect(contents.get(path)).toBe(name)
      return Object.fromEntries(account.files.map(({ name, path }) => [name, path.replace('files/', '')]))
    }
    const names = Object.keys(expected)
    expect(await pathsByName(names)).toEqual(expected)
    expect(await pathsByName([...names].reverse())).toEqual(expected)
  })

  it('leaves files of later pages their names', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const numbers = Array.from({ length: 52 }, (_, n) => n)
    await Promise.all(numbers.map((n) => put(ada, `a:${n}`)))
    await Promise.all(numbers.map((n) => put(ada, `a_${n}`)))
    const { account } = await taken(ada)
    const pathsByName = Object.fromEntries(account.files.map(({ name, path }) => [name, path]))
    expect(pathsByName).toEqual(
      Object.fromEntries(
        numbers.flatMap((n) => [
          [`a:${n}`, `files/a_${n} (1)`],
          [`a_${n}`, `files/a_${n}`],
        ]),
      ),
    )
  })

  it('is a download of its own kind and day', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const { headers } = await ada.request('/v1/me/export')
    expect(headers).toMatchObject({
      'content-type': 'application/zip',
      'content-disposition': 'attachment; filename="minikeepsafe-2026-11-22.zip"',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
  })

  it('of an empty vault has the account alone', async () => {
    const app = await sharedApp()
    const { account, contents } = await taken(await member(app))
    expect([account.files, contents.size]).toEqual([[], 0])
  })

  it('has nothing of another member', async () => {
    const app = await sharedApp()
    const [ada, ben] = [await member(app), await member(app)]
    await put(ada, 'mine')
    await put(ben, 'theirs')
    await trashed(ben, 'thrown away')
    expect(await pathsOf(ada)).toEqual(['files/mine'])
  })

  it('has nothing that is gone for good', async () => {
    const app = await testApp({ TRASH_DAYS: '1' })
    const ada = await member(app)
    await trashed(ada, 'expired')
    app.clock.turn(DAY)
    await put(ada, 'kept')
    expect(await pathsOf(ada)).toEqual(['files/kept'])
  })

  it('has each of more files than fit a page, once', async () => {
    const app = await sharedApp()
    const ada = await member(app)
    const names = Array.from({ length: 230 }, (_, n) => `file ${n}`)
    for (let at = 0; at < names.length; at += 46)
      await Promise.all(names.slice(at, at + 46).map((name) => put(ada, name)))
    for (const name of names.slice(0, 120)) await discard(ada, name)
    const { account } = await taken(ada)
    expect(account.files.map(({ name }) => name).sort()).toEqual([...names].sort())
    expect(account.files.filter(({ deletedAt }) => deletedAt !== null)).toHaveLength(120)
  })

  it('needs a session', async () => {
    const app = await sharedApp()
    expect(await app.request('/v1/me/export')).toBeProblem(401, 'unauthorized')
  })

  it('answers HEAD without reading anything', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'film', randomBytes(3 * MiB))
    const readers = watchReaders(app)
    const answer = await ada.request('/v1/me/export', { method: 'HEAD' })
    expect([answer.status, answer.headers['content-type'], answer.bytes.length]).toEqual([200, 'application/zip', 0])
    expect(readers.opened).toBe(0)
  })
})

describe('what changes while an export goes on', () => {
  it('is there in its new version where it was replaced', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'a')
    await put(ada, 'b', 'old')
    afterReading(app, 'files', () => ada.replace('b', 'new'))
    expect((await taken(ada)).contents.get('files/b')).toBe('new')
  })

  it('is there once where it was renamed, deleted or restored', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['kept', 'renamed', 'deleted']) await put(ada, name)
    const id = await trashed(ada, 'restored')
    afterReading(app, 'files', async () => {
      await rename(ada, 'renamed', 'new-name')
      await discard(ada, 'deleted')
      await restore(ada, id)
    })
    const { account } = await taken(ada)
    expect(account.files.map(({ size }) => size).sort()).toEqual([4, 7, 7, 8])
    expect(new Set(account.files.map(({ id }) => id)).size).toBe(4)
  })

  it('is there where it was renamed to a name that was passed, and back', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (let n = 0; n < 100; n += 1) await put(ada, `b ${n}`)
    await put(ada, 'z', 'moved')
    const { list } = app.ports.files
    let looks = 0
    app.ports.files.list = async (...args) => {
      const page = await list(...args)
      looks += 1
      // Behind the first page of each round.
      if (looks === 1) await rename(ada, 'z', 'a')
      if (looks === 3) await rename(ada, 'a', 'z')
      return page
    }
    expect([...(await taken(ada)).contents.values()]).toContain('moved')
  })

  it('is there where it waited for files that keep their names, and was renamed, deleted or dated ahead', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (const name of ['a:1', 'a_1', 'deleted?', 'renamed.']) await put(ada, name)
    app.clock.turn(DAY)
    await put(ada, 'ahead?')
    app.clock.turn(-DAY)
    afterReading(app, 'trash', async () => {
      await discard(ada, 'deleted?')
      await rename(ada, 'renamed.', 'a:0')
    })
    const { account, contents } = await taken(ada)
    expect([...contents.values()].sort()).toEqual(['a:1', 'a_1', 'ahead?', 'deleted?', 'renamed.'])
    expect(account.files.find(({ name }) => name === 'a_1')?.path).toBe('files/a_1')
  })

  it('is not there where it is gone for good', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'kept')
    await put(ada, 'gone')
    afterReading(app, 'files', async () => {
      await discard(ada, 'gone')
      await ada.request('/v1/trash', { method: 'DELETE' })
    })
    expect(await pathsOf(ada)).toEqual(['files/kept'])
  })

  it('is there under a numbered name where a file has the name that another had', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'beach.jpg', 'first')
    const id = await trashed(ada, 'sea.jpg', 'second')
    // The first is written by now; the second is in neither list.
    afterReading(app, 'files', async () => {
      await rename(ada, 'beach.jpg', 'other.jpg')
      await restore(ada, id)
      await rename(ada, 'sea.jpg', 'beach.jpg')
    })
    const { contents } = await taken(ada)
    expect(Object.fromEntries(contents)).toEqual({ 'files/beach.jpg': 'first', 'files/beach (1).jpg': 'second' })
  })

  it('does not keep it from ending', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'first')
    const list = app.ports.trash.list
    let more = 0
    app.ports.trash.list = async (...args) => {
      app.clock.turn(SECOND)
      more += 1
      await put(ada, `more ${more}`)
      return list(...args)
    }
    expect(await pathsOf(ada)).toEqual(['files/first'])
    expect(more).toBe(2)
  })
})

describe('an export of damaged files', () => {
  it('is a 500 where nothing of it was sent, and the log names the file', async () => {
    const app = await testApp()
    const ada = await member(app)
    const id = await put(ada, 'damaged', 'bytes')
    await damage(await pathOf(app, ada, 'damaged'), 42)
    expect(await ada.request('/v1/me/export')).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toContain(`file ${id} is damaged`)
  })

  it('breaks off where some of it was sent, and the log names the file', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'before', randomBytes(2 * MiB))
    const id = await put(ada, 'damaged', randomBytes(2 * MiB))
    await damage(await pathOf(app, ada, 'damaged'), 1.5 * MiB)
    const readers = watchReaders(app)
    await expect(ada.request('/v1/me/export')).rejects.toThrow()
    expect(app.log.join('\n')).toContain(`file ${id} is damaged`)
    expect([readers.opened, readers.open]).toEqual([2, 0])
  })

  it('fails where a blob is missing, and the log names the file', async () => {
    const app = await testApp()
    const ada = await member(app)
    const id = await put(ada, 'missing', 'bytes')
    await rm(await pathOf(app, ada, 'missing'))
    expect(await ada.request('/v1/me/export')).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toContain(`file ${id} is damaged`)
  })

  it('takes the rest once the damaged one is deleted for good', async () => {
    const app = await testApp()
    const ada = await member(app)
    await put(ada, 'good')
    await put(ada, 'missing')
    await rm(await pathOf(app, ada, 'missing'))
    await discard(ada, 'missing')
    await ada.request('/v1/trash', { method: 'DELETE' })
    expect(await pathsOf(ada)).toEqual(['files/good'])
  })
})

describe('an export that its client does not read', () => {
  it('waits', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (let n = 0; n < 4; n += 1) await put(ada, `film ${n}`, randomBytes(16 * MiB))
    const readers = watchReaders(app)
    const line = asking(app, ada)
    await line.until('\r\n\r\n')
    line.socket.pause()
    await pause(500)
    const read = readers.bytes
    await pause(500)
    expect([readers.bytes, readers.open]).toEqual([read, 1])
    expect(read).toBeLessThan(32 * MiB)
    line.socket.resume()
    expect((await line.ended).length).toBeGreaterThan(64 * MiB)
    expect(readers.open).toBe(0)
  })

  it('lets go of everything when the client leaves', async () => {
    const app = await testApp()
    const ada = await member(app)
    for (let n = 0; n < 2; n += 1) await put(ada, `film ${n}`, randomBytes(16 * MiB))
    const readers = watchReaders(app)
    const line = asking(app, ada)
    await line.until('\r\n\r\n')
    line.socket.destroy()
    await expect.poll(() => readers.open).toBe(0)
    expect(readers.opened).toBe(1)
    expect(app.log.filter((text) => text.includes('"level":50'))).toEqual([])
  })

  it('is cut when its session is ended', async () => {
    const app = await testApp({}, undefined, SESSIONS_CHECKED_OFTEN)
    const ada = await member(app)
    for (let n = 0; n < 2; n += 1) await put(ada, `film ${n}`, randomBytes(16 * MiB))
    const readers = watchReaders(app)
    const line = asking(app, ada)
    await line.until('\r\n\r\n')
    line.socket.pause()
    await ada.request('/v1/sessions/current', { method: 'DELETE' })
    await expect.poll(() => readers.open, { timeout: 10_000 }).toBe(0)
    line.socket.resume()
    expect((await line.ended).length).toBeLessThan(32 * MiB)
  })
})

it('is a 503 if the store fails at a later part of the first file, before the first byte was sent', async () => {
  const app = await testApp()
  const ada = await member(app)
  const [, later] = await putInParts(app, ada, 'photo', Buffer.from('sand and sea'), [5])
  const { open: openBlob } = app.ports.blobs
  app.ports.blobs.open = async (blob, start, end) => {
    if (blob === later) throw Object.assign(new Error('no answer'), { code: 'EUNREACHABLE' })
    return openBlob(blob, start, end)
  }
  expect(await ada.request('/v1/me/export')).toBeProblem(503, 'not-ready')
})

it('claims more memory where long names need it, and is refused without', async () => {
  const memory = (totalBytes: number) => {
    const shares = { totalBytes, networkBytes: totalBytes, userBytes: totalBytes }
    return { memory: { ...shares, waitMs: 50, uploadBytes: MiB / 4 } }
  }
  const roomy = await testApp({}, undefined, memory(16 * MiB))
  const ada = await withLongNames(roomy)
  expect((await taken(ada)).account.files).toHaveLength(400)
  await roomy.close()

  // Enough for what is claimed at the beginning.
  const full = await testApp({}, join(roomy.config.DATA_DIR, '..'), memory(5 * MiB))
  expect(await memberWith(full, ada).request('/v1/me/export')).toBeProblem(503, 'not-ready')
  expect((await memberWith(full, ada).request('/v1/me')).status).toBe(200)
})
